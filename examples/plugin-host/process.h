/* process.h: a child process for a plugin, and the bytes between it and its host. process_win.c: a job object, two pipes,
 * which a thread waits for; process_posix.c: a process group, a socket pair, which the poller waits for.
 *
 * All functions are for tasks; errors are set. */
#ifndef PLUGIN_HOST_PROCESS_H
#define PLUGIN_HOST_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Both directions. One task reads at a time, one writes. */
typedef struct channel channel;
/* What there is, waiting for it: how many bytes; 0: the other side is gone. */
size_t channel_read(channel *c, void *out, size_t bytes);
/* All of it; false: the other side is gone. */
bool channel_write(channel *c, const void *data, size_t bytes);
void channel_close(channel *c);

typedef struct process process;
/* Starts the program (NULL: this one) with two arguments, the word and its end of the channel, in a job (a group) of its own
 * that ends with this process. memory_most_bytes: see process_limit. */
int process_start(process **out, channel **out_channel, const char *program, const char *word,
                  size_t memory_most_bytes);
uint64_t process_id(const process *p);
/* Ends it and all that it has started. It may have ended by itself. */
void process_kill(process *p);
/* Waits until it has ended, says how ("ended with status 3"), and frees it. */
void process_end(process *p, char *out_text, size_t text_bytes);

/* In the child: its end of the channel, by the argument; NULL: that is none. */
channel *channel_inherited(const char *argument);
/* In the child, on POSIX: no core files, so much private memory, and the end of the host is its end too. On Windows the job does
 * it, and lets no further process begin. */
void process_limit(size_t memory_most_bytes);

#endif
