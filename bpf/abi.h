/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract between Hooker's BPF programs and Hooker userspace: map keys and values, events,
 * counters. Structs and enums only. IPv4 addresses are in network byte order, ports in host byte
 * order unless a name says otherwise. Changing a struct means a new HK_ABI_VERSION.
 */
#ifndef HOOKER_ABI_H
#define HOOKER_ABI_H

#include <linux/types.h>

#define HK_ABI_VERSION 1

/* The paper's code listing 1: names one end of a TCP connection, seen from that end (src = local). */
struct sock_key {
	__u32 src_ip4;
	__u32 dst_ip4;
	__u32 src_port;
	__u32 dst_port;
};
_Static_assert(sizeof(struct sock_key) == 16, "sock_key is part of the relay wire format");

/* How payload travels inside a host (design: "datapath"). */
enum hk_datapath {
	HK_DATAPATH_NONE = 0,	/* plain TCP */
	HK_DATAPATH_RELAY = 1,	/* SK_MSG, redirection socket, Hooker userspace */
	HK_DATAPATH_KERNEL = 2, /* tc egress and XDP ingress, no userspace crossing */
};

/* What is on the wire: the IP protocol number. */
enum hk_transport {
	HK_TRANSPORT_TCP = 6,
	HK_TRANSPORT_UDP = 17,
	HK_TRANSPORT_UDPLITE = 136,
};

#endif
