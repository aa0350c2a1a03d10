/* SPDX-License-Identifier: GPL-2.0 */
/* What this process may do. */
#ifndef HOOKER_PRIVILEGE_H
#define HOOKER_PRIVILEGE_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Writes the names of the capabilities that Hooker needs and this process lacks to @text, separated by
 * spaces. @all: also CAP_NET_RAW, without which Hooker starts, but can't send the resets that end a
 * relayed connection whose peer is gone, nor hear ICMP. Returns whether anything is missing. CAP_SYS_ADMIN
 * stands for CAP_BPF and CAP_PERFMON, as in the kernel (Linux 5.8; alone before).
 */
bool hk_privilege_missing(char *text, size_t room, bool all);

/** The same as an error with its remedy, before the kernel is asked for anything. Returns 0 or -EPERM. */
int hk_privilege_check(void);

#endif
