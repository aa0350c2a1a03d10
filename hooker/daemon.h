/* SPDX-License-Identifier: GPL-2.0 */
/* Hooker userspace: the process behind `hooker run`. */
#ifndef HOOKER_DAEMON_H
#define HOOKER_DAEMON_H

#include "hooker/attach.h"

/**
 * Attaches, prints "ready" on stdout, serves until SIGTERM or SIGINT, detaches.
 *
 * Two processes: the supervisor owns everything in the kernel, its child is Hooker userspace. If the
 * child dies, the supervisor destroys the connections that depended on it (their applications see an
 * error, never a stream that looks complete) and detaches; if the supervisor dies, the child resets
 * them and ends. Either way the host is left with plain TCP. Returns 0 or -errno, errors reported.
 */
int hk_daemon_run(const struct hk_options *options);

#endif
