/* cgroup.h (POSIX): how many processors the control groups leave to this process.
 * Threads: any. Locks: none. Tests: tests/posix/test_cgroup.c (with files of its own in the place of /proc/self). */
#ifndef PINTLE_SRC_POSIX_CGROUP_H
#define PINTLE_SRC_POSIX_CGROUP_H

/* The least quota of the process's group and the groups above it, in processors, rounded up; 0 if there is none, or
 * if it cannot be read. The files have the forms of /proc/self/cgroup and /proc/self/mountinfo. */
unsigned cgroup_processors(const char *cgroup_file, const char *mountinfo_file);

#endif
