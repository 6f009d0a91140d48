/* watch.c (Windows): waiting for handles that others own, 63 to a thread.
 *
 * A group is a thread in WaitForMultipleObjects: its own event, which tells it that its list has changed, and up to 63 handles.
 * They are duplicates, so that the owner may close his at any time. A signal that was used up for one whom nobody waits for any
 * more is given back. When it is seen the handle is off the list, and the token in the completion port.
 * Threads: any; a group's own. Locks: groups_lock, over all groups and their lists. Order: the lock.
 * Invariants: entries of the list are in use or marked as gone; only the group's thread closes duplicates, when it has let go
 * of them. Tests: tests/win/test_wait_handle.c. */
#include "poller.h"

enum { GROUP_MOST = 63 };

typedef struct entry {
    HANDLE handle; /* a duplicate; NULL: free */
    intptr_t object;
    uint64_t token;
    bool gone; /* disarmed: to be closed by the thread */
} entry;

typedef struct group {
    struct group *next;
    os_thread thread;
    HANDLE changed;
    unsigned count; /* in use or gone */
    bool ends;
    entry entries[GROUP_MOST];
} group;

static SRWLOCK groups_lock = SRWLOCK_INIT;
static group *groups;

int os_watch_block(intptr_t object, uint32_t events, int64_t deadline_ns, uint32_t *out_events) {
    enum { NS_PER_MS = 1000000 };
    (void)events;
    *out_events = 0;
    for (;;) {
        DWORD ms = INFINITE;
        int64_t left_ns = 0;
        if (deadline_ns != INT64_MAX) {
            left_ns = deadline_ns <= 0 ? 0 : deadline_ns - os_now_ns();
            int64_t left_ms = left_ns <= 0 ? 0 : (left_ns - 1) / NS_PER_MS + 1;
            ms = left_ms < INFINITE ? (DWORD)left_ms : INFINITE - 1;
        }
        DWORD result = WaitForSingleObject((HANDLE)object, ms);
        if (result == WAIT_FAILED) return (int)GetLastError();
        if (result != WAIT_TIMEOUT) *out_events = 1;
        if (result != WAIT_TIMEOUT || left_ns <= 0) return 0;
    }
}

int os_watch_look(intptr_t object, uint32_t events, uint32_t *out_events) {
    return os_watch_block(object, events, 0, out_events);
}

bool os_watch_is_used_up(void) { return true; }

/* An auto-reset event is set again, a semaphore raised. Nothing else can be undone. Setting a manual-reset event that is set
 * changes nothing, but its owner may have reset it since: so those are told apart. */
void os_watch_give_back(intptr_t object) {
    typedef LONG(NTAPI * query_event_fn)(HANDLE event, int what, void *out, ULONG bytes, ULONG *out_bytes);
    static query_event_fn query;
    struct {
        LONG type, state;
    } info = {0};
    enum { AUTO_RESET = 1 };
    if (query == NULL) {
        query = (query_event_fn)(void (*)(void))GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "NtQueryEvent");
    }
    if (query != NULL && query((HANDLE)object, 0, &info, sizeof info, NULL) == 0) {
        if (info.type == AUTO_RESET) SetEvent((HANDLE)object);
    } else {
        ReleaseSemaphore((HANDLE)object, 1, NULL); /* refused where it is none */
    }
}

/* ---- A group's thread ---- */

static void close_gone_locked(group *g) {
    for (unsigned i = 0; i < GROUP_MOST; i++) {
        if (g->entries[i].handle == NULL || !g->entries[i].gone) continue;
        CloseHandle(g->entries[i].handle);
        g->entries[i] = (entry){0};
        g->count--;
    }
}

/* The list as it is now, for a wait: places[i] is the entry of handles[i + 1]. */
static DWORD list_locked(group *g, HANDLE *handles, unsigned *places) {
    DWORD count = 0;
    close_gone_locked(g);
    handles[count++] = g->changed;
    for (unsigned i = 0; i < GROUP_MOST; i++) {
        if (g->entries[i].handle == NULL) continue;
        places[count - 1] = i;
        handles[count++] = g->entries[i].handle;
    }
    return count;
}

/* The entry's handle was signalled (or is bad: who waits looks, and is told). */
static void seen(group *g, unsigned place, HANDLE handle) {
    uint64_t token = 0;
    bool gone;
    AcquireSRWLockExclusive(&groups_lock);
    entry *e = &g->entries[place];
    gone = e->gone;
    token = e->token;
    e->gone = true; /* closed before the next wait */
    ReleaseSRWLockExclusive(&groups_lock);
    if (gone) {
        os_watch_give_back((intptr_t)handle);
    } else {
        poller_post(token);
    }
}

