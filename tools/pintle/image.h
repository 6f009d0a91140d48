/* image.h: what a DLL or shared object exports, read from its bytes: PE and ELF, of 32 and 64 bits, on every system.
 * Nothing is loaded or run, and no byte is trusted. (A reader of our own: no library that reads both formats, libbfd or
 * libelf, is packaged for MinGW too.) Uses only C. */
#ifndef PINTLE_COMMAND_IMAGE_H
#define PINTLE_COMMAND_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_export {
    const char *name;    /* NULL: by ordinal only */
    const char *forward; /* "OTHER.Name": it is another DLL's; else NULL */
    const char *kind;    /* "code", "data", "forward"; ELF also "tls", "ifunc" */
    uint64_t address;    /* relative to where the image begins in memory */
    uint32_t ordinal;    /* 0: none (ELF) */
};

struct image {
    const char *format;  /* "PE" or "ELF" */
    const char *machine; /* "x86-64", "x86", …, "unknown" */
    unsigned bits;
    const char *name; /* its own name: of the export table, or SONAME; NULL: none */
    struct image_export *exports;
    size_t count;
};

/* Reads the exports, sorted by ordinal or by name. Texts point into bytes, which must stay. false: *out_complaint is the end of the
 * sentence "'FILE' …". */
bool image_read(const unsigned char *bytes, size_t byte_count, struct image *out, char *out_complaint,
                size_t complaint_bytes);
void image_free(struct image *image);

#endif
