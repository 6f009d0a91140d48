/* pintle/base.h: version, attributes, error codes, the clock. */
#ifndef PINTLE_BASE_H
#define PINTLE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PINTLE_VERSION_MAJOR 0
#define PINTLE_VERSION_MINOR 1
#define PINTLE_VERSION_PATCH 0
#define PINTLE_VERSION ((PINTLE_VERSION_MAJOR << 16) | (PINTLE_VERSION_MINOR << 8) | PINTLE_VERSION_PATCH)

/* PINTLE_API: how a function is imported. Users of the static library on Windows define PINTLE_STATIC
 * (pintle::pintle and pintle.pc do it for them). */
#if defined(_WIN32)
#if defined(PINTLE_BUILDING_SHARED)
#define PINTLE_API __declspec(dllexport)
#elif defined(PINTLE_STATIC)
#define PINTLE_API
#else
#define PINTLE_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define PINTLE_API __attribute__((visibility("default")))
#else
#define PINTLE_API
#endif

/* PINTLE_INLINE: inlined without optimization too, so that who calls is the user's function. */
#if defined(__GNUC__)
#define PINTLE_INLINE static inline __attribute__((always_inline))
#define PINTLE_NORETURN __attribute__((noreturn))
#if defined(__MINGW32__) && !defined(__clang__)
#define PINTLE_PRINTF(format_index, first_argument) __attribute__((format(gnu_printf, format_index, first_argument)))
#else
#define PINTLE_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#endif
#elif defined(_MSC_VER)
#define PINTLE_INLINE static __forceinline
#define PINTLE_NORETURN __declspec(noreturn)
#define PINTLE_PRINTF(format_index, first_argument)
#else
#define PINTLE_INLINE static inline
#define PINTLE_NORETURN
#define PINTLE_PRINTF(format_index, first_argument)
#endif

#if defined(__cplusplus)
extern "C" {
#endif

/* PINTLE_VERSION of the library that is linked or loaded, which may be newer than the header's.
 * Blocks: no. From: any. */
PINTLE_API uint32_t pintle_version(void);

/* ---- Errors ----------------------------------------------------------------------------------------------
 * A function that can fail returns 0 or one of these. They start at -20001, so that they meet no errno, no
 * EAI_*, no HRESULT. Breaking a contract (unpinning too often, a NULL function) is a panic instead: a report
 * that names the call, and exit status 2. */
enum {
    PINTLE_EINVAL = -20001,    /* an argument is not acceptable; the text says which and why */
    PINTLE_ENOMEM = -20002,    /* no memory, or no address space */
    PINTLE_ELIMIT = -20003,    /* a limit of the options or of the system is reached */
    PINTLE_ENOTFOUND = -20004, /* no such DLL, symbol, ordinal */
    PINTLE_ENOTSUP = -20005,   /* not on this platform or version */
    PINTLE_EBUSY = -20006,     /* still in use; the text says by whom */
    PINTLE_ECLOSED = -20007,   /* closed, or closing */
    PINTLE_ESTOPPED = -20008,  /* the runtime is not running, or is stopping */
    PINTLE_ETIMEDOUT = -20009, /* the deadline passed */
    PINTLE_ECANCELED = -20010, /* the task was cancelled */
    PINTLE_EAGAIN = -20011,    /* PINTLE_NOWAIT was given and this would have waited */
    PINTLE_EPANIC = -20012,    /* the task ended by a panic */
    PINTLE_EFAULT = -20013,    /* foreign code raised an exception */
    PINTLE_EACCES = -20014,    /* the system refuses access */
    PINTLE_EOS = -20015,       /* another error of the system: see os_code */
    PINTLE_EDEADLK = -20016,   /* waiting would never end */
    PINTLE_ECORRUPT = -20017   /* the runtime's own state is damaged: pintle_check */
};

/* A failure with everything a person needs. text is UTF-8: the input that caused it, the system's message, and
 * what to do. os_code is errno or GetLastError's value, 0 if the system had no part in it. */
typedef struct pintle_error {
    int code;
    int64_t os_code;
    char text[512];
} pintle_error;

/* Copies the last failure of the calling task (of the calling thread, where there is no task) to *out. code is
 * 0 if there was none. Success of a later call does not clear it. Blocks: no. From: any. */
PINTLE_API void pintle_error_get(pintle_error *out);

/* Records a failure for pintle_error_get, for users' own functions; returns code, so that
 * `return pintle_error_set(PINTLE_EINVAL, 0, "…", …);` reads well. Blocks: no. From: any. */
PINTLE_API int pintle_error_set(int code, int64_t os_code, const char *format, ...) PINTLE_PRINTF(3, 4);

/* A sentence for a code, and the code's name ("PINTLE_EBUSY"). Static strings; an unknown code gets a string
 * that says so. Blocks: no. From: any. */
PINTLE_API const char *pintle_strerror(int code);
PINTLE_API const char *pintle_error_name(int code);

/* ---- The clock -------------------------------------------------------------------------------------------
 * Deadlines are points on pintle_now()'s clock: nanoseconds, monotonic, from 2^62. A duration, a -1 or an
 * INFINITE passed where a deadline belongs is far below the clock's start, and is refused with PINTLE_EINVAL. */
#define PINTLE_FOREVER INT64_MAX
#define PINTLE_NOWAIT INT64_MIN
#define PINTLE_US(n) ((int64_t)(n)*1000)
#define PINTLE_MS(n) ((int64_t)(n)*1000000)
#define PINTLE_S(n) ((int64_t)(n)*1000000000)

/* The time now, for deadlines. Blocks: no. From: any. */
PINTLE_API int64_t pintle_now(void);

/* The deadline duration_ns from now: PINTLE_FOREVER if that is past the clock's end, now if it is negative.
 * Blocks: no. From: any. */
PINTLE_API int64_t pintle_after(int64_t duration_ns);

/* ---- Function types --------------------------------------------------------------------------------------*/
typedef int pintle_main_fn(void *arg);
typedef void pintle_fn(void *arg);

#if defined(__cplusplus)
}
#endif

#endif
