/* dll.h: the record of an open DLL. dll.c explains. */
#ifndef PINTLE_SRC_DLL_H
#define PINTLE_SRC_DLL_H

#include "drain.h"
#include "pintle/dll.h"

enum { DLL_BUCKETS = 64 };

struct pintle_dll {
    void *native;              /* HMODULE, or dlopen's handle */
    char *path;                /* as it was opened */
    void *copy;                /* of os_dll_open_copy; NULL: the file itself is loaded */
    bool faults_panic;         /* PINTLE_DLL_FAULTS_PANIC */
    _Atomic uint32_t changing; /* 1: a close or reopen is under way; taken by changer_begin, dll.c */
    struct lock lock;          /* RANK_DLL: the buckets */
    struct pintle_proc *buckets[DLL_BUCKETS];
    struct drain drain;
};

#endif
