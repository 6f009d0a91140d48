/* symbols.c (Windows): readers of the symbol table of PE files, which MinGW's tools write unless told not to, and of the
 * export table of loaded images, which every DLL has.
 *
 * The table is in the file only. Every access is a read of the file at an offset, which fails cleanly beyond its end: no
 * value in the file, however wrong, leads to a memory access. No heap, no lock: a report may be made with both in disorder.
 * An exported function is told to be what is at an address only if no other function begins between: what the unwinder
 * knows.
 * Threads: any. Locks: none. Order: none. Invariants: none. Tests: tests/unit/test_trace.c. */
#include "symbols.h"

enum { AT_ONCE = 64, SECTIONS_MOST = 96, CLASS_EXTERNAL = 2, CLASS_STATIC = 3, CLASS_LABEL = 6 };

/* 18 bytes each, unaligned. */
#pragma pack(push, 1)
typedef struct symbol {
    union {
        char text[8]; /* not ended by a zero if it is 8 long */
        struct {
            uint32_t zeroes, offset; /* longer names: in the string table behind the symbols */
        } longer;
    } name;
    uint32_t value;
    int16_t section;
    uint16_t type;
    uint8_t class, aux_count;
} symbol;
#pragma pack(pop)

typedef struct table {
    HANDLE file;
    uint32_t symbols_at, count;
    int16_t section;          /* the one that has the address, from 1 on */
    uint32_t section_address; /* from the image's base on */
} table;

static bool read_at(HANDLE file, uint64_t offset, void *out, DWORD bytes, DWORD *out_got) {
    LARGE_INTEGER position = {.QuadPart = (int64_t)offset};
    *out_got = 0;
    return SetFilePointerEx(file, position, NULL, FILE_BEGIN) && ReadFile(file, out, bytes, out_got, NULL);
}
static bool read_all(HANDLE file, uint64_t offset, void *out, DWORD bytes) {
    DWORD got;
    return read_at(file, offset, out, bytes, &got) && got == bytes;
}

static bool table_open(table *t, uint32_t address) {
    IMAGE_FILE_HEADER header;
    IMAGE_SECTION_HEADER section;
    uint32_t header_at;
    if (!read_all(t->file, offsetof(IMAGE_DOS_HEADER, e_lfanew), &header_at, sizeof header_at)) return false;
    header_at += sizeof(uint32_t); /* the signature */
    if (!read_all(t->file, header_at, &header, sizeof header)) return false;
    if (header.PointerToSymbolTable == 0 || header.NumberOfSections > SECTIONS_MOST) return false;
    t->symbols_at = header.PointerToSymbolTable;
    t->count = header.NumberOfSymbols;
    for (unsigned i = 0; i < header.NumberOfSections; i++) {
        uint64_t at = (uint64_t)header_at + sizeof header + header.SizeOfOptionalHeader + i * sizeof section;
        if (!read_all(t->file, at, &section, sizeof section)) return false;
        if (address - section.VirtualAddress >= section.Misc.VirtualSize) continue;
        t->section = (int16_t)(i + 1);
        t->section_address = section.VirtualAddress;
        return (section.Characteristics & IMAGE_SCN_MEM_EXECUTE) != 0;
    }
    return false;
}

/* Labels: what assembly keeps to itself. */
static bool has_code_class(const symbol *s) {
    return s->class == CLASS_EXTERNAL || s->class == CLASS_STATIC || s->class == CLASS_LABEL;
}

/* Sections, and pieces of them, begin with a period; so do the compiler's own labels. */
static bool is_better(const table *t, const symbol *s, uint32_t within, const symbol *best) {
    if (s->section != t->section || !has_code_class(s)) return false;
    if (s->value > within || (s->name.longer.zeroes != 0 && s->name.text[0] == '.')) return false;
    return best->section == 0 || s->value > best->value;
}

static bool nearest(const table *t, uint32_t address, symbol *out) {
    symbol symbols[AT_ONCE];
    uint32_t within = address - t->section_address, skip = 0;
    memset(out, 0, sizeof *out);
    for (uint32_t at = 0; at < t->count; at += AT_ONCE) {
        DWORD here = t->count - at < AT_ONCE ? t->count - at : AT_ONCE;
        if (!read_all(t->file, t->symbols_at + (uint64_t)at * sizeof(symbol), symbols, here * sizeof(symbol))) break;
        for (DWORD i = 0; i < here; i++) {
            if (skip > 0) {
                skip--;
                continue;
            }
            if (is_better(t, &symbols[i], within, out)) *out = symbols[i];
            skip = symbols[i].aux_count;
        }
    }
    return out->section != 0;
}

static bool name_read(const table *t, const symbol *s, char *out_name, size_t name_bytes) {
    DWORD got;
    if (s->name.longer.zeroes != 0) {
        snprintf(out_name, name_bytes, "%.8s", s->name.text);
        return true;
    }
    uint64_t at = t->symbols_at + (uint64_t)t->count * sizeof(symbol) + s->name.longer.offset;
    if (!read_at(t->file, at, out_name, (DWORD)name_bytes - 1, &got) || got == 0) return false;
    out_name[got] = '\0'; /* cut here, unless it ends before */
    return out_name[0] != '\0';
}

bool symbols_find(const wchar_t *file_path, uint32_t address, char *out_name, size_t name_bytes, size_t *out_offset) {
    DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    table t = {.file = CreateFileW(file_path, GENERIC_READ, share, NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL)};
    symbol s;
    bool found;
    if (t.file == INVALID_HANDLE_VALUE) return false;
    found = table_open(&t, address) && nearest(&t, address, &s) && name_read(&t, &s, out_name, name_bytes);
    if (found) *out_offset = address - t.section_address - s.value;
    CloseHandle(t.file);
    return found;
}

static const void *at_address(const char *image, uint32_t address) { return image + address; }

bool symbols_find_export(const char *image, uint32_t address, const char **out_name, size_t *out_offset,
                         bool *out_is_certain) {
    const IMAGE_DOS_HEADER *dos = at_address(image, 0);
    const IMAGE_NT_HEADERS64 *headers = at_address(image, (uint32_t)dos->e_lfanew);
    const IMAGE_DATA_DIRECTORY *directory = &headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXPORT];
    const IMAGE_EXPORT_DIRECTORY *exports = at_address(image, directory->VirtualAddress);
    const RUNTIME_FUNCTION *function;
    const uint32_t *functions, *names;
    const uint16_t *ordinals;
    uint32_t best = 0;
    DWORD64 base;
    *out_is_certain = false;
    if (directory->VirtualAddress == 0 || directory->Size < sizeof *exports) return false;
    functions = at_address(image, exports->AddressOfFunctions);
    names = at_address(image, exports->AddressOfNames);
    ordinals = at_address(image, exports->AddressOfNameOrdinals);
    for (uint32_t i = 0; i < exports->NumberOfNames; i++) {
        uint32_t begin = ordinals[i] < exports->NumberOfFunctions ? functions[ordinals[i]] : 0;
        if (begin > address || begin <= best) continue;
        best = begin;
        *out_name = at_address(image, names[i]);
    }
    function = RtlLookupFunctionEntry((DWORD64)(uintptr_t)image + address, &base, NULL);
    *out_offset = address - best;
    *out_is_certain = best != 0 && function != NULL && function->BeginAddress == best;
    return best != 0 && (function == NULL || function->BeginAddress <= best);
}
