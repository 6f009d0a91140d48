/* functions.c (Windows): the table of system functions that may be missing, and text conversion.
 *
 * Nothing newer than Windows 7 is imported at link time, so the library loads everywhere and says what is missing.
 * Threads: any. Locks: the system's one-time initialization. Order: InitOnceExecuteOnce publishes the table.
 * Invariants: the waits are never NULL. Tests: tests/win/test_os_win.c. */
#include "win.h"

#if !defined(CREATE_WAITABLE_TIMER_HIGH_RESOLUTION)
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 2
#endif

static win_functions functions;
static INIT_ONCE functions_once = INIT_ONCE_STATIC_INIT;

typedef void (*any_fn)(void);

static any_fn export_find(HMODULE module, const char *name) {
    return module == NULL ? NULL : (any_fn)GetProcAddress(module, name);
}

/* ---- Waits ---- */

typedef BOOL(WINAPI *wait_on_address_fn)(volatile void *address, void *compare, SIZE_T bytes, DWORD timeout_ms);
static wait_on_address_fn wait_on_address;

/* RtlWaitOnAddress's form over WaitOnAddress: whole milliseconds, rounded up. */
static LONG NTAPI wait_in_ms(const volatile void *address, const void *compare, SIZE_T bytes,
                             const LARGE_INTEGER *timeout) {
    enum { UNITS_PER_MS = 10000 };
    DWORD timeout_ms = INFINITE;
    if (timeout != NULL) {
        int64_t ms = (-timeout->QuadPart + UNITS_PER_MS - 1) / UNITS_PER_MS;
        timeout_ms = ms < INFINITE ? (DWORD)ms : INFINITE - 1;
    }
    if (wait_on_address((volatile void *)(uintptr_t)address, (void *)(uintptr_t)compare, bytes, timeout_ms)) return 0;
    return WAIT_TIMED_OUT;
}

static bool waits_are_whole(const win_waits *waits) {
    return waits->wait != NULL && waits->wake_one != NULL && waits->wake_all != NULL;
}

bool win_waits_of_ntdll(win_waits *out) {
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    out->wait = (win_wait_fn)export_find(ntdll, "RtlWaitOnAddress");
    out->wake_one = (win_wake_fn)export_find(ntdll, "RtlWakeAddressSingle");
    out->wake_all = (win_wake_fn)export_find(ntdll, "RtlWakeAddressAll");
    return waits_are_whole(out);
}

bool win_waits_of_kernelbase(win_waits *out) {
    HMODULE kernelbase = GetModuleHandleW(L"kernelbase.dll");
    wait_on_address = (wait_on_address_fn)export_find(kernelbase, "WaitOnAddress");
    out->wait = wait_on_address == NULL ? NULL : wait_in_ms;
    out->wake_one = (win_wake_fn)export_find(kernelbase, "WakeByAddressSingle");
    out->wake_all = (win_wake_fn)export_find(kernelbase, "WakeByAddressAll");
    return waits_are_whole(out);
}

HANDLE win_timer_create(void) {
    return CreateWaitableTimerExW(NULL, NULL, CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, TIMER_ALL_ACCESS);
}

static bool is_wine(void) { return export_find(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") != NULL; }

/* Wine's waits are futexes, precise to 0.1 ms, and its waitable timers are slower. */
static bool waits_are_coarse(void) {
    if (is_wine()) return false;
    HANDLE timer = win_timer_create();
    if (timer != NULL) CloseHandle(timer);
    return timer != NULL;
}

/* ---- The table ---- */

static BOOL CALLBACK functions_find(INIT_ONCE *once, void *argument, void **context) {
    (void)once, (void)argument, (void)context;
    if (!win_waits_of_ntdll(&functions.waits) && !win_waits_of_kernelbase(&functions.waits))
        fatal("this Windows has no WaitOnAddress: Windows 8, Windows Server 2012 or newer is needed");
    functions.coarse_waits = waits_are_coarse();
    functions.mappings_are_few = is_wine();
    HMODULE kernel32 = GetModuleHandleW(L"kernel32.dll");
    functions.dll_search_flags = export_find(kernel32, "AddDllDirectory") != NULL;
    functions.group_affinity = (win_group_affinity_fn)export_find(kernel32, "GetProcessGroupAffinity");
    return TRUE;
}

const win_functions *win_functions_get(void) {
    InitOnceExecuteOnce(&functions_once, functions_find, NULL, NULL);
    return &functions;
}

/* ---- UTF-8 ---- */

wchar_t *win_utf16(const char *text) {
    int units = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    if (units == 0) return NULL;
    wchar_t *out = memory_alloc((size_t)units * sizeof *out);
    if (out == NULL) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return NULL;
    }
    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, out, units);
    return out;
}

/* Bytes that one character takes in UTF-8; *out_units: how many units of UTF-16. */
static size_t character_bytes(const wchar_t *text, int *out_units) {
    bool pair = (text[0] & 0xFC00) == 0xD800 && (text[1] & 0xFC00) == 0xDC00;
    *out_units = pair ? 2 : 1;
    return pair ? 4 : text[0] < 0x80 ? 1 : text[0] < 0x800 ? 2 : 3;
}

void win_utf8(const wchar_t *text, char *out_text, size_t text_bytes) {
    size_t bytes = 0;
    int units = 0, next;
    for (; text[units] != 0; units += next) {
        size_t more = character_bytes(text + units, &next);
        if (bytes + more >= text_bytes) break;
        bytes += more;
    }
    int written = units == 0 ? 0 : WideCharToMultiByte(CP_UTF8, 0, text, units, out_text, (int)bytes, NULL, NULL);
    out_text[written] = 0;
}
