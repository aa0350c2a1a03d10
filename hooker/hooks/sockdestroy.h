/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOOKER_SOCKDESTROY_H
#define HOOKER_SOCKDESTROY_H

#include "bpf/abi.h"

/**
 * Aborts TCP sockets of this network namespace by NETLINK_SOCK_DIAG (SOCK_DESTROY, Linux 4.5,
 * CONFIG_INET_DIAG_DESTROY): the application reads ECONNABORTED, the peer gets a RST.
 * Returns how many of @count were destroyed, or -errno.
 */
int hk_sock_destroy(const struct sock_key *keys, unsigned int count);

/* The same for connections of either family. */
int hk_sock_destroy_flows(const struct hk_flow_key *keys, unsigned int count);

#endif
