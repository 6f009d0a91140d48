/* image.c: the exports of PE and ELF files. Every offset and count comes from the file and is checked against its size
 * before it is used; counts have limits of their own, so that a small file cannot ask for much work. */
#include "image.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTIONS_MOST = 4096, FUNCTIONS_MOST = 65536, NAMES_MOST = 1 << 20, SYMBOLS_MOST = 1 << 22, NAME_MOST = 4096 };

struct reader {
    const unsigned char *bytes;
    size_t count;
    struct image *image;
    char *complaint;
    size_t complaint_bytes;
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct reader *r, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->complaint, r->complaint_bytes, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- Bytes ---- */

static bool has(const struct reader *r, uint64_t offset, uint64_t bytes) {
    return offset <= r->count && bytes <= r->count - offset;
}

/* Little-endian. Only where has() was asked. */
static uint64_t get(const struct reader *r, uint64_t offset, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)r->bytes[offset + i] << (8 * i);
    return value;
}

/* A text that ends before `end` and is not too long; else NULL. */
static const char *text_at(const struct reader *r, uint64_t offset, uint64_t end) {
    if (end > r->count) end = r->count;
    if (offset >= end) return NULL;
    uint64_t most = end - offset < NAME_MOST ? end - offset : NAME_MOST;
    return memchr(r->bytes + offset, 0, most) != NULL ? (const char *)r->bytes + offset : NULL;
}

static bool make_room(struct reader *r, uint64_t count) {
    r->image->exports = calloc(count + 1, sizeof *r->image->exports);
    return r->image->exports != NULL || refuse(r, "has %llu exports: no memory for them", (unsigned long long)count);
}

/* ---- PE ---- */

struct pe {
    uint64_t sections_at, headers_bytes;
    unsigned section_count;
    uint32_t exports_rva, exports_bytes;
};
enum { SECTION_BYTES = 40, EXPORT_TABLE_BYTES = 40, SECTION_EXECUTES = 0x20000000 };

/* Where the bytes at an address are in the file, how many follow there, and whether they are code. */
static bool pe_offset(const struct reader *r, const struct pe *pe, uint32_t rva, uint64_t bytes, uint64_t *out_offset,
                      uint64_t *out_end) {
    for (unsigned i = 0; i < pe->section_count; i++) {
        uint64_t section = pe->sections_at + (uint64_t)i * SECTION_BYTES;
        uint32_t start = (uint32_t)get(r, section + 12, 4), raw = (uint32_t)get(r, section + 16, 4);
        uint64_t at = get(r, section + 20, 4);
        if (rva < start || rva - start >= raw) continue;
        *out_offset = at + (rva - start);
        *out_end = at + raw;
        return bytes <= raw - (rva - start) && has(r, *out_offset, bytes);
    }
    *out_offset = rva; /* in the headers */
    *out_end = pe->headers_bytes;
    return rva < pe->headers_bytes && bytes <= pe->headers_bytes - rva && has(r, rva, bytes);
}

static bool pe_is_code(const struct reader *r, const struct pe *pe, uint32_t rva) {
    for (unsigned i = 0; i < pe->section_count; i++) {
        uint64_t section = pe->sections_at + (uint64_t)i * SECTION_BYTES;
        uint32_t start = (uint32_t)get(r, section + 12, 4), size = (uint32_t)get(r, section + 8, 4);
        uint32_t raw = (uint32_t)get(r, section + 16, 4);
        if (size < raw) size = raw;
        if (rva >= start && rva - start < size) return (get(r, section + 36, 4) & SECTION_EXECUTES) != 0;
    }
    return false;
}

static const char *pe_text(const struct reader *r, const struct pe *pe, uint32_t rva) {
    uint64_t offset, end;
    return pe_offset(r, pe, rva, 1, &offset, &end) ? text_at(r, offset, end) : NULL;
}

static const char *pe_machine(unsigned machine) {
    switch (machine) {
    case 0x8664: return "x86-64";
    case 0x14c: return "x86";
    case 0xaa64: return "arm64";
    case 0x1c4: return "arm";
    default: return "unknown";
    }
}

