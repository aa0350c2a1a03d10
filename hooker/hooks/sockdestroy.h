/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOOKER_SOCKDESTROY_H
#define HOOKER_SOCKDESTROY_H

#include <stdint.h>

#include "bpf/abi.h"

/* One end of a connection, and the cookie of its very socket: a 4-tuple may be the listener's by now. */
struct hk_victim {
	struct hk_flow_key key;
	uint64_t cookie;
	int ifindex; /* where the peer has a link-local address: of the link; else 0 */
};

/**
 * Aborts TCP sockets of this network namespace by NETLINK_SOCK_DIAG (SOCK_DESTROY, Linux 4.5,
 * CONFIG_INET_DIAG_DESTROY): the application reads ECONNABORTED, the peer gets a RST.
 * Tries each. Returns how many of @count were destroyed, or the first -errno.
 */
int hk_sock_destroy(const struct hk_victim *victims, unsigned int count);

/* The same for one IPv4 connection. Returns 1, 0 = it is closed already, or -errno. */
int hk_sock_destroy_one(const struct sock_key *key, uint64_t cookie);

#endif
