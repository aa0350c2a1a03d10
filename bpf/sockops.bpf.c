// SPDX-License-Identifier: GPL-2.0
/*
 * SOCK_OPS on the host's cgroup v2: negotiates per connection with the TCP option of bpf/wire.h and
 * records every connection in hk_flows; a redirected one also enters the SOCKHASH hk_apps.
 *
 * Three packets decide, so that a middlebox may strip the option anywhere without harm:
 *   SYN      client offers
 *   SYN-ACK  server agrees; no option here: the client stays on plain TCP
 *   ACK      client confirms; no option here: the server stays on plain TCP
 * The client repeats the option on its bare ACKs until the server has been heard on the transport,
 * because the handshake ACK itself may be lost.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"
#include "bpf/wire.h"
#include "bpf/lib/count.bpf.h"
#include "bpf/lib/flow.bpf.h"
#include "bpf/lib/relay_maps.bpf.h"

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define TCP_FLAG_ACK 0x10

/*
 * Server side, between SYN-ACK and ACK: what was agreed. A request socket has no storage of its
 * own; least-recently-used, so that a SYN flood cannot fill it for good.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct hk_flow_key);
	__type(value, struct hk_option);
} hk_half SEC(".maps");

/* A dual-stack listener gives AF_INET6 sockets for IPv4 connections (::ffff:a.b.c.d). */
static __always_inline int hk_is_ip4(struct bpf_sock_ops *ctx)
{
	if (ctx->family == HK_AF_INET)
		return 1;
	return ctx->family == HK_AF_INET6 && !ctx->remote_ip6[0] && !ctx->remote_ip6[1] &&
	       ctx->remote_ip6[2] == bpf_htonl(0xffff);
}

/*
 * On the request socket of a dual-stack listener the IPv6 fields are not filled in for IPv4: look
 * at the IP header of the SYN itself. -ENOSPC means that only its first 20 bytes fitted.
 */
static __always_inline int hk_syn_is_ip4(struct bpf_sock_ops *ctx)
{
	__u8 header[20];
	long ret = bpf_getsockopt(ctx, IPPROTO_TCP, TCP_BPF_SYN_IP, header, sizeof(header));

	if (ret < 0 && ret != -ENOSPC)
		return 0;
	return header[0] >> 4 == 4;
}

static __always_inline void hk_sockops_key(struct bpf_sock_ops *ctx, struct sock_key *key)
{
	key->src_ip4 = ctx->local_ip4;
	key->dst_ip4 = ctx->remote_ip4;
	key->src_port = ctx->local_port;
	/* remote_port is in network order, in the upper half on little-endian hosts. */
	key->dst_port = bpf_ntohl(ctx->remote_port);
}

static __always_inline int hk_is_loopback(const struct sock_key *key)
{
	return (bpf_ntohl(key->dst_ip4) >> 24) == 127 || key->src_ip4 == key->dst_ip4;
}

/* Loads Hooker's option; @flags: 0 = the packet at hand, BPF_LOAD_HDR_OPT_TCP_SYN = the saved SYN. */
static __always_inline int hk_option_load(struct bpf_sock_ops *ctx, struct hk_option *opt,
					  __u64 flags)
{
	__builtin_memset(opt, 0, sizeof(*opt));
	opt->kind = HK_OPT_KIND;
	opt->len = 4; /* search by kind and the two bytes of ExID */
	opt->exid = bpf_htons(HK_OPT_EXID);
	if (bpf_load_hdr_opt(ctx, opt, sizeof(*opt), flags) < 0)
		return -1;
	if (opt->len != sizeof(*opt) || opt->version_datapath >> 4 != HK_WIRE_VERSION ||
	    (opt->transport != HK_TRANSPORT_UDP && opt->transport != HK_TRANSPORT_UDPLITE)) {
		hk_counter_inc(HK_COUNT_OPT_FOREIGN);
		return -1;
	}
	return 0;
}

