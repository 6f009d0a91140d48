/* fail.c: see fail.h. */
#include "fail.h"

#include "atomic.h"

#if defined(PINTLE_DEBUG_CHECKS)

static struct {
    _Atomic uint32_t kinds;
    _Atomic uint64_t first, end; /* the first that is not refused any more */
    _Atomic uint64_t number, refused;
} plan;

static const struct {
    const char *name;
    unsigned kinds;
} kind_names[] = {
    {"memory", FAIL_MEMORY},   {"reserve", FAIL_RESERVE}, {"thread", FAIL_THREAD},
    {"library", FAIL_LIBRARY}, {"wait", FAIL_WAIT},
};

bool fail_now(enum fail_kind kind) {
    uint64_t number;
    if ((atomic_load_relaxed(&plan.kinds) & kind) == 0) return false;
    number = atomic_add_relaxed(&plan.number, 1) + 1;
    if (number < atomic_load_relaxed(&plan.first) || number >= atomic_load_relaxed(&plan.end)) return false;
    atomic_add_relaxed(&plan.refused, 1);
    return true;
}

void fail_plan(unsigned kinds, uint64_t first, uint64_t count) {
    atomic_store_relaxed(&plan.kinds, 0);
    atomic_store_relaxed(&plan.number, 0);
    atomic_store_relaxed(&plan.refused, 0);
    atomic_store_relaxed(&plan.first, first);
    atomic_store_relaxed(&plan.end, count > UINT64_MAX - first ? UINT64_MAX : first + count);
    atomic_store_relaxed(&plan.kinds, count != 0 ? kinds : 0);
}

uint64_t fail_refused(void) { return atomic_load_relaxed(&plan.refused); }

bool fail_parse(const char *text) {
    unsigned kinds = FAIL_RESOURCES;
    const char *colon = strchr(text, ':');
    unsigned long long first;
    char *end;
    if (colon != NULL) {
        kinds = 0;
        for (size_t i = 0; i < COUNT_OF(kind_names); i++) {
            size_t length = strlen(kind_names[i].name);
            if ((size_t)(colon - text) == length && strncmp(text, kind_names[i].name, length) == 0)
                kinds = kind_names[i].kinds;
        }
        text = colon + 1;
    }
    if (*text < '0' || *text > '9') return false;
    first = strtoull(text, &end, 10);
    if (kinds == 0 || (strcmp(end, "") != 0 && strcmp(end, "+") != 0)) return false;
    fail_plan(kinds, first, first == 0 ? 0 : *end == '+' ? UINT64_MAX : 1);
    return true;
}

#endif
