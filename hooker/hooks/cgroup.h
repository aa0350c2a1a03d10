/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOOKER_CGROUP_H
#define HOOKER_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

/* Where the root of the cgroup v2 hierarchy is mounted, if it is. */
bool hk_cgroup_root(char *path, size_t size);

/**
 * Opens a cgroup v2 directory; @path NULL means the root of the v2 hierarchy, wherever it is mounted.
 * Reports what is wrong by hk_error(). Returns a file descriptor or -errno (-EOPNOTSUPP: no cgroup v2).
 */
int hk_cgroup_open(const char *path);

/* The same without a word, for a @path that is not NULL. */
int hk_cgroup_open_quiet(const char *path);

#endif