static __always_inline void hk_option_fill(struct hk_option *opt, __u8 datapath, __u8 transport,
					   __u16 coverage)
{
	opt->kind = HK_OPT_KIND;
	opt->len = sizeof(*opt);
	opt->exid = bpf_htons(HK_OPT_EXID);
	opt->version_datapath = HK_WIRE_VERSION << 4 | datapath;
	opt->transport = transport;
	opt->coverage = bpf_htons(coverage);
}

/* Does this end want to redirect at all, and why not? Returns enum hk_reason, 0 = yes. */
static __always_inline __u32 hk_decide(const struct sock_key *key, int is_ip4)
{
	struct hk_config *config = hk_config_get();

	if (!config || config->datapath == HK_DATAPATH_NONE)
		return HK_REASON_RULE;
	if (!is_ip4)
		return HK_REASON_IPV6;
	if (hk_is_loopback(key))
		return HK_REASON_LOOPBACK;
	return 0;
}

/* Wants to know every header written by this socket; the flag is inherited from listeners. */
static __always_inline void hk_watch(struct bpf_sock_ops *ctx, __u32 flags)
{
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | flags);
}

static __always_inline void hk_flow_record(struct bpf_sock_ops *ctx, const struct sock_key *key,
					   struct hk_flow *flow)
{
	struct hk_flow_key fkey;

	hk_flow_key_sock(&fkey, key);
	flow->since_ns = flow->changed_ns = bpf_ktime_get_ns();
	flow->cookie = bpf_get_socket_cookie(ctx);
	if (bpf_map_update_elem(&hk_flows, &fkey, flow, BPF_ANY))
		hk_counter_inc(HK_COUNT_MAP_FULL);
}

/* The connection stays on TCP; recorded so that `hooker flows` can say why. */
static __always_inline void hk_stay_tcp(struct bpf_sock_ops *ctx, const struct sock_key *key,
					__u32 reason, __u32 flags)
{
	struct hk_flow flow = {
		.state = HK_FLOW_TCP,
		.transport = HK_TRANSPORT_TCP,
		.reason = reason,
		.flags = flags,
	};

	hk_counter_inc(HK_COUNT_PLAIN);
	if (!hk_is_ip4(ctx))
		return;
	hk_flow_record(ctx, key, &flow);
	bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
}

static __always_inline void hk_redirect_relay(struct bpf_sock_ops *ctx, struct sock_key *key,
					      const struct hk_option *opt, __u32 flags)
{
	struct hk_flow flow = {
		.state = HK_FLOW_ACTIVE,
		.datapath = HK_DATAPATH_RELAY,
		.transport = opt->transport,
		.reason = HK_REASON_NEGOTIATED,
		.coverage = bpf_ntohs(opt->coverage),
		.flags = flags,
		/* Both ends know both initial sequence numbers: a 64-bit token nobody off the path
		 * can guess, and one that tells two lives of the same 4-tuple apart. */
		.local_isn = ctx->snd_una - 1,
		.remote_isn = ctx->rcv_nxt - 1,
	};
	struct hk_event *event;

	hk_flow_record(ctx, key, &flow);
	/* Inside the ESTABLISHED callback connect() and accept() have not returned yet, so not one
	 * byte can precede redirection. */
	if (bpf_sock_hash_update(ctx, &hk_apps, key, BPF_ANY)) {
		hk_counter_inc(HK_COUNT_MAP_FULL);
		hk_stay_tcp(ctx, key, HK_REASON_NO_ROOM, flags);
		return;
	}
	hk_counter_inc(HK_COUNT_ESTABLISHED);
	event = hk_event_reserve(HK_EVENT_ESTABLISHED, key);
	if (!event)
		return;
	event->cookie = bpf_get_socket_cookie(ctx);
	event->local_isn = flow.local_isn;
	event->remote_isn = flow.remote_isn;
	event->transport = flow.transport;
	event->coverage = flow.coverage;
	event->is_client = !!(flags & HK_FLOW_CLIENT);
	bpf_ringbuf_submit(event, 0);
}

