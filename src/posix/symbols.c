/* symbols.c (POSIX): a reader of the symbol table (.symtab) of ELF files.
 *
 * The dynamic linker knows exported names only, and a program exports none: what a report has to name is in the file.
 * Every access is a read of the file at an offset, which fails cleanly beyond its end: no value in the file, however
 * wrong, leads to a memory access. No heap, no lock: a report may be made with both in disorder.
 * Threads: any. Locks: none. Order: none. Invariants: none. Tests: tests/unit/test_trace.c. */
#include "symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <unistd.h>

enum { AT_ONCE = 64, SECTIONS_MOST = 4096 };

typedef ElfW(Sym) elf_symbol;
typedef ElfW(Shdr) elf_section;

static bool read_at(int file, uint64_t offset, void *out, size_t bytes) {
    return offset <= INT64_MAX && pread(file, out, bytes, (off_t)offset) == (ssize_t)bytes;
}

static bool section_read(int file, const ElfW(Ehdr) * header, unsigned index, elf_section *out) {
    return index < header->e_shnum && read_at(file, header->e_shoff + (uint64_t)index * sizeof *out, out, sizeof *out);
}

/* The table of all symbols, and the section with its names. */
static bool table_find(int file, elf_section *out_table, elf_section *out_names) {
    ElfW(Ehdr) header;
    if (!read_at(file, 0, &header, sizeof header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return false;
    if (header.e_shentsize != sizeof(elf_section) || header.e_shnum > SECTIONS_MOST) return false;
    for (unsigned i = 0; i < header.e_shnum; i++) {
        if (!section_read(file, &header, i, out_table)) return false;
        if (out_table->sh_type != SHT_SYMTAB || out_table->sh_entsize != sizeof(elf_symbol)) continue;
        return section_read(file, &header, out_table->sh_link, out_names);
    }
    return false;
}

/* Whether the symbol is code that begins at the address or before it, and nearer than `best`. Assembly's may have no size. */
static bool is_better(const elf_symbol *symbol, uintptr_t address, const elf_symbol *best) {
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    if (symbol->st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC)) return false;
    if (symbol->st_value > address || (symbol->st_size != 0 && address - symbol->st_value >= symbol->st_size))
        return false;
    return best->st_name == 0 || symbol->st_value > best->st_value;
}

static bool nearest(int file, const elf_section *table, uintptr_t address, elf_symbol *out) {
    uint64_t count = table->sh_size / sizeof(elf_symbol);
    elf_symbol symbols[AT_ONCE];
    memset(out, 0, sizeof *out);
    for (uint64_t at = 0; at < count; at += AT_ONCE) {
        unsigned here = count - at < AT_ONCE ? (unsigned)(count - at) : AT_ONCE;
        if (!read_at(file, table->sh_offset + at * sizeof(elf_symbol), symbols, here * sizeof(elf_symbol))) break;
        for (unsigned i = 0; i < here; i++) {
            if (is_better(&symbols[i], address, out)) *out = symbols[i];
        }
    }
    return out->st_name != 0;
}

bool symbols_find(const char *file_path, uintptr_t address, char *out_name, size_t name_bytes, size_t *out_offset) {
    int file = open(file_path, O_RDONLY | O_CLOEXEC);
    elf_section table, names;
    elf_symbol symbol;
    ssize_t got = 0;
    if (file < 0) return false;
    if (table_find(file, &table, &names) && nearest(file, &table, address, &symbol)) {
        got = pread(file, out_name, name_bytes - 1, (off_t)(names.sh_offset + symbol.st_name));
        *out_offset = (size_t)(address - symbol.st_value);
    }
    close(file);
    if (got <= 0) return false;
    out_name[got] = '\0'; /* cut here, unless it ends before */
    return out_name[0] != '\0';
}
