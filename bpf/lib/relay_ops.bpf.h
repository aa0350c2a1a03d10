/* SPDX-License-Identifier: GPL-2.0 */
/* SOCK_OPS, the relay's part: application sockets enter the SOCKHASH, userspace hears of states. */
#ifndef HOOKER_RELAY_OPS_BPF_H
#define HOOKER_RELAY_OPS_BPF_H

#include "bpf/lib/flow.bpf.h"
#include "bpf/lib/relay_maps.bpf.h"

static __always_inline void hk_sock_key(struct sock_key *sk, const struct hk_flow_key *key)
{
	sk->src_ip4 = key->local_ip[3];
	sk->dst_ip4 = key->remote_ip[3];
	sk->src_port = key->local_port;
	sk->dst_port = key->remote_port;
}

/*
 * Inside the ESTABLISHED callback connect() and accept() have not returned yet, so not one byte can
 * precede redirection. Returns 0, or -1 if the SOCKHASH is full.
 */
static __always_inline int hk_relay_established(struct bpf_sock_ops *ctx,
						const struct hk_flow_key *key,
						const struct hk_flow *flow)
{
	struct hk_event *event;
	struct sock_key sk;

	hk_sock_key(&sk, key);
	if (bpf_sock_hash_update(ctx, &hk_apps, &sk, BPF_ANY)) {
		hk_counter_inc(HK_COUNT_MAP_FULL);
		return -1;
	}
	event = hk_event_reserve(HK_EVENT_ESTABLISHED, &sk);
	if (!event)
		return 0;
	event->cookie = bpf_get_socket_cookie(ctx);
	event->local_isn = flow->local_isn;
	event->remote_isn = flow->remote_isn;
	event->transport = flow->transport;
	event->coverage = flow->coverage;
	event->is_client = !!(flow->flags & HK_FLOW_CLIENT);
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

static __always_inline void hk_relay_state(struct bpf_sock_ops *ctx, const struct hk_flow_key *key,
					   struct hk_flow *flow)
{
	__u32 new_state = ctx->args[1];
	struct hk_event *event;
	struct sock_key sk;

	/* From FIN_WAIT1 or LAST_ACK on TCP itself refuses a send with EPIPE: let it. */
	if (new_state == BPF_TCP_FIN_WAIT1 || new_state == BPF_TCP_LAST_ACK ||
	    new_state == BPF_TCP_CLOSE) {
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
