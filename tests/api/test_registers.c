/* test_registers.c: what the calling convention promises a caller: its registers survive every call into the library,
 * whatever ran meanwhile and on whichever thread it comes back. */
#include "api/api_helpers.h"

/* Fills every register that a callee must preserve with a value of its own made from arg (arg + 1, arg + 2, …), calls
 * fn(arg), and counts those that changed. */
unsigned registers_changed_by(void (*fn)(void *), void *arg);

#if defined(_WIN32)
/* rsp: 32 bytes home space | arg | 8 unused | xmm6 … xmm15 | 8 unused | 8 saved registers | return address */
__asm__(".text\n"
        ".globl registers_changed_by\n"
        ".seh_proc registers_changed_by\n"
        "registers_changed_by:\n"
        "  pushq %rbx\n .seh_pushreg %rbx\n"
        "  pushq %rbp\n .seh_pushreg %rbp\n"
        "  pushq %rdi\n .seh_pushreg %rdi\n"
        "  pushq %rsi\n .seh_pushreg %rsi\n"
        "  pushq %r12\n .seh_pushreg %r12\n"
        "  pushq %r13\n .seh_pushreg %r13\n"
        "  pushq %r14\n .seh_pushreg %r14\n"
        "  pushq %r15\n .seh_pushreg %r15\n"
        "  subq $216, %rsp\n .seh_stackalloc 216\n"
        "  movaps %xmm6, 48(%rsp)\n .seh_savexmm %xmm6, 48\n"
        "  movaps %xmm7, 64(%rsp)\n .seh_savexmm %xmm7, 64\n"
        "  movaps %xmm8, 80(%rsp)\n .seh_savexmm %xmm8, 80\n"
        "  movaps %xmm9, 96(%rsp)\n .seh_savexmm %xmm9, 96\n"
        "  movaps %xmm10, 112(%rsp)\n .seh_savexmm %xmm10, 112\n"
        "  movaps %xmm11, 128(%rsp)\n .seh_savexmm %xmm11, 128\n"
        "  movaps %xmm12, 144(%rsp)\n .seh_savexmm %xmm12, 144\n"
        "  movaps %xmm13, 160(%rsp)\n .seh_savexmm %xmm13, 160\n"
        "  movaps %xmm14, 176(%rsp)\n .seh_savexmm %xmm14, 176\n"
        "  movaps %xmm15, 192(%rsp)\n .seh_savexmm %xmm15, 192\n"
        "  .seh_endprologue\n"
        "  movq %rcx, %rax\n"
        "  movq %rdx, %rcx\n"
        "  movq %rcx, 32(%rsp)\n"
        "  .irp number, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "    leaq 20+\\number(%rcx), %rdx\n"
        "    movq %rdx, %xmm\\number\n"
        "    punpcklqdq %xmm\\number, %xmm\\number\n"
        "  .endr\n"
        "  leaq 1(%rcx), %rbx\n"
        "  leaq 2(%rcx), %rbp\n"
        "  leaq 3(%rcx), %rdi\n"
        "  leaq 4(%rcx), %rsi\n"
        "  leaq 5(%rcx), %r12\n"
        "  leaq 6(%rcx), %r13\n"
        "  leaq 7(%rcx), %r14\n"
        "  leaq 8(%rcx), %r15\n"
        "  call *%rax\n"
        "  movq 32(%rsp), %rcx\n"
        "  xorl %eax, %eax\n"
        "  .macro check_changed value\n"
        "    cmpq %rdx, \\value\n"
        "    setne %r8b\n"
        "    movzbl %r8b, %r8d\n"
        "    addl %r8d, %eax\n"
        "  .endm\n"
        "  leaq 1(%rcx), %rdx\n check_changed %rbx\n"
        "  leaq 2(%rcx), %rdx\n check_changed %rbp\n"
        "  leaq 3(%rcx), %rdx\n check_changed %rdi\n"
        "  leaq 4(%rcx), %rdx\n check_changed %rsi\n"
        "  leaq 5(%rcx), %rdx\n check_changed %r12\n"
        "  leaq 6(%rcx), %rdx\n check_changed %r13\n"
        "  leaq 7(%rcx), %rdx\n check_changed %r14\n"
        "  leaq 8(%rcx), %rdx\n check_changed %r15\n"
        "  .irp number, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "    leaq 20+\\number(%rcx), %rdx\n"
        "    movq %xmm\\number, %r9\n"
        "    check_changed %r9\n"
        "    movhlps %xmm\\number, %xmm0\n"
        "    movq %xmm0, %r9\n"
        "    check_changed %r9\n"
        "  .endr\n"
        "  movaps 48(%rsp), %xmm6\n"
        "  movaps 64(%rsp), %xmm7\n"
        "  movaps 80(%rsp), %xmm8\n"
        "  movaps 96(%rsp), %xmm9\n"
        "  movaps 112(%rsp), %xmm10\n"
        "  movaps 128(%rsp), %xmm11\n"
        "  movaps 144(%rsp), %xmm12\n"
        "  movaps 160(%rsp), %xmm13\n"
        "  movaps 176(%rsp), %xmm14\n"
        "  movaps 192(%rsp), %xmm15\n"
        "  addq $216, %rsp\n"
        "  popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rsi\n popq %rdi\n popq %rbp\n popq %rbx\n"
        "  ret\n"
        "  .seh_endproc\n");
