/* pintle/signal.h: signals and console events, as items of a channel. Source: Go's os/signal, libuv's uv_signal. */
#ifndef PINTLE_SIGNAL_H
#define PINTLE_SIGNAL_H

#include "pintle/chan.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* What can be asked for; a kind that the system does not have never comes. */
enum {
    PINTLE_SIGNAL_INTERRUPT = 1, /* Ctrl-C; SIGINT */
    PINTLE_SIGNAL_BREAK = 2,     /* Windows: Ctrl-Break; POSIX: SIGQUIT (Ctrl-\) */
    PINTLE_SIGNAL_TERMINATE = 4, /* POSIX: SIGTERM */
    PINTLE_SIGNAL_CLOSE =
        8, /* the console is closed; SIGHUP, which services also take for "read your settings again" */
    PINTLE_SIGNAL_LOGOFF = 16,   /* Windows: the user logs off; services get this for every user */
    PINTLE_SIGNAL_SHUTDOWN = 32, /* Windows: the system shuts down */
    PINTLE_SIGNAL_USER1 = 64,    /* POSIX: SIGUSR1 */
    PINTLE_SIGNAL_USER2 = 128,   /* POSIX: SIGUSR2 */
    PINTLE_SIGNAL_STOP = 63      /* all that asks a program to end */
};

/* An item. */
typedef struct pintle_signal {
    uint32_t kind;   /* one of the above */
    int32_t number;  /* the system's: SIGINT, or CTRL_C_EVENT */
    int64_t time_ns; /* when it was taken up, on pintle_now()'s clock */
} pintle_signal;

/* Effect: makes a channel of pintle_signal that gets the kinds in `which` from now on; what the system would have done
 * otherwise, end the process, it does not do meanwhile. Several may be open: each gets its kinds. Nothing waits for a receiver: a
 * channel that is full, with 64 items, gets no more. While one is open there is no deadlock report: a signal may come.
 * The caller frees the channel, which ends it: with the last one for a kind the system's own way, or the handler that was there
 * before, comes back. The runtime's end closes all that are open.
 *
 * POSIX: handlers that were there before still run, after ours; the kernel runs both on any thread of the process, and a thread of
 * our own does the sending. A kind that was ignored, as under nohup, is no longer while somebody asks for it.
 * Windows: handlers that were installed before do not see what is asked for here. After CLOSE, LOGOFF and SHUTDOWN Windows ends the
 * process as soon as the handler returns, or after some seconds: so it is held, until pintle_signal_done or pintle_stop, or the
 * process ends by itself. A process that was started to ignore Ctrl-C, as a new process group, still does.
 * Blocks: no. From: any.
 * Errors: EINVAL (out is NULL; no kind, or one that is not known), ESTOPPED, ENOMEM, ELIMIT (the system makes no thread), EOS. */
PINTLE_API int pintle_signal_open(pintle_chan **out, unsigned which);

/* Effect: the program has done what CLOSE, LOGOFF or SHUTDOWN ask for: lets Windows go on, which then ends the process. Elsewhere
 * nothing. Blocks: no. From: any. */
PINTLE_API void pintle_signal_done(void);

#if defined(__cplusplus)
}
#endif

#endif