static bool pe_headers(struct reader *r, struct pe *pe) {
    static const char cut_off[] = "is cut off: it ends within its header";
    if (!has(r, 0x3c, 4)) return refuse(r, cut_off);
    uint64_t at = get(r, 0x3c, 4), optional = at + 24;
    if (!has(r, at, 24)) return refuse(r, cut_off);
    if (memcmp(r->bytes + at, "PE\0\0", 4) != 0) return refuse(r, "is a program for DOS, not a DLL");
    r->image->machine = pe_machine((unsigned)get(r, at + 4, 2));
    uint64_t optional_bytes = get(r, at + 20, 2);
    if (optional_bytes < 2 || !has(r, optional, optional_bytes)) return refuse(r, cut_off);
    unsigned magic = (unsigned)get(r, optional, 2);
    if (magic != 0x10b && magic != 0x20b) return refuse(r, "has a header of an unknown kind (0x%x)", magic);
    r->image->bits = magic == 0x20b ? 64 : 32;
    uint64_t directories = magic == 0x20b ? 112 : 96;
    if (optional_bytes < directories)
        return refuse(r, "has a header that is too short (%u bytes)", (unsigned)optional_bytes);
    pe->headers_bytes = get(r, optional + 60, 4);
    if (pe->headers_bytes > r->count) pe->headers_bytes = r->count;
    if (get(r, optional + directories - 4, 4) > 0 && optional_bytes >= directories + 8) {
        pe->exports_rva = (uint32_t)get(r, optional + directories, 4);
        pe->exports_bytes = (uint32_t)get(r, optional + directories + 4, 4);
    }
    pe->section_count = (unsigned)get(r, at + 6, 2);
    pe->sections_at = optional + optional_bytes;
    if (pe->section_count > SECTIONS_MOST) return refuse(r, "has %u sections, which no DLL has", pe->section_count);
    return has(r, pe->sections_at, (uint64_t)pe->section_count * SECTION_BYTES) || refuse(r, cut_off);
}

/* One entry of the table of functions, under a name or none. */
static bool pe_add(struct reader *r, const struct pe *pe, uint32_t rva, uint64_t ordinal, const char *name) {
    struct image_export *export = &r->image->exports[r->image->count++];
    *export = (struct image_export){.name = name, .ordinal = (uint32_t)ordinal, .address = rva};
    if (rva >= pe->exports_rva && rva - pe->exports_rva < pe->exports_bytes) {
        export->kind = "forward";
        export->forward = pe_text(r, pe, rva);
        if (export->forward == NULL)
            return refuse(r, "has a damaged export table: the forwarder of ordinal %u has no end", export->ordinal);
    } else {
        export->kind = pe_is_code(r, pe, rva) ? "code" : "data";
    }
    return true;
}

static int by_ordinal(const void *left, const void *right) {
    const struct image_export *a = left, *b = right;
    if (a->ordinal != b->ordinal) return a->ordinal < b->ordinal ? -1 : 1;
    return a->name == NULL || b->name == NULL ? (a->name != NULL) - (b->name != NULL) : strcmp(a->name, b->name);
}

static bool pe_names(struct reader *r, const struct pe *pe, uint64_t functions, uint64_t names, uint64_t ordinals,
                     uint32_t name_count, uint32_t function_count, uint64_t base, bool *named) {
    for (uint32_t i = 0; i < name_count; i++) {
        uint64_t index = get(r, ordinals + 2ull * i, 2);
        const char *name = pe_text(r, pe, (uint32_t)get(r, names + 4ull * i, 4));
        if (name == NULL) return refuse(r, "has a damaged export table: name %u is not in the file", i);
        if (index >= function_count) {
            return refuse(r, "has a damaged export table: name %u is for function %u of %u", i, (unsigned)index,
                          function_count);
        }
        named[index] = true;
        if (!pe_add(r, pe, (uint32_t)get(r, functions + 4 * index, 4), base + index, name)) return false;
    }
    for (uint32_t i = 0; i < function_count; i++) {
        uint32_t rva = (uint32_t)get(r, functions + 4ull * i, 4);
        if (rva != 0 && !named[i] && !pe_add(r, pe, rva, base + i, NULL)) return false;
    }
    return true;
}

