/* SPDX-License-Identifier: GPL-2.0 */
/* The flow table and the configuration, shared by every object that handles connections. */
#ifndef HOOKER_FLOW_BPF_H
#define HOOKER_FLOW_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"

#define HK_AF_INET  2
#define HK_AF_INET6 10

/*
 * Connection -> what Hooker knows of it. Written by sock_ops and the datapath programs, read and
 * pruned by userspace. Not preallocated: 64 Ki entries would cost 10 MB and 15 ms of load time.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hk_flow_key);
	__type(value, struct hk_flow);
} hk_flows SEC(".maps");

/* What new connections ask for; written by userspace. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hk_config);
} hk_config SEC(".maps");

static __always_inline struct hk_config *hk_config_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hk_config, &zero);
}

/* Fills @key for an IPv4 connection: addresses in network order, ports in host order. */
static __always_inline void hk_flow_key_ip4(struct hk_flow_key *key, __u32 local, __u32 remote,
					    __u16 local_port, __u16 remote_port)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->local_ip[2] = bpf_htonl(0xffff);
	key->local_ip[3] = local;
	key->remote_ip[2] = bpf_htonl(0xffff);
	key->remote_ip[3] = remote;
	key->local_port = local_port;
	key->remote_port = remote_port;
}

static __always_inline void hk_flow_key_sock(struct hk_flow_key *key, const struct sock_key *sk)
{
	hk_flow_key_ip4(key, sk->src_ip4, sk->dst_ip4, sk->src_port, sk->dst_port);
}

#endif
