/* test_fault_posix.c: C++ exceptions without a C++ compiler; signals, and the handlers of a host. */
#include "api/fault_helpers.h"

static int thrown_main(void *arg) {
    faulty f;
    pintle_proc *throw_it, *in_flight;
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    EXPECT(pintle_dll_find(f.dll, "faults_throw", &throw_it) == 0);
    EXPECT(pintle_dll_find(f.dll, "faults_in_flight", &in_flight) == 0);
    for (unsigned i = 0; i < 100; i++) {
        EXPECT(is_fault(try_call(throw_it, 5, 0), SIGABRT, "C++ exception", "!faults_throw+"));
        EXPECT(pintle_proc_call(in_flight, 0, NULL).r1 == 0);
        still_works(&f);
    }
    faulty_close(&f);
    return 0;
}
CASE(cxx_exception_that_a_dll_throws_is_efault) { run_tasks(thrown_main, 2); }
