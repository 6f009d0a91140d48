/* test_trace.c: the names of code: exported, static, of this program and of libraries, and where no name can be had. */
#include "os.h"
#include "support/pintle_test.h"

__attribute__((noinline)) static void static_function(void) { __asm__ volatile("nop\n\tnop"); }

static const char *symbol_of(const void *address, bool is_return) {
    static char text[256];
    os_symbol(address, is_return, text, sizeof text);
    return text;
}
static void *code(void (*function)(void)) { return (void *)(uintptr_t)function; }

CASE(symbol_of_a_static_function_of_the_program_is_its_name) {
    static_function();
    ck_assert_ptr_nonnull(strstr(symbol_of(code(static_function), false), "test_unit_trace"));
    ck_assert_ptr_nonnull(strstr(symbol_of(code(static_function), false), "!static_function+0x0"));
    ck_assert_ptr_nonnull(strstr(symbol_of((char *)code(static_function) + 1, false), "!static_function+0x1"));
}

CASE(symbol_of_a_return_address_is_who_called) {
    /* A call that does not return may be the last instruction: the address behind it is the next function's. */
    ck_assert_ptr_nonnull(strstr(symbol_of((char *)code(static_function) + 1, true), "!static_function+0x1"));
    ck_assert_ptr_null(strstr(symbol_of(code(static_function), true), "!static_function"));
}

CASE(symbol_of_an_exported_function_of_a_library_names_both) {
    void *handle = NULL, *address = NULL;
    char text[512];
    int code_of_error;
    ck_assert_int_eq(os_dll_open(test_dll_path("words"), false, &handle, &code_of_error, text, sizeof text), 0);
    ck_assert_int_eq(os_dll_symbol(handle, "words_write", 0, &address), 0);
    ck_assert_ptr_nonnull(strstr(symbol_of((char *)address + 1, false), "words."));
    ck_assert_ptr_nonnull(strstr(symbol_of((char *)address + 1, false), "!words_write+0x1"));
    os_dll_close(handle);
}

CASE(symbol_of_what_is_no_code_is_unknown) {
    char here[16] = {0};
    ck_assert_str_eq(symbol_of(here, false), "?");
    ck_assert_str_eq(symbol_of(NULL, false), "?");
    ck_assert_str_eq(symbol_of(NULL, true), "?");
    ck_assert_str_eq(symbol_of((void *)(uintptr_t)0x10, false), "?");
}

CASE(symbol_is_cut_to_what_fits) {
    char text[20];
    memset(text, 'x', sizeof text);
    os_symbol(code(static_function), false, text, 8);
    ck_assert_uint_eq(strlen(text), 7);
    ck_assert_int_eq(text[8], 'x');
}

__attribute__((noinline)) static unsigned outer_function(void **frames, unsigned most) {
    unsigned count = os_backtrace(frames, most);
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return count;
}

CASE(backtrace_begins_with_the_callers_caller) {
    void *frames[8];
    unsigned count = outer_function(frames, 8);
    ck_assert_uint_ge(count, 2);
    ck_assert_ptr_nonnull(strstr(symbol_of(frames[0], true), "!backtrace_begins_with_the_callers_caller"));
    ck_assert_uint_eq(outer_function(frames, 1), 1);
}
