/* SPDX-License-Identifier: GPL-2.0 */
/* Maps that sock_ops and the relay's programs share. */
#ifndef HOOKER_RELAY_MAPS_BPF_H
#define HOOKER_RELAY_MAPS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"
#include "bpf/lib/apps.bpf.h"
#include "bpf/lib/count.bpf.h"
#include "bpf/lib/flow.bpf.h"

/* How many event loops Hooker userspace has, 1 to HK_LOOPS_MAX. */
const volatile __u32 hk_loops = 1;

/* struct hk_event, BPF -> Hooker userspace. */
struct hk_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
};

/* Loop -> its ring. Written by userspace, before anything is attached. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, HK_LOOPS_MAX);
	__type(key, __u32);
	__array(values, struct hk_ring);
} hk_rings SEC(".maps");

/* sock_key -> what userspace orders for that connection. Written by userspace only. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sock_key);
	__type(value, struct hk_order);
} hk_orders SEC(".maps");

/* Indices into hk_pairs that wait for a connection. Pushed by userspace, popped by sock_ops. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, HK_PAIRS_MAX);
	__type(value, __u32);
} hk_slots SEC(".maps");

/* struct hk_room. Both sides write, with atomic operations. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hk_room);
} hk_room SEC(".maps");

/* NULL: not the relay's, or no longer. */
static __always_inline struct hk_flow *hk_relay_flow(const struct sock_key *key)
{
	struct hk_flow_key fkey;
	struct hk_flow *flow;

	hk_flow_key_sock(&fkey, key);
	flow = bpf_map_lookup_elem(&hk_flows, &fkey);
	if (!flow || flow->state == HK_FLOW_TCP || flow->datapath != HK_DATAPATH_RELAY)
		return 0;
	return flow;
}

static __always_inline __u32 hk_order_flags(const struct sock_key *key, __u32 local_isn)
{
	struct hk_order *order = bpf_map_lookup_elem(&hk_orders, key);

	return order && order->local_isn == local_isn ? order->flags : 0;
}

/* Which loop has the connection. */
static __always_inline __u32 hk_loop_of(const struct sock_key *key)
{
	return bpf_ntohl(key->dst_ip4) % hk_loops;
}

static __always_inline struct hk_event *hk_event_reserve(__u32 type, const struct sock_key *key)
{
	__u32 loop = hk_loop_of(key);
	void *ring = bpf_map_lookup_elem(&hk_rings, &loop);
	struct hk_event *event = ring ? bpf_ringbuf_reserve(ring, sizeof(*event), 0) : 0;

	if (!event) {
		hk_counter_inc(HK_COUNT_EVENT_LOST);
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->type = type;
	event->key = *key;
	return event;
}

#endif