#else
__asm__(".text\n"
        ".globl registers_changed_by\n"
        ".type registers_changed_by, @function\n"
        "registers_changed_by:\n"
        "  .cfi_startproc\n"
        "  pushq %rbx\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %rbx, 0\n"
        "  pushq %rbp\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %rbp, 0\n"
        "  pushq %r12\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %r12, 0\n"
        "  pushq %r13\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %r13, 0\n"
        "  pushq %r14\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %r14, 0\n"
        "  pushq %r15\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %r15, 0\n"
        "  subq $8, %rsp\n .cfi_adjust_cfa_offset 8\n"
        "  movq %rdi, %rax\n"
        "  movq %rsi, %rdi\n"
        "  movq %rsi, (%rsp)\n"
        "  leaq 1(%rsi), %rbx\n"
        "  leaq 2(%rsi), %rbp\n"
        "  leaq 3(%rsi), %r12\n"
        "  leaq 4(%rsi), %r13\n"
        "  leaq 5(%rsi), %r14\n"
        "  leaq 6(%rsi), %r15\n"
        "  call *%rax\n"
        "  movq (%rsp), %rsi\n"
        "  xorl %eax, %eax\n"
        "  .macro check_changed value\n"
        "    cmpq %rdx, \\value\n"
        "    setne %r8b\n"
        "    movzbl %r8b, %r8d\n"
        "    addl %r8d, %eax\n"
        "  .endm\n"
        "  leaq 1(%rsi), %rdx\n check_changed %rbx\n"
        "  leaq 2(%rsi), %rdx\n check_changed %rbp\n"
        "  leaq 3(%rsi), %rdx\n check_changed %r12\n"
        "  leaq 4(%rsi), %rdx\n check_changed %r13\n"
        "  leaq 5(%rsi), %rdx\n check_changed %r14\n"
        "  leaq 6(%rsi), %rdx\n check_changed %r15\n"
        "  addq $8, %rsp\n .cfi_adjust_cfa_offset -8\n"
        "  popq %r15\n .cfi_adjust_cfa_offset -8\n .cfi_restore %r15\n"
        "  popq %r14\n .cfi_adjust_cfa_offset -8\n .cfi_restore %r14\n"
        "  popq %r13\n .cfi_adjust_cfa_offset -8\n .cfi_restore %r13\n"
        "  popq %r12\n .cfi_adjust_cfa_offset -8\n .cfi_restore %r12\n"
        "  popq %rbp\n .cfi_adjust_cfa_offset -8\n .cfi_restore %rbp\n"
        "  popq %rbx\n .cfi_adjust_cfa_offset -8\n .cfi_restore %rbx\n"
        "  ret\n"
        "  .cfi_endproc\n"
        ".size registers_changed_by, .-registers_changed_by\n");
#endif

/* The checker itself: a function that breaks the rule is found out. */
#if defined(_WIN32)
#define CHANGE_TWO "xorl %edi, %edi\n xorps %xmm9, %xmm9\n"
#define CHANGED_BY_TWO 3 /* rdi and both halves of xmm9 */
#else
#define CHANGE_TWO "xorl %ebx, %ebx\n xorl %r13d, %r13d\n"
#define CHANGED_BY_TWO 2
#endif
void change_two_registers(void *arg);
__asm__(".text\n.globl change_two_registers\nchange_two_registers:\n" CHANGE_TWO " ret\n");

static void no_change(void *arg) { (void)arg; }

