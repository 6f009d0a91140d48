/* allow.h: a list of what may be loaded, by SHA-256, in sha256sum's format ("64 digits, two blanks, a file's name" a line).
 *
 * allow.c: the list and what is done by it. allow_win.c, allow_posix.c: files, and the hash by the system's library. What is
 * checked is what is loaded: the plugin and each listed library beside it are copied into a folder that only this user may
 * enter, the copies are held open (on Windows so that nobody can write or replace them), and read once for the hash. What is not
 * listed is not copied, so it cannot be loaded. */
#ifndef PLUGIN_HOST_ALLOW_H
#define PLUGIN_HOST_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, ALLOWED_PATH_BYTES = 4096 };

/* Checked copies. */
typedef struct allowed {
    char folder[ALLOWED_PATH_BYTES], path[ALLOWED_PATH_BYTES]; /* of the plugin's copy */
    struct allowed_file *files;
} allowed;

/* Copies and checks the plugin and what is listed beside it. Errors: EACCES (it is not listed, or it or something beside it is not
 * what is listed), EINVAL (the list), ENOTFOUND, ENOMEM, EOS. Nothing is left behind then. */
int allowed_open(allowed **out, const char *plugin, const char *list);
/* It is loaded, or will not be: the copies need not be held any longer. */
void allowed_loaded(allowed *a);
/* It is unloaded: removes the copies. NULL is fine. */
void allowed_close(allowed *a);

/* ---- The system's part; errors are set ---- */

typedef intptr_t held; /* an open file */

int allow_make_folder(char *out_path, size_t path_bytes);
void allow_remove_folder(const char *path);
/* to is new. ENOTFOUND: there is no such file. */
int allow_copy(const char *from, const char *to);
void allow_remove(const char *path);
int allow_hold(held *out, const char *path);
void allow_release(held file);
int allow_hash(held file, unsigned char out_digest[SHA256_BYTES]);
/* Whether the system takes these for the same file's name. */
bool allow_same_name(const char *a, const char *b);
/* The whole file, ended by NUL, for free(). */
int allow_read(const char *path, char **out_text);

#endif
