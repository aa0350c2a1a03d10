/* SPDX-License-Identifier: GPL-2.0 */
/* SOCK_OPS, the relay's part: application sockets enter the SOCKHASH, userspace hears of states. */
#ifndef HOOKER_RELAY_OPS_BPF_H
#define HOOKER_RELAY_OPS_BPF_H

#include "bpf/lib/flow.bpf.h"
#include "bpf/lib/relay_maps.bpf.h"

#define HK_RELAY_CALLBACKS (BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_PARSE_ALL_HDR_OPT_CB_FLAG)

static __always_inline void hk_sock_key(struct sock_key *sk, const struct hk_flow_key *key)
{
	sk->src_ip4 = key->local_ip[3];
	sk->dst_ip4 = key->remote_ip[3];
	sk->src_port = key->local_port;
	sk->dst_port = key->remote_port;
}

static __always_inline struct hk_room *hk_room_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hk_room, &zero);
}

static __always_inline int hk_relay_shared(void)
{
	struct hk_config *config = hk_config_get();

	return config && config->flags & HK_CONFIG_SHARED;
}

/*
 * Asked before a connection is offered or agreed to: afterwards it is too late to stay on TCP. What
 * SYN-ACKs in flight promise counts as taken.
 */
static __always_inline int hk_relay_has_room(void)
{
	struct hk_room *room = hk_room_get();

	return room && !room->full && (hk_relay_shared() || room->free > room->pending);
}

static __always_inline void hk_relay_promise(int count)
{
	struct hk_room *room = hk_room_get();

	if (room)
		__sync_fetch_and_add(&room->pending, count);
}

/* The pair for a new connection. Returns 0, or -1 if there is none. */
static __always_inline int hk_relay_slot(__u32 *slot)
{
	struct hk_room *room = hk_room_get();

	*slot = HK_SLOT_NONE;
	if (hk_relay_shared())
		return 0;
	if (!room || bpf_map_pop_elem(&hk_slots, slot))
		return -1;
	__sync_fetch_and_add(&room->free, -1);
	return 0;
}

static __always_inline void hk_relay_slot_back(__u32 slot)
{
	struct hk_room *room = hk_room_get();

	if (slot != HK_SLOT_NONE && room && !bpf_map_push_elem(&hk_slots, &slot, 0))
		__sync_fetch_and_add(&room->free, 1);
}

/*
 * Inside the ESTABLISHED callback connect() and accept() have not returned yet, so not one byte can
 * precede redirection. Returns 0, or -1 if the SOCKHASH or the ring buffer is full: a redirected connection that
 * userspace has not heard of would have nobody behind it.
 */
static __always_inline int hk_relay_established(struct bpf_sock_ops *ctx,
						const struct hk_flow_key *key,
						const struct hk_flow *flow)
{
	struct hk_event *event;
	struct sock_key sk;

	hk_sock_key(&sk, key);
	event = hk_event_reserve(HK_EVENT_ESTABLISHED, &sk);
	if (!event)
		return -1;
	if (bpf_sock_hash_update(ctx, &hk_apps, &sk, BPF_ANY)) {
		bpf_ringbuf_discard(event, 0);
		hk_counter_inc(HK_COUNT_MAP_FULL);
		return -1;
	}
	event->cookie = bpf_get_socket_cookie(ctx);
	event->local_isn = flow->local_isn;
	event->remote_isn = flow->remote_isn;
	event->transport = flow->transport;
	event->coverage = flow->coverage;
	event->is_client = !!(flow->flags & HK_FLOW_CLIENT);
	event->slot = flow->slot;
	event->rtt_us = ctx->srtt_us >> 3; /* the kernel keeps eighths */
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* Has the server been heard on the transport, so that the option need not be repeated? */
static __always_inline int hk_relay_confirmed(const struct hk_flow_key *key,
					      const struct hk_flow *flow)
{
	struct sock_key sk;

	hk_sock_key(&sk, key);
	return !!(hk_order_flags(&sk, flow->local_isn) & HK_ORDER_CONFIRMED);
}

/*
 * The peer's Hooker holds our FIN until it has all our data, ours holds its acknowledgement until we
 * have all of the peer's: TCP must not give up meanwhile. Userspace notices a dead peer by itself.
 */
static __always_inline void hk_fin_patience(struct bpf_sock_ops *ctx)
{
	int day_ms = 24 * 3600 * 1000;

	bpf_setsockopt(ctx, IPPROTO_TCP, TCP_USER_TIMEOUT, &day_ms, sizeof(day_ms));
}

/*
 * A writer without room got EAGAIN from its pair, whereas its own socket has always been writable: poll
 * with edges would never report it. Setting TCP_NOTSENT_LOWAT, even to what it is, wakes pollers. With a brake
 * (HK_BRAKE_URGENT) a single unsent byte is too much; it must leave at once when it may, even if the
 * application has set TCP_CORK: TCP_NODELAY pushes what is queued.
 */
static __always_inline void hk_relay_kick(struct bpf_sock_ops *ctx)
{
	void *data = ctx->skb_data, *end = ctx->skb_data_end;
	struct tcphdr *tcp = data;
	int lowat = -1, on = 1;

	if (data + sizeof(*tcp) > end || tcp->urg)
		return;
	if (tcp->urg_ptr == bpf_htons(HK_BRAKE_URGENT)) {
		lowat = 1;
		bpf_setsockopt(ctx, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	} else if (tcp->urg_ptr != bpf_htons(HK_KICK_URGENT) ||
		   tcp->window != bpf_htons(HK_KICK_WINDOW)) {
		return;
	}
	if (bpf_setsockopt(ctx, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat)))
		hk_counter_inc(HK_COUNT_KICK_FAILED);
	else if (lowat == -1)
		hk_counter_inc(HK_COUNT_KICKED);
}

static __always_inline void hk_relay_state(struct bpf_sock_ops *ctx, const struct hk_flow_key *key,
					   struct hk_flow *flow)
{
	__u32 new_state = ctx->args[1];
	struct hk_event *event;
	struct sock_key sk;

	/* From FIN_WAIT1 or LAST_ACK on TCP itself refuses a send with EPIPE: let it. */
	if (new_state == BPF_TCP_FIN_WAIT1 || new_state == BPF_TCP_LAST_ACK ||
	    new_state == BPF_TCP_CLOSE) {
		if (new_state == BPF_TCP_CLOSE && !(flow->flags & HK_FLOW_SHUT))
			flow->flags |= HK_FLOW_RESET;
		flow->flags |= HK_FLOW_SHUT;
		flow->state = HK_FLOW_CLOSING;
		hk_fin_patience(ctx);
	}
	hk_sock_key(&sk, key);
	event = hk_event_reserve(HK_EVENT_STATE, &sk);
	if (!event)
		return;
	event->old_state = ctx->args[0];
	event->new_state = new_state;
	event->tx_bytes = flow->tx_bytes;
	event->cookie = flow->cookie;
	event->local_isn = flow->local_isn;
	event->remote_isn = flow->remote_isn;
	bpf_ringbuf_submit(event, 0);
}

#endif
