/* SPDX-License-Identifier: GPL-2.0 */
/* Hooker userspace: the process behind `hooker run`. */
#ifndef HOOKER_DAEMON_DAEMON_H
#define HOOKER_DAEMON_DAEMON_H

struct hk_config_source;
struct hk_settings;

/**
 * Attaches, prints "ready" on stdout, or writes a byte to @ready_fd if that is not -1, serves until SIGTERM or SIGINT, detaches.
 *
 * Two processes: the supervisor owns everything in the kernel, its child is Hooker userspace. If the
 * child dies, the supervisor destroys the connections that depended on it (their applications see an
 * error, never a stream that looks complete) and detaches; if the supervisor dies, the child resets
 * them and ends. Either way the host is left with plain TCP. Returns 0 or -errno, errors reported.
 *
 * @settings were read from @source, which is read again on SIGHUP and `hooker reload`.
 */
int hk_daemon_run(struct hk_settings *settings, const struct hk_config_source *source,
		  int ready_fd);

#endif