static bool pe_read(struct reader *r) {
    struct pe pe = {0};
    uint64_t table, end, functions, names, ordinals;
    r->image->format = "PE";
    if (!pe_headers(r, &pe)) return false;
    if (pe.exports_rva == 0) return make_room(r, 0);
    if (!pe_offset(r, &pe, pe.exports_rva, EXPORT_TABLE_BYTES, &table, &end))
        return refuse(r, "has a damaged export table: it is not in the file");
    uint32_t base = (uint32_t)get(r, table + 16, 4), function_count = (uint32_t)get(r, table + 20, 4);
    uint32_t name_count = (uint32_t)get(r, table + 24, 4);
    r->image->name = pe_text(r, &pe, (uint32_t)get(r, table + 12, 4));
    if (function_count > FUNCTIONS_MOST || name_count > NAMES_MOST)
        return refuse(r, "has a damaged export table: it says %u functions and %u names", function_count, name_count);
    if (function_count != 0 &&
        !pe_offset(r, &pe, (uint32_t)get(r, table + 28, 4), 4ull * function_count, &functions, &end))
        return refuse(r, "has a damaged export table: the addresses of %u functions are not in the file",
                      function_count);
    if (name_count != 0 && (!pe_offset(r, &pe, (uint32_t)get(r, table + 32, 4), 4ull * name_count, &names, &end) ||
                            !pe_offset(r, &pe, (uint32_t)get(r, table + 36, 4), 2ull * name_count, &ordinals, &end)))
        return refuse(r, "has a damaged export table: %u names are not in the file", name_count);
    if (function_count == 0) return make_room(r, 0);
    bool *named = calloc(function_count, sizeof *named);
    if (name_count == 0) names = ordinals = 0;
    bool good = named != NULL ? make_room(r, (uint64_t)function_count + name_count)
                              : refuse(r, "has %u exports: no memory for them", function_count);
    good = good && pe_names(r, &pe, functions, names, ordinals, name_count, function_count, base, named);
    free(named);
    if (good) qsort(r->image->exports, r->image->count, sizeof *r->image->exports, by_ordinal);
    return good;
}

/* ---- ELF ---- */

struct elf_section {
    uint64_t type, offset, bytes, link, entry_bytes;
};

enum { ELF_STRTAB = 3, ELF_DYNAMIC = 6, ELF_DYNSYM = 11, ELF_SONAME = 14 };
static const uint64_t ELF_VERSYM = 0x6fffffff;

struct elf {
    bool wide; /* of 64 bits */
    uint64_t sections_at, section_bytes, section_count;
};

static struct elf_section elf_section(const struct reader *r, const struct elf *elf, uint64_t number) {
    uint64_t at = elf->sections_at + number * elf->section_bytes;
    if (elf->wide)
        return (struct elf_section){get(r, at + 4, 4), get(r, at + 24, 8), get(r, at + 32, 8), get(r, at + 40, 4),
                                    get(r, at + 56, 8)};
    return (struct elf_section){get(r, at + 4, 4), get(r, at + 16, 4), get(r, at + 20, 4), get(r, at + 24, 4),
                                get(r, at + 36, 4)};
}

static bool elf_find(const struct reader *r, const struct elf *elf, uint64_t type, struct elf_section *out) {
    for (uint64_t i = 0; i < elf->section_count; i++) {
        *out = elf_section(r, elf, i);
        if (out->type == type) return has(r, out->offset, out->bytes);
    }
    return false;
}

static const char *elf_machine(unsigned machine) {
    switch (machine) {
    case 62: return "x86-64";
    case 3: return "x86";
    case 183: return "arm64";
    case 40: return "arm";
    case 243: return "riscv";
    default: return "unknown";
    }
}

static bool elf_headers(struct reader *r, struct elf *elf) {
    elf->wide = has(r, 0, 16) && r->bytes[4] == 2;
    if (!has(r, 0, elf->wide ? 64 : 52)) return refuse(r, "is cut off: it ends within its header");
    if (r->bytes[5] != 1) return refuse(r, "is for a big-endian machine, which is not read here");
    r->image->bits = elf->wide ? 64 : 32;
    r->image->machine = elf_machine((unsigned)get(r, 18, 2));
    elf->sections_at = elf->wide ? get(r, 40, 8) : get(r, 32, 4);
    elf->section_bytes = get(r, elf->wide ? 58 : 46, 2);
    elf->section_count = get(r, elf->wide ? 60 : 48, 2);
    if (elf->sections_at == 0 || elf->section_count == 0)
        return refuse(r, "has no table of sections to find its symbols by");
    if (elf->section_bytes < (elf->wide ? 64 : 40) ||
        !has(r, elf->sections_at, elf->section_bytes * elf->section_count))
        return refuse(r, "is damaged: its table of sections is not in the file");
    return true;
}

static const char *elf_kind(unsigned type) {
    switch (type) {
    case 2: return "code";
    case 6: return "tls";
    case 10: return "ifunc";
    default: return "data";
    }
}

