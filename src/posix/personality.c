/* personality.c (POSIX): what must not unwind past our frames. Calls, callbacks and protects have bookkeeping that only their
 * own ends undo, so no exception of C++ leaves them, as api says of tasks and thunks: at a throw that nobody below catches,
 * the C++ runtime ends the program, with all frames there to be looked at. And a thread that is made to end while it has a
 * task (pthread_exit or pthread_cancel in a call) would take the task along: that is told.
 * Backtraces do not ask: they go on through these frames (call.S, callback.S).
 * Threads: any. Tests: tests/posix/test_unwind.c. */
#include <unwind.h>

#include "base.h"

_Unwind_Reason_Code arch_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                                     struct _Unwind_Exception *exception, struct _Unwind_Context *context);

_Unwind_Reason_Code arch_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                                     struct _Unwind_Exception *exception, struct _Unwind_Context *context) {
    (void)version;
    (void)class;
    (void)exception;
    (void)context;
    if (actions & _UA_SEARCH_PHASE) return _URC_END_OF_STACK;
    fatal("foreign code ends its thread (pthread_exit, pthread_cancel) in a call or a callback of a task");
}
