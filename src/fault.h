/* fault.h: faults: what the processor, or code, raises where it cannot go on: access violations, divisions by zero, stack
 * overflows, exceptions that nobody handles.
 *
 *   where                       found by                              what becomes of it
 *   task code                   POSIX: a signal; Windows: a handler   a report, then what the system does; or a panic, if
 *                               in the task's first frame             the options ask for it. A stack overflow: a report
 *   foreign code, in a call     POSIX: a signal; Windows: a handler   a panic of the caller, if its DLL was opened so; else
 *                               in the call's trampoline              a report, then what the system does
 *   anywhere else               Windows: nobody                       not ours: what was there before has it
 * Foreign code's own handlers come first: on Windows because ours are in frames further out; on POSIX because whoever
 * registered a handler before us is asked before there is a report.
 * Threads: the one that it happened on. On POSIX in a signal handler, on its own stack: no heap.
 * Locks: none of ours; the loader's, for names. Tests: tests/death/test_fault.c, tests/api/test_fault.c. */
#ifndef PINTLE_SRC_FAULT_H
#define PINTLE_SRC_FAULT_H

#include "atomic.h"
#include "pintle/result.h"

struct callback;
struct panic;

enum { FAULT_FRAMES_MOST = 32 };

struct fault {
    const char *what; /* static text: "access violation" */
    const char *how;  /* " reading", " writing", …; NULL: it is not about an address */
    const void *accessed;
    uint32_t os_code; /* the signal's number, or the exception's code */
    const void *pc;   /* where */
    const void *sp;
    bool is_overflow; /* of the stack */
    unsigned frame_count;
    void *frames[FAULT_FRAMES_MOST]; /* pc, then its callers */
};

enum fault_place { FAULT_ELSEWHERE, FAULT_IN_TASK, FAULT_IN_CALL };

/* Whose code the calling thread was running, by its stack pointer. */
enum fault_place fault_place(const void *sp);
/* "access violation writing 0x0 at words.dll!words_write+0x4 (0xc0000005)" */
void fault_text(const struct fault *fault, char *out_text, size_t text_bytes);
/* Tells of a fault that ends the process. Needs some 20 KB of stack. */
void fault_report(const struct fault *fault);
/* The panic that the calling task's fault is to become; NULL: it is to be reported. Where nobody could stop it: it is
 * reported as a panic, and the process ends. */
struct panic *fault_panic(const struct fault *fault);
/* Goes on as that panic, on the task's stack. */
NORETURN void fault_raise(struct panic *panic);
/* A fault in a call that has been left since is a panic of the caller, with the text. */
NORETURN COLD void fault_panic_now(const struct fault *fault, const char *text);

/* ---- Calls whose faults are caught: PINTLE_DLL_FAULTS_PANIC ---- */

/* Lies in the caller's frame. A task's is known by its `inside` (scope.h), and goes with it when a panic comes by. */
struct fault_catch {
    void *sp;                  /* where to go on: layout.h */
    struct callback *callback; /* the innermost, when the call began: only its own level is caught */
    struct fault_catch *outer; /* on threads that run no task */
    void *library;             /* the language's, while an exception of it is caught */
    struct fault fault;
};

/* As call_words (call.h), and false; true: the function has raised what nobody handled, and the call is over: see
 * catch->fault. *out is left alone then. The task's innermost `inside` is the call's. Implemented in src/<os>/words.c. */
bool call_words_caught(void *fn, unsigned nargs, const uintptr_t *args, uint32_t float_flags, pintle_result *out,
                       struct fault_catch *catch);
/* In the call: the system's side of it, where handlers have to find the catch. */
void fault_catch_begin(struct fault_catch *catch);
void fault_catch_end(struct fault_catch *catch);

/* ---- The handlers of the process: src/<os>/fault.c ---- */

/* Counted: each begin needs its end. Errors: the system's number; nothing has begun then. */
int faults_begin(void);
void faults_end(void);
/* Whether these change what the rest of the process sees. */
bool faults_change_process(void);

#endif
