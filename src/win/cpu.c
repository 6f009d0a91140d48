/* cpu.c (Windows): how many processors this process may use.
 *
 * Processors come in groups of up to 64. A process in one group has an affinity mask for it; from Windows 11 on a
 * process may spread over several groups, and then uses all active processors of each. A job (a container is one) may
 * cap the CPU time of its processes, as a share of all the machine's processors.
 * Threads: any. Locks: none. Order: none. Invariants: at least 1. Tests: tests/unit/test_os.c, tests/win/test_os_win.c.
 * */
#include "win.h"

enum { GROUPS_MAX = 64 };

/* The groups of this process; 1 where the system does not tell. */
static unsigned group_list(USHORT out_groups[GROUPS_MAX]) {
    USHORT count = GROUPS_MAX;
    win_group_affinity_fn group_affinity = win_functions_get()->group_affinity;
    return group_affinity != NULL && group_affinity(GetCurrentProcess(), &count, out_groups) ? count : 1;
}

static unsigned affinity_count(void) {
    DWORD_PTR process_mask, system_mask;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &process_mask, &system_mask)) return 0;
    return (unsigned)__builtin_popcountll(process_mask);
}

static unsigned process_count(void) {
    USHORT groups[GROUPS_MAX];
    unsigned group_count = group_list(groups), count = 0;
    if (group_count == 1) return affinity_count();
    for (unsigned i = 0; i < group_count; i++) count += GetActiveProcessorCount(groups[i]);
    return count;
}

/* The hard cap of the process's own job, in processors, rounded up; 0: none. */
static unsigned job_count(void) {
    enum { RATE_WHOLE = 10000 };
    JOBOBJECT_CPU_RATE_CONTROL_INFORMATION rate = {0};
    DWORD capped = JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;
    if (!QueryInformationJobObject(NULL, JobObjectCpuRateControlInformation, &rate, sizeof rate, NULL)) return 0;
    if ((rate.ControlFlags & capped) != capped) return 0;
    uint64_t share = (uint64_t)rate.CpuRate * GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return (unsigned)((share + RATE_WHOLE - 1) / RATE_WHOLE);
}

unsigned os_processor_count(void) {
    unsigned count = process_count(), job = job_count();
    if (job != 0 && job < count) count = job;
    return count == 0 ? 1 : count;
}