static __always_inline void hk_established_active(struct bpf_sock_ops *ctx)
{
	struct hk_option opt;
	struct sock_key key;
	__u32 reason;

	hk_sockops_key(ctx, &key);
	reason = hk_decide(&key, hk_is_ip4(ctx));
	if (!reason && hk_option_load(ctx, &opt, 0))
		reason = HK_REASON_PEER_WITHOUT_HOOKER;
	if (reason) {
		hk_stay_tcp(ctx, &key, reason, HK_FLOW_CLIENT);
		return;
	}
	hk_watch(ctx, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG | BPF_SOCK_OPS_STATE_CB_FLAG);
	hk_redirect_relay(ctx, &key, &opt, HK_FLOW_CLIENT);
}

static __always_inline void hk_established_passive(struct bpf_sock_ops *ctx)
{
	struct hk_option opt, *agreed;
	struct hk_flow_key fkey;
	struct sock_key key;
	__u32 reason;

	hk_sockops_key(ctx, &key);
	hk_flow_key_sock(&fkey, &key);
	reason = hk_decide(&key, hk_is_ip4(ctx));
	agreed = bpf_map_lookup_elem(&hk_half, &fkey);
	if (!reason && (!agreed || hk_option_load(ctx, &opt, 0)))
		reason = HK_REASON_PEER_WITHOUT_HOOKER;
	if (!reason)
		opt = *agreed;
	if (agreed)
		bpf_map_delete_elem(&hk_half, &fkey);
	if (reason) {
		hk_stay_tcp(ctx, &key, reason, 0);
		return;
	}
	/* The listener's header-writing flag was inherited; this end has nothing more to write. */
	bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
	hk_redirect_relay(ctx, &key, &opt, 0);
}

/* TCP Fast Open: what the SYN carries reached the peer before anything was negotiated. */
static __always_inline int hk_syn_has_data(struct bpf_sock_ops *ctx)
{
	void *data = ctx->skb_data, *end = ctx->skb_data_end;
	struct tcphdr *tcp = data;

	if (ctx->op == BPF_SOCK_OPS_HDR_OPT_LEN_CB) /* no header yet */
		return ctx->skb_len > 0;
	return data + sizeof(*tcp) > end || ctx->skb_len > tcp->doff * 4;
}

/* May the option go into the packet being built? */
static __always_inline int hk_option_wanted(struct bpf_sock_ops *ctx, struct hk_option *opt,
					    struct sock_key *key)
{
	struct hk_config *config = hk_config_get();
	__u32 tcp_flags = ctx->skb_tcp_flags;
	struct hk_flow_key fkey;
	struct hk_flow *flow;

	hk_sockops_key(ctx, key);
	if (tcp_flags & TCP_FLAG_SYN && !(tcp_flags & TCP_FLAG_ACK)) {
		if (hk_decide(key, hk_is_ip4(ctx)) || !config || hk_syn_has_data(ctx))
			return 0;
		hk_option_fill(opt, config->datapath, config->transport, config->coverage);
		return 1;
	}
	if (tcp_flags & TCP_FLAG_SYN) {
		/* Stateless: nothing of the SYN is remembered, so nothing may be promised. */
		if (ctx->args[0] == BPF_WRITE_HDR_TCP_SYNACK_COOKIE)
			return 0;
		if (hk_option_load(ctx, opt, BPF_LOAD_HDR_OPT_TCP_SYN) ||
		    hk_decide(key, hk_syn_is_ip4(ctx)))
			return 0;
		hk_option_fill(opt, opt->version_datapath & 0xf, opt->transport,
			       bpf_ntohs(opt->coverage));
		return 1;
	}
	if (tcp_flags & TCP_FLAG_RST)
		return 0;
	hk_flow_key_sock(&fkey, key);
	flow = bpf_map_lookup_elem(&hk_flows, &fkey);
	if (!flow || flow->state == HK_FLOW_TCP || !(flow->flags & HK_FLOW_CLIENT) ||
	    hk_order_flags(key, flow->local_isn) & HK_ORDER_CONFIRMED)
		return 0;
	hk_option_fill(opt, flow->datapath, flow->transport, flow->coverage);
	return 1;
}

