/* pe.c (Windows): a reader of DLL files, just enough to say why one cannot be loaded.
 *
 * Every access is a read of the file at an offset, which fails cleanly beyond its end: no value in the file, however
 * wrong, leads to a memory access. Slow, and only used once a load has failed.
 * Layout: at 3Ch the offset of "PE\0\0"; then the file header (20 bytes), the optional header, the section table.
 * Threads: any, one at a time for one pe_file. Locks: none. Order: none. Invariants: none beyond pe.h's.
 * Tests: tests/win/test_os_win.c. */
#include "pe.h"

static bool read_at(const pe_file *pe, uint64_t offset, void *out, DWORD bytes) {
    LARGE_INTEGER position = {.QuadPart = (int64_t)offset};
    DWORD got = 0;
    return SetFilePointerEx(pe->file, position, NULL, FILE_BEGIN) && ReadFile(pe->file, out, bytes, &got, NULL) &&
           got == bytes;
}

static uint16_t own_machine(void) {
    const char *program = (const char *)GetModuleHandleW(NULL);
    const IMAGE_DOS_HEADER *dos = (const IMAGE_DOS_HEADER *)(const void *)program;
    return ((const IMAGE_NT_HEADERS *)(const void *)(program + dos->e_lfanew))->FileHeader.Machine;
}

/* Whether the file has a DOS header; *out_header_at: where its PE header should be. */
static pe_kind header_find(const pe_file *pe, uint64_t *out_header_at) {
    uint16_t magic;
    uint32_t header_at, signature;
    if (!read_at(pe, 0, &magic, sizeof magic) || magic != IMAGE_DOS_SIGNATURE) return PE_NOT_PE;
    if (!read_at(pe, offsetof(IMAGE_DOS_HEADER, e_lfanew), &header_at, sizeof header_at)) return PE_CUT_OFF;
    if (!read_at(pe, header_at, &signature, sizeof signature)) return PE_CUT_OFF;
    *out_header_at = header_at + sizeof signature;
    return signature == IMAGE_NT_SIGNATURE ? PE_DLL : PE_NOT_PE;
}

static pe_kind machine_check(uint16_t machine) {
    if (machine == own_machine()) return PE_DLL;
    return machine == IMAGE_FILE_MACHINE_I386 ? PE_32_BIT : PE_OTHER_MACHINE;
}

static pe_kind header_read(pe_file *pe) {
    uint64_t header_at;
    pe_kind kind = header_find(pe, &header_at);
    if (kind != PE_DLL) return kind;
    IMAGE_FILE_HEADER header;
    if (!read_at(pe, header_at, &header, sizeof header)) return PE_CUT_OFF;
    kind = machine_check(header.Machine);
    if (kind != PE_DLL) return kind;
    if ((header.Characteristics & IMAGE_FILE_DLL) == 0) return PE_NOT_DLL;
    uint64_t optional_at = header_at + sizeof header;
    uint64_t imports_at = optional_at + offsetof(IMAGE_OPTIONAL_HEADER64, DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT]);
    if (!read_at(pe, imports_at, &pe->imports_rva, sizeof pe->imports_rva)) return PE_CUT_OFF;
    pe->sections_at = optional_at + header.SizeOfOptionalHeader;
    pe->section_count = header.NumberOfSections;
    return PE_DLL;
}

pe_kind pe_open(pe_file *out_pe, const wchar_t *path) {
    DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    *out_pe = (pe_file){
        .file = CreateFileW(path, GENERIC_READ, share, NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL)};
    return out_pe->file == INVALID_HANDLE_VALUE ? PE_UNREADABLE : header_read(out_pe);
}

void pe_close(pe_file *pe) { CloseHandle(pe->file); }

/* Where the byte at a relative virtual address is in the file. */
static bool file_offset(const pe_file *pe, uint32_t rva, uint64_t *out_offset) {
    for (unsigned i = 0; i < pe->section_count; i++) {
        IMAGE_SECTION_HEADER section;
        if (!read_at(pe, pe->sections_at + i * sizeof section, &section, sizeof section)) return false;
        if (rva < section.VirtualAddress || rva - section.VirtualAddress >= section.SizeOfRawData) continue;
        *out_offset = (uint64_t)section.PointerToRawData + (rva - section.VirtualAddress);
        return true;
    }
    return false;
}

/* A text that ends in a zero byte; false if it is longer than the buffer. */
static bool text_read(const pe_file *pe, uint64_t offset, char *out_text, size_t text_bytes) {
    for (size_t i = 0; i < text_bytes; i++) {
        if (!read_at(pe, offset + i, out_text + i, 1)) return false;
        if (out_text[i] == 0) return true;
    }
    return false;
}

bool pe_import(const pe_file *pe, unsigned index, char *out_name, size_t name_bytes) {
    IMAGE_IMPORT_DESCRIPTOR import;
    uint64_t table_at, name_at;
    if (pe->imports_rva == 0 || !file_offset(pe, pe->imports_rva, &table_at)) return false;
    if (!read_at(pe, table_at + (uint64_t)index * sizeof import, &import, sizeof import) || import.Name == 0)
        return false;
    return file_offset(pe, import.Name, &name_at) && text_read(pe, name_at, out_name, name_bytes);
}
