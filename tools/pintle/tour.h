/* tour.h: what the tour needs of the system: a zlib, and three calls that block. tour_win.c makes every call through the
 * pinned wrappers of pintle/syscall.h; tour_posix.c through pintle/dll.h and pintle_call.
 *
 * zlib's functions by words, as the DLL exports them. Where a size goes through memory (compress2, uncompress), the
 * platform's uLong (32 bits on Windows) is dealt with here. */
#ifndef PINTLE_COMMAND_TOUR_H
#define PINTLE_COMMAND_TOUR_H

#include "command.h"

/* Loads zlib by path, by bare name, or (NULL) from where it usually is. STATUS_OK, or STATUS_FAILED with a complaint. In a task. */
int tour_zlib_open(const char *name);
/* The path or name that it was loaded by, after tour_zlib_open. */
const char *tour_zlib_name(void);

pintle_result tour_zlib_version(void);
pintle_result tour_compress_bound(size_t bytes);
pintle_result tour_compress(void *out, size_t *inout_out_bytes, const void *data, size_t data_bytes);
pintle_result tour_uncompress(void *out, size_t *inout_out_bytes, const void *data, size_t data_bytes);

/* A call that fails, to show err, and how to write it down. */
extern const char tour_failing_call[];
pintle_result tour_fail(void);

/* The three ways to block. names: for people. */
enum tour_block { TOUR_SLEEP, TOUR_WAIT, TOUR_READ, TOUR_BLOCKS };
extern const char *const tour_block_names[TOUR_BLOCKS];

/* What the waiting tasks wait for: as many events, and one pipe. */
int tour_blocks_open(unsigned waits);
void tour_blocks_close(void);

/* Blocks the OS thread: for so long; until the event is set; until a byte comes. *out_value: 0 on success; the byte. */
pintle_result tour_sleep(unsigned duration_ms);
pintle_result tour_wait(unsigned number, int *out_value);
pintle_result tour_read(int *out_value);
/* Lets one of them go. false: the system refused. */
bool tour_wake_wait(unsigned number);
bool tour_wake_read(unsigned char byte);

#endif
