/* test_real_dlls.c: libraries that none of us wrote, as plugins: zlib and libgcrypt (which needs another, beside it), by words,
 * from 1,000 tasks. Debian's zlib1.dll and libgcrypt-20.dll for Windows, the system's own libraries on Linux.
 *
 * What is right: published vectors (CRC-32 and Adler-32 of the usual texts, FIPS 180-4's "abc", FIPS 197's block), and figures over
 * all 1,000 tasks that are constants here. The native run of the same cases checks these against the native libraries; so what the
 * DLLs give is what the native libraries give. */
#include "api/dll_helpers.h"

#if defined(_WIN32)
typedef uint32_t zlib_long; /* what zlib.h calls uLong, where it goes through memory */
#else
typedef unsigned long zlib_long;
#endif

enum { TASKS = 1000, CHUNK_MOST = 8192 };

static pintle_dll *open_library(const char *name) {
    pintle_dll *dll = NULL;
    int code = strpbrk(name, "/\\") != NULL ? pintle_dll_open(&dll, name, PINTLE_DLL_FAULTS_PANIC)
                                            : pintle_dll_open_system(&dll, name);
    if (code != 0) {
        pintle_error error;
        pintle_error_get(&error);
        printf("%s\n", error.text);
    }
    EXPECT(code == 0);
    return dll;
}

static pintle_proc *find(pintle_dll *dll, const char *name) {
    pintle_proc *proc = NULL;
    EXPECT(pintle_dll_find(dll, name, &proc) == 0);
    return proc;
}

#define CALL(proc, ...) \
    pintle_proc_call(proc, sizeof((uintptr_t[]){__VA_ARGS__}) / sizeof(uintptr_t), (const uintptr_t[]){__VA_ARGS__})
#define P(pointer) ((uintptr_t)(const void *)(pointer))

/* Task number's data: text that can be compressed, of a length of its own. */
static size_t make_chunk(unsigned number, unsigned char out[CHUNK_MOST]) {
    helper_random random = helper_random_from(number);
    size_t bytes = 500 + number * 7;
    for (size_t i = 0; i < bytes; i++)
        out[i] = (unsigned char)("etaoin shrdlu\n"[helper_random_below(&random, 4 + number % 11)]);
    return bytes;
}

/* ---- zlib ---- */

static struct { pintle_proc *version, *crc, *adler, *bound, *compress, *uncompress; } zlib;
static uint32_t data_crcs[TASKS], compressed_crcs[TASKS];

static uint32_t crc32_of(const void *data, size_t bytes) { return (uint32_t)CALL(zlib.crc, 0, P(data), bytes).r1; }

static void compress_one(void *arg) {
    unsigned number = (unsigned)(uintptr_t)arg;
    unsigned char *data = malloc(CHUNK_MOST * 3), *packed = data + CHUNK_MOST, *back = data + 2 * CHUNK_MOST;
    size_t bytes = make_chunk(number, data);
    zlib_long packed_bytes = CHUNK_MOST, back_bytes = CHUNK_MOST;
    data_crcs[number] = crc32_of(data, bytes);
    EXPECT((uint32_t)CALL(zlib.bound, bytes).r1 < CHUNK_MOST);
    EXPECT(pintle_result_int(CALL(zlib.compress, P(packed), P(&packed_bytes), P(data), bytes, 1 + number % 9)) == 0);
    EXPECT(packed_bytes < bytes);
    compressed_crcs[number] = crc32_of(packed, packed_bytes);
    EXPECT(pintle_result_int(CALL(zlib.uncompress, P(back), P(&back_bytes), P(packed), packed_bytes)) == 0);
    EXPECT(back_bytes == bytes && memcmp(back, data, bytes) == 0);
    packed[packed_bytes / 2] ^= 0x55; /* and what is damaged is refused */
    back_bytes = CHUNK_MOST;
    EXPECT(pintle_result_int(CALL(zlib.uncompress, P(back), P(&back_bytes), P(packed), packed_bytes)) != 0);
    free(data);
}

static bool is_constant(const char *what, uint32_t value, uint32_t expected) {
    if (value != expected) printf("%s: 0x%08x, not 0x%08x\n", what, (unsigned)value, (unsigned)expected);
    return value == expected;
}

static int zlib_main(void *arg) {
    static pintle_task *tasks[TASKS];
    pintle_dll *dll = open_library(TEST_ZLIB);
    (void)arg;
    if (dll == NULL) return 1;
    zlib.version = find(dll, "zlibVersion");
    zlib.crc = find(dll, "crc32");
    zlib.adler = find(dll, "adler32");
    zlib.bound = find(dll, "compressBound");
    zlib.compress = find(dll, "compress2");
    zlib.uncompress = find(dll, "uncompress");
    const char *version = pintle_result_ptr(CALL(zlib.version, 0));
    printf("zlib %s\n", version);
    EXPECT(version[0] == '1');
    EXPECT(crc32_of("123456789", 9) == 0xCBF43926);
    EXPECT((uint32_t)CALL(zlib.adler, 1, P("Wikipedia"), 9).r1 == 0x11E60398);
    for (uintptr_t i = 0; i < TASKS; i++) EXPECT(pintle_spawn(&tasks[i], compress_one, (void *)i) == 0);
    EXPECT(helper_join_all(tasks, TASKS) == 0);
    EXPECT(is_constant("data", crc32_of(data_crcs, sizeof data_crcs), 0x2a62f2d5));
    /* Another version may compress otherwise, and be right. */
    if (strcmp(version, "1.2.13") == 0)
        EXPECT(is_constant("compressed", crc32_of(compressed_crcs, sizeof compressed_crcs), 0xd3f0860c));
    EXPECT(pintle_dll_close(dll, PINTLE_FOREVER) == 0);
    return 0;
}
CASE(zlib_from_1000_tasks_gives_what_the_native_one_gives) { run_tasks(zlib_main, 2); }

