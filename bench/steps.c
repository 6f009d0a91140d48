/* steps.c: counts the instructions of an operation, and the locked ones among them: steps PROGRAM ARGUMENT...
 *
 * The program is pintle_bench with --steps, which stops itself (int3) before and after a slice of the loop. From the first stop
 * to the second the thread goes on by single steps, and all others stand still: no monitor sees how slow it has become. So
 * only rows do that need one thread. Linux, x86-64. Prints the two counts of the slice.
 *
 * A locked instruction has the prefix F0, or is an xchg with memory. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 64, INT3 = 0xCC };

static pid_t threads[THREADS];
static unsigned thread_count;

static void fail(const char *what) {
    fprintf(stderr, "steps: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void note_thread(pid_t thread) {
    for (unsigned i = 0; i < thread_count; i++)
        if (threads[i] == thread) return;
    if (thread_count == THREADS) fail("more threads than expected");
    threads[thread_count++] = thread;
}

static uint64_t instruction_at(pid_t thread) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, thread, NULL, &registers) != 0) fail("registers");
    return registers.rip;
}

static void code_at(pid_t thread, uint64_t address, unsigned char code[16]) {
    struct iovec to = {code, 16}, from = {(void *)address, 16};
    memset(code, 0, 16);
    if (process_vm_readv(thread, &to, 1, &from, 1, 0) < 1) fail("code");
}

static bool is_locked(const unsigned char *code) {
    const unsigned char *at = code;
    while (*at == 0x66 || *at == 0xF2 || *at == 0xF3 || *at == 0x64 || *at == 0x65) at++;
    if (*at == 0xF0) return true;
    if (*at >= 0x40 && *at <= 0x4F) at++; /* REX */
    return (*at == 0x86 || *at == 0x87) && at[1] < 0xC0;
}

/* Waits until a thread has stopped itself; the others, which are new threads mostly, go on. */
static pid_t wait_for_mark(void) {
    for (;;) {
        int status;
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0) fail("waitpid");
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread != threads[0]) continue;
            fprintf(stderr, "steps: the program ended before its second mark (%x)\n", status);
            exit(1);
        }
        note_thread(thread);
        int signal = WSTOPSIG(status), event = status >> 16;
        if (signal == SIGTRAP && event == 0) return thread;
        if (ptrace(PTRACE_CONT, thread, NULL, event != 0 ? 0 : signal) != 0) fail("continue");
    }
}

static void stop_others(pid_t but) {
    for (unsigned i = 0; i < thread_count; i++) {
        int status;
        if (threads[i] == but || ptrace(PTRACE_INTERRUPT, threads[i], NULL, NULL) != 0) continue;
        if (waitpid(threads[i], &status, __WALL) < 0) fail("waitpid of a thread");
    }
}

static void count(pid_t thread, uint64_t *out_steps, uint64_t *out_locked) {
    *out_steps = *out_locked = 0;
    for (;;) {
        unsigned char code[16];
        int status;
        code_at(thread, instruction_at(thread), code);
        if (code[0] == INT3) return;
        ++*out_steps;
        *out_locked += is_locked(code);
        if (ptrace(PTRACE_SINGLESTEP, thread, NULL, NULL) != 0) fail("step");
        if (waitpid(thread, &status, __WALL) < 0 || !WIFSTOPPED(status)) fail("the thread ended");
    }
}

int main(int argc, char **argv) {
    uint64_t steps, locked;
    if (argc < 2) {
        fprintf(stderr, "usage: steps PROGRAM ARGUMENT...\n");
        return 2;
    }
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        raise(SIGSTOP);
        execvp(argv[1], argv + 1);
        fail(argv[1]);
    }
    waitpid(child, NULL, WUNTRACED);
    if (ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL) != 0) fail("seize");
    kill(child, SIGCONT);
    note_thread(child);
    pid_t thread = wait_for_mark();
    stop_others(thread);
    count(thread, &steps, &locked);
    printf("{\"instructions\":%llu,\"locked\":%llu}\n", (unsigned long long)steps, (unsigned long long)locked);
    kill(child, SIGKILL);
    return 0;
}
