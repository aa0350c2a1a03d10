/* SPDX-License-Identifier: GPL-2.0 */
/* A Hooker for one cgroup, for as long as this process lives: a daemon without a name. */
#ifndef HOOKER_PRIVATE_H
#define HOOKER_PRIVATE_H

#include <sys/types.h>

struct hk_config_source;
struct hk_settings;
struct hk_tree;

/**
 * Starts a daemon for @tree in a process of its own and waits until it is attached. It ends with this
 * process. *pid: of it. Returns 0 or -errno, reported; -EINTR: a signal is to end this process.
 */
int hk_private_start(pid_t *pid, const struct hk_tree *tree, struct hk_settings *settings,
		     const struct hk_config_source *source);

/* Ends it, and waits until nothing of it is attached. */
void hk_private_stop(pid_t pid);

#endif