static __always_inline void hk_option_reserve(struct bpf_sock_ops *ctx)
{
	struct hk_option opt;
	struct sock_key key;

	if (ctx->args[0] == BPF_WRITE_HDR_TCP_CURRENT_MSS) /* no packet: only the size is asked */
		return;
	if (hk_option_wanted(ctx, &opt, &key) && bpf_reserve_hdr_opt(ctx, sizeof(opt), 0))
		hk_counter_inc(HK_COUNT_OPT_NO_ROOM);
}

static __always_inline void hk_option_write(struct bpf_sock_ops *ctx)
{
	__u32 tcp_flags = ctx->skb_tcp_flags;
	struct hk_flow_key fkey;
	struct hk_option opt;
	struct sock_key key;

	if (!hk_option_wanted(ctx, &opt, &key))
		return;
	if (bpf_store_hdr_opt(ctx, &opt, sizeof(opt), 0)) {
		hk_counter_inc(HK_COUNT_OPT_NO_ROOM);
		return;
	}
	if (!(tcp_flags & TCP_FLAG_SYN))
		return;
	if (tcp_flags & TCP_FLAG_ACK) {
		hk_flow_key_sock(&fkey, &key);
		bpf_map_update_elem(&hk_half, &fkey, &opt, BPF_ANY);
		hk_counter_inc(HK_COUNT_SYN_AGREED);
	} else {
		hk_counter_inc(HK_COUNT_SYN_OFFERED);
	}
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

static __always_inline void hk_state_changed(struct bpf_sock_ops *ctx)
{
	__u32 new_state = ctx->args[1];
	struct hk_event *event;
	struct hk_flow_key fkey;
	struct hk_flow *flow;
	struct sock_key key;

	hk_sockops_key(ctx, &key);
	hk_flow_key_sock(&fkey, &key);
	flow = bpf_map_lookup_elem(&hk_flows, &fkey);
	if (!flow)
		return;
	if (flow->state == HK_FLOW_TCP) {
		if (new_state == BPF_TCP_CLOSE)
			bpf_map_delete_elem(&hk_flows, &fkey);
		return;
	}
	if (flow->datapath != HK_DATAPATH_RELAY)
		return;
	/* From FIN_WAIT1 or LAST_ACK on TCP itself refuses a send with EPIPE: let it. */
	if (new_state == BPF_TCP_FIN_WAIT1 || new_state == BPF_TCP_LAST_ACK ||
	    new_state == BPF_TCP_CLOSE) {
		flow->flags |= HK_FLOW_SHUT;
		flow->state = HK_FLOW_CLOSING;
		hk_fin_patience(ctx);
	}
	event = hk_event_reserve(HK_EVENT_STATE, &key);
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

SEC("sockops")
int hk_sockops(struct bpf_sock_ops *ctx)
{
	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
	case BPF_SOCK_OPS_TCP_LISTEN_CB: hk_watch(ctx, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG); break;
	case BPF_SOCK_OPS_HDR_OPT_LEN_CB: hk_option_reserve(ctx); break;
	case BPF_SOCK_OPS_WRITE_HDR_OPT_CB: hk_option_write(ctx); break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB: hk_established_active(ctx); break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB: hk_established_passive(ctx); break;
	case BPF_SOCK_OPS_STATE_CB: hk_state_changed(ctx); break;
	}
	return 1;
}

char _license[] SEC("license") = "GPL";