/* ---- libgcrypt; the numbers are gcrypt.h's ---- */

enum { SHA1 = 2, SHA256 = 8, SHA512 = 10, AES128 = 7, ECB = 1, CTR = 6, INITIALIZATION_FINISHED = 38, BLOCK = 16 };

static struct {
    pintle_proc *check_version, *control, *hash, *cipher_open, *set_key, *set_counter, *encrypt, *decrypt,
        *cipher_close;
} gcrypt;
static unsigned char digests[TASKS][32];

static bool hash_is(unsigned algorithm, const char *text, const char *hex) {
    unsigned char digest[64] = {0};
    char got[129] = "";
    CALL(gcrypt.hash, algorithm, P(digest), P(text), strlen(text));
    for (size_t i = 0; i < strlen(hex) / 2; i++) snprintf(got + 2 * i, 3, "%02x", digest[i]);
    if (strcmp(got, hex) != 0) printf("%s, not %s\n", got, hex);
    return strcmp(got, hex) == 0;
}

static void *cipher(unsigned mode, const unsigned char key[BLOCK]) {
    void *handle = NULL;
    EXPECT((uint32_t)CALL(gcrypt.cipher_open, P(&handle), AES128, mode, 0).r1 == 0);
    EXPECT((uint32_t)CALL(gcrypt.set_key, P(handle), P(key), BLOCK).r1 == 0);
    return handle;
}

static void encrypt_one(void *arg) {
    unsigned number = (unsigned)(uintptr_t)arg;
    unsigned char key[BLOCK] = {(unsigned char)number, (unsigned char)(number >> 8), 3}, counter[BLOCK] = {9};
    unsigned char *data = malloc(CHUNK_MOST * 3), *secret = data + CHUNK_MOST, *back = data + 2 * CHUNK_MOST;
    size_t bytes = make_chunk(number, data);
    void *handle = cipher(CTR, key);
    EXPECT((uint32_t)CALL(gcrypt.set_counter, P(handle), P(counter), BLOCK).r1 == 0);
    EXPECT((uint32_t)CALL(gcrypt.encrypt, P(handle), P(secret), bytes, P(data), bytes).r1 == 0);
    EXPECT((uint32_t)CALL(gcrypt.set_counter, P(handle), P(counter), BLOCK).r1 == 0);
    EXPECT((uint32_t)CALL(gcrypt.decrypt, P(handle), P(back), bytes, P(secret), bytes).r1 == 0);
    CALL(gcrypt.cipher_close, P(handle));
    EXPECT(memcmp(data, back, bytes) == 0 && memcmp(data, secret, bytes) != 0);
    CALL(gcrypt.hash, SHA256, P(digests[number]), P(secret), bytes);
    free(data);
}

static int gcrypt_main(void *arg) {
    static pintle_task *tasks[TASKS];
    static const unsigned char fips197[BLOCK] = {0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
                                                 0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a};
    unsigned char key[BLOCK], block[BLOCK], secret[BLOCK];
    pintle_dll *dll = open_library(TEST_GCRYPT);
    (void)arg;
    if (dll == NULL) return 1;
    gcrypt.check_version = find(dll, "gcry_check_version");
    gcrypt.control = find(dll, "gcry_control");
    gcrypt.hash = find(dll, "gcry_md_hash_buffer");
    gcrypt.cipher_open = find(dll, "gcry_cipher_open");
    gcrypt.set_key = find(dll, "gcry_cipher_setkey");
    gcrypt.set_counter = find(dll, "gcry_cipher_setctr");
    gcrypt.encrypt = find(dll, "gcry_cipher_encrypt");
    gcrypt.decrypt = find(dll, "gcry_cipher_decrypt");
    gcrypt.cipher_close = find(dll, "gcry_cipher_close");
    const char *version = pintle_result_ptr(CALL(gcrypt.check_version, 0));
    printf("libgcrypt %s\n", version);
    EXPECT((uint32_t)CALL(gcrypt.control, INITIALIZATION_FINISHED, 0).r1 == 0);

    EXPECT(hash_is(SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"));
    EXPECT(hash_is(SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    EXPECT(hash_is(SHA512, "abc",
                   "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                   "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"));
    for (unsigned i = 0; i < BLOCK; i++) key[i] = (unsigned char)i;
    for (unsigned i = 0; i < BLOCK; i++) block[i] = (unsigned char)(i * 0x11);
    void *handle = cipher(ECB, key);
    EXPECT((uint32_t)CALL(gcrypt.encrypt, P(handle), P(secret), BLOCK, P(block), BLOCK).r1 == 0);
    EXPECT(memcmp(secret, fips197, BLOCK) == 0);
    CALL(gcrypt.cipher_close, P(handle));

    for (uintptr_t i = 0; i < TASKS; i++) EXPECT(pintle_spawn(&tasks[i], encrypt_one, (void *)i) == 0);
    EXPECT(helper_join_all(tasks, TASKS) == 0);
    unsigned char all[32];
    uint32_t first;
    CALL(gcrypt.hash, SHA256, P(all), P(digests), sizeof digests);
    memcpy(&first, all, sizeof first);
    EXPECT(is_constant("digests", first, 0x72889735));
#if !defined(PINTLE_SANITIZE) /* it gives nothing back when it is unloaded, which LeakSanitizer would tell */
    EXPECT(pintle_dll_close(dll, PINTLE_FOREVER) == 0);
#endif
    return 0;
}
CASE(libgcrypt_from_1000_tasks_gives_what_the_native_one_gives) { run_tasks(gcrypt_main, 2); }