static void elf_soname(const struct reader *r, const struct elf *elf, struct elf_section texts) {
    struct elf_section dynamic;
    unsigned word = elf->wide ? 8 : 4;
    if (!elf_find(r, elf, ELF_DYNAMIC, &dynamic)) return;
    for (uint64_t i = 0; i + 2 * word <= dynamic.bytes; i += 2 * word) {
        uint64_t tag = get(r, dynamic.offset + i, word), value = get(r, dynamic.offset + i + word, word);
        if (tag == 0) return;
        if (tag != ELF_SONAME || value >= texts.bytes) continue;
        r->image->name = text_at(r, texts.offset + value, texts.offset + texts.bytes);
        return;
    }
}

static int by_name(const void *left, const void *right) {
    const struct image_export *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->address > b->address) - (a->address < b->address);
}

/* One symbol, if it is exported: defined here, seen from outside, and of the version that others get by its name. */
static bool elf_add(struct reader *r, const struct elf *elf, uint64_t at, struct elf_section texts, unsigned version) {
    unsigned info = r->bytes[at + (elf->wide ? 4 : 12)], other = r->bytes[at + (elf->wide ? 5 : 13)];
    unsigned section = (unsigned)get(r, at + (elf->wide ? 6 : 14), 2), bind = info >> 4, visibility = other & 3;
    uint64_t name_at = get(r, at, 4);
    if (section == 0 || section == 0xfff1 || name_at == 0) return true; /* undefined; a version's own name */
    if ((bind != 1 && bind != 2 && bind != 10) || visibility == 1 || visibility == 2 || (version & 0x8000) != 0)
        return true;
    const char *name = name_at < texts.bytes ? text_at(r, texts.offset + name_at, texts.offset + texts.bytes) : NULL;
    if (name == NULL) return refuse(r, "has a damaged table of symbols: a name is not in the file");
    uint64_t address = elf->wide ? get(r, at + 8, 8) : get(r, at + 4, 4);
    r->image->exports[r->image->count++] = (struct image_export){
        .name = name, .kind = elf_kind(info & 15), .address = address};
    return true;
}

static bool elf_read(struct reader *r) {
    struct elf elf;
    struct elf_section symbols, texts, versions;
    r->image->format = "ELF";
    if (!elf_headers(r, &elf)) return false;
    uint64_t least = elf.wide ? 24 : 16;
    if (!elf_find(r, &elf, ELF_DYNSYM, &symbols))
        return refuse(r, "has no table of dynamic symbols: it exports nothing");
    if (symbols.entry_bytes < least || symbols.bytes / symbols.entry_bytes > SYMBOLS_MOST ||
        symbols.link >= elf.section_count)
        return refuse(r, "has a damaged table of symbols");
    texts = elf_section(r, &elf, symbols.link);
    if (texts.type != ELF_STRTAB || !has(r, texts.offset, texts.bytes))
        return refuse(r, "has a damaged table of symbols: its names are not in the file");
    bool has_versions = elf_find(r, &elf, ELF_VERSYM, &versions);
    uint64_t count = symbols.bytes / symbols.entry_bytes;
    if (!make_room(r, count)) return false;
    for (uint64_t i = 0; i < count; i++) {
        bool has_version = has_versions && 2 * i + 2 <= versions.bytes;
        unsigned version = has_version ? (unsigned)get(r, versions.offset + 2 * i, 2) : 0;
        if (!elf_add(r, &elf, symbols.offset + i * symbols.entry_bytes, texts, version)) return false;
    }
    elf_soname(r, &elf, texts);
    qsort(r->image->exports, r->image->count, sizeof *r->image->exports, by_name);
    return true;
}

/* ---- Both ---- */

bool image_read(const unsigned char *bytes, size_t byte_count, struct image *out, char *out_complaint,
                size_t complaint_bytes) {
    struct reader r = {bytes, byte_count, out, out_complaint, complaint_bytes};
    bool good;
    memset(out, 0, sizeof *out);
    if (has(&r, 0, 4) && memcmp(bytes, "\177ELF", 4) == 0)
        good = elf_read(&r);
    else if (has(&r, 0, 2) && memcmp(bytes, "MZ", 2) == 0)
        good = pe_read(&r);
    else
        good = refuse(&r, "is neither a DLL nor a shared object");
    if (!good) image_free(out);
    return good;
}

void image_free(struct image *image) {
    free(image->exports);
    image->exports = NULL;
    image->count = 0;
}