CASE(registers_checker_finds_changes) {
    int local = 0;
    ck_assert_uint_eq(registers_changed_by(no_change, &local), 0);
    ck_assert_uint_eq(registers_changed_by(change_two_registers, &local), CHANGED_BY_TWO);
}

/* ---- Everything that leaves the task ---- */

typedef struct worker {
    unsigned op;
    pintle_event event;
} worker;

static int compute_60_us(void *arg) {
    (void)arg;
    helper_compute(PINTLE_US(60));
    return 0;
}
static void set_workers_event(void *arg) { pintle_event_set(&((worker *)arg)->event); }

#if defined(_WIN32)
static void *clobber;
#endif

static void leave_and_come_back(void *arg) {
    worker *w = arg;
    switch (w->op) {
    case 0: pintle_yield(); break;
    case 1: pintle_call(helper_return_at_once, NULL); break;
    case 2: pintle_call(compute_60_us, NULL); break;
    case 3: pintle_call_blocking(compute_60_us, NULL); break;
    case 4: pintle_sleep(PINTLE_US(20)); break;
    case 5:
        pintle_blocking_begin();
        helper_compute(PINTLE_US(30));
        pintle_blocking_end();
        break;
    case 6:
        pintle_pin();
        pintle_yield();
        pintle_unpin();
        break;
    case 7:
        pintle_event_reset(&w->event);
        pintle_spawn(NULL, set_workers_event, w);
        pintle_event_wait(&w->event, PINTLE_FOREVER);
        break;
    case 8: {
        pintle_task *task;
        if (pintle_spawn(&task, no_change, NULL) == 0) pintle_join(task, PINTLE_FOREVER);
        break;
    }
#if defined(_WIN32)
    case 9: pintle_syscall(clobber, 0, 0, 0, 0); break;
    case 10: pintle_syscall6(clobber, 0, 0, 0, 0, 0, 0, 0); break;
    case 11: pintle_syscall9(clobber, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); break;
    case 12: pintle_syscall12(clobber, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); break;
    case 13: pintle_syscall15(clobber, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); break;
    case 14: {
        uintptr_t words[20] = {0};
        pintle_syscalln(clobber, 20, words);
        break;
    }
#endif
    default: break;
    }
}
#if defined(_WIN32)
#define OPS 15
#else
#define OPS 9
#endif

typedef struct crew {
    atomic_uint next, changed[OPS], done;
} crew;

static void crew_task(void *arg) {
    crew *c = arg;
    helper_random random = helper_random_from(atomic_fetch_add(&c->next, 1));
    worker w = {.event = PINTLE_EVENT_INIT};
    for (int i = 0; i < 100; i++) {
        w.op = i < OPS ? (unsigned)i : helper_random_below(&random, OPS);
        atomic_fetch_add(&c->changed[w.op], registers_changed_by(leave_and_come_back, &w));
        atomic_fetch_add(&c->done, 1);
    }
}
static int crew_main(void *arg) {
    pintle_task *tasks[30];
    unsigned failed = helper_spawn_all(tasks, 30, crew_task, arg);
    return (int)(failed + helper_join_all(tasks, 30));
}

CASE(registers_of_callers_survive_switches_and_calls) {
#if defined(_WIN32)
    void *module = NULL;
    ck_assert_int_eq(pintle_load_library(test_dll_path("words"), &module), 0);
    ck_assert_int_eq(pintle_get_proc_address(module, "words_clobber", &clobber), 0);
#endif
    for (unsigned processors = 1; processors <= 3; processors += 2) {
        crew c = {0};
        ck_assert_int_eq(helper_run(crew_main, &c, processors), 0);
        ck_assert_uint_eq(c.done, 3000);
        for (unsigned op = 0; op < OPS; op++)
            ck_assert_msg(c.changed[op] == 0, "operation %u changed %u registers", op, (unsigned)c.changed[op]);
    }
}

/* Without a runtime the wrappers just call, by the same rules. */
CASE(registers_of_callers_survive_calls_without_runtime) {
    worker w = {.op = 1};
    ck_assert_uint_eq(registers_changed_by(leave_and_come_back, &w), 0);
#if defined(_WIN32)
    void *module = NULL;
    ck_assert_int_eq(pintle_load_library(test_dll_path("words"), &module), 0);
    ck_assert_int_eq(pintle_get_proc_address(module, "words_clobber", &clobber), 0);
    for (w.op = 9; w.op < OPS; w.op++) ck_assert_uint_eq(registers_changed_by(leave_and_come_back, &w), 0);
#endif
}
