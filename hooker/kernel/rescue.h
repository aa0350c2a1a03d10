/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connections that can go on neither on the transport nor in TCP: a firewall that follows TCP's
 * sequence numbers has not seen those that travelled on the transport, and drops what comes back to
 * TCP late. They look like a connection on a dead link, so the peer is asked by an ICMP echo each second: if
 * it answers, before and after an attempt of TCP that has no answer, the connection is aborted, its application
 * and the peer's hear of it within seconds, and the path is remembered. If it does not, TCP's own patience decides.
 */
#ifndef HOOKER_KERNEL_RESCUE_H
#define HOOKER_KERNEL_RESCUE_H

struct hk_rescue;

struct hk_rescue_options {
	int flows_fd, paths_fd; /* maps hk_flows and hk_paths */
	/* Interfaces where peers with link-local addresses may be; the array must outlive the rescue. */
	const int *ifindex;
	int interface_count;
};

/* Returns 0 or -errno. */
int hk_rescue_open(struct hk_rescue **out, const struct hk_rescue_options *options);

/**
 * Once a second: takes answers, aborts, asks again. @stuck: from hk_kernel_gc(). Returns how many
 * connections were aborted.
 */
int hk_rescue_tick(struct hk_rescue *rescue, int stuck);

void hk_rescue_close(struct hk_rescue *rescue);

#endif
