/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOOKER_FLOW_KEY_H
#define HOOKER_FLOW_KEY_H

#include <arpa/inet.h>
#include <stdbool.h>

#include "bpf/abi.h"

/* Is an address of hk_flow_key one of IPv4? */
static inline bool hk_flow_ip4(const __u32 ip[4])
{
	return !ip[0] && !ip[1] && ip[2] == htonl(0xffff);
}

/* The key of hk_flows for a relayed connection, as the BPF programs make it: IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2). */
static inline struct hk_flow_key hk_flow_key_of(const struct sock_key *key)
{
	return (struct hk_flow_key){
		.local_ip = { 0, 0, htonl(0xffff), key->src_ip4 },
		.remote_ip = { 0, 0, htonl(0xffff), key->dst_ip4 },
		.local_port = key->src_port,
		.remote_port = key->dst_port,
	};
}

#endif
