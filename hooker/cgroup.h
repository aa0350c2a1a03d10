/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOOKER_CGROUP_H
#define HOOKER_CGROUP_H

/**
 * Opens a cgroup v2 directory; @path NULL means the root of the v2 hierarchy, wherever it is mounted.
 * Reports what is wrong by hk_error(). Returns a file descriptor or -errno (-EOPNOTSUPP: no cgroup v2).
 */
int hk_cgroup_open(const char *path);

#endif
