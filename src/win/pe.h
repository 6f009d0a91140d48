/* pe.h (Windows): a reader of DLL files, just enough to say why one cannot be loaded.
 * Threads: any. Locks: none. Tests: tests/win/test_os_win.c. */
#ifndef PINTLE_SRC_WIN_PE_H
#define PINTLE_SRC_WIN_PE_H

#include "win.h"

typedef enum pe_kind {
    PE_DLL,        /* a DLL for this program's kind of processor, as far as its header says */
    PE_UNREADABLE, /* the file cannot be opened: GetLastError() */
    PE_NOT_PE,     /* no PE header */
    PE_CUT_OFF,    /* ends within its header */
    PE_32_BIT,
    PE_OTHER_MACHINE,
    PE_NOT_DLL /* a program */
} pe_kind;

typedef struct pe_file {
    HANDLE file;
    uint64_t sections_at;
    unsigned section_count;
    uint32_t imports_rva; /* relative virtual address of the import table; 0: none */
} pe_file;

/* Opens the file and reads its header. Must be closed unless PE_UNREADABLE. */
pe_kind pe_open(pe_file *out_pe, const wchar_t *path);
void pe_close(pe_file *pe);
/* The name of the DLL that the index-th entry of the import table is for; false after the last. */
bool pe_import(const pe_file *pe, unsigned index, char *out_name, size_t name_bytes);

#endif
