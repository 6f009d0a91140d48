/* platform.h: what the test program needs of the system beyond C: platform_posix.c and platform_win.c. */
#ifndef PINTLE_TEST_PLATFORM_H
#define PINTLE_TEST_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>

/* The status of a test program that was ended by its watchdog or by an unhandled exception. */
#define STATUS_TEST_DIED 70

/* Makes an unhandled exception a message and STATUS_TEST_DIED. Windows only: Wine lets a program that crashed on a stack
 * which is not the thread's own exit with 0, and CTest would say passed. */
void platform_catch_crashes(void);
/* For a death test's process: no crash dialogs, no core files. */
void platform_die_quietly(void);
/* Whether Check can run each case in a process of its own. */
bool platform_has_fork(void);

/* Ends the process after limit_s seconds, unless disarmed before. One at a time: arming again disarms first. For the
 * main thread. */
void watchdog_arm(const char *case_name, unsigned limit_s);
void watchdog_disarm(void);

/* Runs this program with the three arguments and waits; see child_run. own_console: Windows. Standard input is empty. -1: it did not start. */
int platform_run_self(const char *const arguments[3], bool own_console, char *out_text, size_t text_bytes);

/* Turns a path that CMake wrote (with '/') into the system's form, in place. */
void platform_native_path(char *path);

#endif
