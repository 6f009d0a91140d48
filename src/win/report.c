/* report.c (Windows): what goes out of the process: standard error, the end, error texts; and what comes in by name.
 *
 * Threads: any. os_write_error needs about 1 KB of stack, for a report of a stack overflow. Locks: none of ours.
 * Order: none. Invariants: texts end in a zero byte and fit. Tests: tests/unit/test_os.c, tests/win/test_os_win.c. */
#include "win.h"

enum { CONSOLE_UNITS = 256 };

/* How many bytes of the text to convert at once: at most one unit of UTF-16 a byte; no character is cut. */
static int console_chunk(const char *text, size_t length) {
    if (length <= CONSOLE_UNITS) return (int)length;
    int bytes = CONSOLE_UNITS;
    while (bytes > CONSOLE_UNITS - 4 && ((unsigned char)text[bytes] & 0xC0) == 0x80) bytes--;
    return bytes;
}

/* A console takes UTF-16; its code page for bytes is rarely UTF-8. */
static void console_write(HANDLE console, const char *text, size_t length) {
    while (length > 0) {
        wchar_t units[CONSOLE_UNITS];
        int bytes = console_chunk(text, length);
        int count = MultiByteToWideChar(CP_UTF8, 0, text, bytes, units, CONSOLE_UNITS);
        DWORD written;
        if (!WriteConsoleW(console, units, (DWORD)count, &written, NULL)) return;
        text += bytes;
        length -= (size_t)bytes;
    }
}

void os_write_error(const char *text, size_t length) {
    HANDLE out = GetStdHandle(STD_ERROR_HANDLE);
    DWORD mode, written;
    if (out == NULL || out == INVALID_HANDLE_VALUE) return;
    if (GetConsoleMode(out, &mode))
        console_write(out, text, length);
    else
        WriteFile(out, text, (DWORD)length, &written, NULL);
}

/* Not ExitProcess: that ends the other threads first and then runs every DllMain, which may wait for them. */
void os_exit(int status) {
    TerminateProcess(GetCurrentProcess(), (UINT)status);
    for (;;) Sleep(INFINITE);
}

/* Not abort(): the C library's may ask the user with a window. The instruction of __fastfail, which MinGW's headers
 * declare but do not define: no handler of the process can swallow it, and the system's error reporting writes it down
 * with a dump. The status is 0xC0000409. */
void os_abort(void) {
    enum { FAIL_FATAL_APP_EXIT = 7 };
    __asm__ volatile("int $0x29" : : "c"(FAIL_FATAL_APP_EXIT));
    __builtin_unreachable();
}

/* Messages end in a period and line ends, which are in the way inside a sentence. */
static void trim_end(wchar_t *text, size_t length) {
    while (length > 0 && (text[length - 1] <= L' ' || text[length - 1] == L'.')) text[--length] = 0;
}

void os_error_text(int64_t os_code, char *out_text, size_t text_bytes) {
    wchar_t message[512];
    DWORD flags = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_MAX_WIDTH_MASK;
    DWORD length = os_code != (int64_t)(DWORD)os_code
                       ? 0
                       : FormatMessageW(flags, NULL, (DWORD)os_code, 0, message, COUNT_OF(message), NULL);
    trim_end(message, length);
    if (length == 0 || message[0] == 0)
        snprintf(out_text, text_bytes, "error %lld", (long long)os_code);
    else
        win_utf8(message, out_text, text_bytes);
}

bool os_environment(const char *name, char *out_value, size_t value_bytes) {
    wchar_t value[2048], wide_name[64]; /* no heap: without memory a variable is not to be overlooked */
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, name, -1, wide_name, COUNT_OF(wide_name)) == 0) return false;
    SetLastError(0);
    DWORD length = GetEnvironmentVariableW(wide_name, value, COUNT_OF(value));
    bool found = length < COUNT_OF(value) && (length > 0 || GetLastError() == 0);
    if (!found) return false;
    if (length == 0) value[0] = 0;
    int bytes = WideCharToMultiByte(CP_UTF8, 0, value, -1, NULL, 0, NULL, NULL);
    if (bytes <= 0 || (size_t)bytes > value_bytes) return false;
    win_utf8(value, out_value, value_bytes);
    return true;
}
