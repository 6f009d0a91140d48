/* test_fault_win.c: exceptions that are no faults of the processor: raised, for good or not, C++'s; what a DLL wants to run on
 * the way out; a host's filter, and vectored handlers. */
#include "api/fault_helpers.h"

enum { CODE_OWN = 0x60001234 };
static int exceptions_main(void *arg) {
    faulty f;
    pintle_proc *raise, *raise_for_good, *handles_raised, *with_cleanup, *cleanups;
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    EXPECT(pintle_dll_find(f.dll, "faults_raise", &raise) == 0);
    EXPECT(pintle_dll_find(f.dll, "faults_raise_for_good", &raise_for_good) == 0);
    EXPECT(pintle_dll_find(f.dll, "faults_handles_raised", &handles_raised) == 0);
    EXPECT(pintle_dll_find(f.dll, "faults_with_cleanup", &with_cleanup) == 0);
    EXPECT(pintle_dll_find(f.dll, "faults_cleanups", &cleanups) == 0);
    for (unsigned i = 0; i < 100; i++) {
        EXPECT(is_fault(try_call(raise, CODE_OWN, 0), CODE_OWN, "exception", "RaiseException"));
        EXPECT(is_fault(try_call(raise_for_good, CODE_OWN, 0), CODE_OWN, "exception", "RaiseException"));
        EXPECT(is_fault(try_call(raise, 0xE06D7363, 0), (int)0xE06D7363, "C++ exception", "RaiseException"));
        EXPECT(pintle_proc_call(handles_raised, 1, &(uintptr_t){CODE_OWN}).r1 == 77);
        EXPECT(try_call(with_cleanup, 0, 0) == PINTLE_EFAULT); /* its termination handler has run */
        EXPECT(pintle_proc_call(cleanups, 0, NULL).r1 == i + 1);
        still_works(&f);
    }
    faulty_close(&f);
    return 0;
}
CASE(exceptions_that_a_dll_raises_are_efault_and_its_cleanup_runs) { run_tasks(exceptions_main, 2); }