static void seen_bad(group *g, DWORD count, const HANDLE *handles, const unsigned *places) {
    for (DWORD i = 1; i < count; i++) {
        DWORD result = WaitForSingleObject(handles[i], 0);
        if (result != WAIT_TIMEOUT) seen(g, places[i - 1], handles[i]);
    }
}

static void group_main(void *arg) {
    group *g = arg;
    HANDLE handles[GROUP_MOST + 1];
    unsigned places[GROUP_MOST];
    for (;;) {
        AcquireSRWLockExclusive(&groups_lock);
        DWORD count = list_locked(g, handles, places);
        bool ends = g->ends;
        ReleaseSRWLockExclusive(&groups_lock);
        if (ends) return;
        DWORD result = WaitForMultipleObjects(count, handles, FALSE, INFINITE);
        if (result == WAIT_FAILED) {
            seen_bad(g, count, handles, places);
        } else if (result >= WAIT_ABANDONED_0 && result < WAIT_ABANDONED_0 + count) {
            result -= WAIT_ABANDONED_0;
            if (result != 0) seen(g, places[result - 1], handles[result]);
        } else if (result > WAIT_OBJECT_0 && result < WAIT_OBJECT_0 + count) {
            seen(g, places[result - WAIT_OBJECT_0 - 1], handles[result - WAIT_OBJECT_0]);
        }
    }
}

/* ---- Arming ---- */

static group *group_make_locked(int *out_error) {
    group *g = memory_alloc_zero(sizeof *g);
    *out_error = ERROR_NOT_ENOUGH_MEMORY;
    if (g == NULL) return NULL;
    g->changed = fail_now(FAIL_MEMORY) ? NULL : CreateEventW(NULL, FALSE, FALSE, NULL);
    if (g->changed != NULL && (*out_error = os_thread_start(&g->thread, group_main, g)) == 0) {
        g->next = groups;
        groups = g;
        return g;
    }
    if (g->changed != NULL) CloseHandle(g->changed);
    memory_free(g);
    return NULL;
}

static group *group_with_room_locked(int *out_error) {
    group *g = groups;
    while (g != NULL && g->count == GROUP_MOST) g = g->next;
    return g != NULL ? g : group_make_locked(out_error);
}

static entry *find_locked(intptr_t object, uint64_t token, group **out_group) {
    for (group *g = groups; g != NULL; g = g->next) {
        for (unsigned i = 0; i < GROUP_MOST; i++) {
            entry *e = &g->entries[i];
            if (e->handle == NULL || e->gone || e->object != object || e->token != token) continue;
            *out_group = g;
            return e;
        }
    }
    return NULL;
}

static void add_locked(group *g, HANDLE handle, intptr_t object, uint64_t token) {
    unsigned i = 0;
    while (g->entries[i].handle != NULL) i++;
    g->entries[i] = (entry){handle, object, token, false};
    g->count++;
    SetEvent(g->changed);
}

int os_watch_arm(intptr_t object, uint32_t events, uint64_t token, bool again, bool *out_counts) {
    HANDLE handle = NULL;
    int error = 0;
    group *g;
    (void)events;
    *out_counts = false;
    AcquireSRWLockExclusive(&groups_lock);
    bool is_there = again && find_locked(object, token, &g) != NULL;
    ReleaseSRWLockExclusive(&groups_lock);
    if (is_there) return 0;
    if (fail_now(FAIL_MEMORY)) return ERROR_NOT_ENOUGH_MEMORY;
    if (!DuplicateHandle(GetCurrentProcess(), (HANDLE)object, GetCurrentProcess(), &handle, 0, FALSE,
                         DUPLICATE_SAME_ACCESS)) {
        return (int)GetLastError();
    }
    AcquireSRWLockExclusive(&groups_lock);
    g = group_with_room_locked(&error);
    if (g != NULL) add_locked(g, handle, object, token);
    ReleaseSRWLockExclusive(&groups_lock);
    *out_counts = g != NULL;
    if (g != NULL) return 0;
    CloseHandle(handle);
    return error;
}

unsigned os_watch_disarm(intptr_t object, uint64_t token) {
    group *g;
    AcquireSRWLockExclusive(&groups_lock);
    entry *e = find_locked(object, token, &g);
    if (e != NULL) {
        e->gone = true;
        SetEvent(g->changed);
    }
    ReleaseSRWLockExclusive(&groups_lock);
    return e != NULL;
}

void watches_end(void) {
    while (groups != NULL) {
        group *g = groups;
        groups = g->next;
        AcquireSRWLockExclusive(&groups_lock);
        for (unsigned i = 0; i < GROUP_MOST; i++) g->entries[i].gone = g->entries[i].handle != NULL;
        g->ends = true;
        SetEvent(g->changed);
        ReleaseSRWLockExclusive(&groups_lock);
        os_thread_join(&g->thread);
        CloseHandle(g->changed);
        memory_free(g);
    }
}
