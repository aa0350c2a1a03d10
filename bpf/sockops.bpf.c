// SPDX-License-Identifier: GPL-2.0
/*
 * SOCK_OPS on the host's cgroup v2: negotiates per connection with the TCP option of bpf/wire.h and
 * records every connection in hk_flows; one that the relay carries also enters the SOCKHASH hk_apps.
 *
 * Three packets decide, so that a middlebox may strip the option anywhere without harm:
 *   SYN      client offers
 *   SYN-ACK  server agrees; no option here: the client stays on plain TCP
 *   ACK      client confirms; no option here: the server stays on plain TCP
 * The client repeats the option on its segments until the server has been heard on the transport,
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
#include "bpf/lib/journal.bpf.h"
#include "bpf/lib/kernel_flow.bpf.h"
#include "bpf/lib/choose.bpf.h"
#include "bpf/lib/class.bpf.h"
#include "bpf/lib/option.bpf.h"
#include "bpf/lib/kernel_ops.bpf.h"
#include "bpf/lib/relay_ops.bpf.h"

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

static __always_inline void hk_sockops_key(struct bpf_sock_ops *ctx, struct hk_flow_key *key,
					   int is_ip4)
{
	/* remote_port is in network order, in the upper half on little-endian hosts. */
	__u16 local_port = ctx->local_port, remote_port = bpf_ntohl(ctx->remote_port);

	if (is_ip4) {
		hk_flow_key_ip4(key, ctx->local_ip4, ctx->remote_ip4, local_port, remote_port);
		return;
	}
	/* Field by field: the verifier wants constant offsets into the context. */
	key->local_ip[0] = ctx->local_ip6[0];
	key->local_ip[1] = ctx->local_ip6[1];
	key->local_ip[2] = ctx->local_ip6[2];
	key->local_ip[3] = ctx->local_ip6[3];
	key->remote_ip[0] = ctx->remote_ip6[0];
	key->remote_ip[1] = ctx->remote_ip6[1];
	key->remote_ip[2] = ctx->remote_ip6[2];
	key->remote_ip[3] = ctx->remote_ip6[3];
	key->local_port = local_port;
	key->remote_port = remote_port;
	key->pad = 0;
}

/* Wants to know every header written by this socket; the flag is inherited from listeners. */
static __always_inline void hk_watch(struct bpf_sock_ops *ctx, __u32 flags)
{
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | flags);
}

static __always_inline int hk_flow_record(struct bpf_sock_ops *ctx, const struct hk_flow_key *key,
					  struct hk_flow *flow)
{
	flow->since_ns = flow->changed_ns = bpf_ktime_get_ns();
	flow->cookie = bpf_get_socket_cookie(ctx);
	if (!bpf_map_update_elem(&hk_flows, key, flow, BPF_ANY))
		return 0;
	hk_counter_inc(HK_COUNT_MAP_FULL);
	return -1;
}

/* The connection stays on TCP; recorded so that `hooker flows` can say why. */
static __always_inline void hk_stay_tcp(struct bpf_sock_ops *ctx, const struct hk_flow_key *key,
					__u32 reason, __u32 flags)
{
	struct hk_flow flow = {
		.state = HK_FLOW_TCP,
		.transport = HK_TRANSPORT_TCP,
		.reason = reason,
		.flags = flags,
	};

	hk_counter_inc(HK_COUNT_PLAIN);
	hk_reason_inc(0, reason);
	/* Not recorded: then an old flow of the same 4-tuple must not be taken for this one. */
	if (hk_flow_record(ctx, key, &flow))
		bpf_map_delete_elem(&hk_flows, key);
	hk_note(key, &flow, HK_NOTE_ESTABLISHED);
	bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
}

static __always_inline void hk_redirect(struct bpf_sock_ops *ctx, const struct hk_flow_key *key,
					const struct hk_half *agreed, __u32 flags)
{
	struct hk_flow flow = {
		.state = HK_FLOW_ACTIVE,
		.datapath = agreed->datapath,
		.transport = agreed->transport,
		.agreed = agreed->transport,
		.damage = agreed->damage,
		.reason = HK_REASON_NEGOTIATED,
		.coverage = agreed->coverage,
		.flags = flags,
		/* Both ends know both initial sequence numbers: a 64-bit token nobody off the path
		 * can guess, and one that tells two lives of the same 4-tuple apart. */
		.local_isn = ctx->snd_una - 1,
		.remote_isn = ctx->rcv_nxt - 1,
		.rx_packets = agreed->heard,
		.heard = bpf_jiffies64(),
		.rx_ack = ctx->snd_una,
		.rx_seq = ctx->rcv_nxt,
		.tx_seq = ctx->snd_una,
		.tcp_tx_seq = ctx->snd_una,
		.tcp_rx_seq = ctx->rcv_nxt,
	};

	if (flow.datapath == HK_DATAPATH_RELAY && hk_relay_slot(&flow.slot)) {
		hk_stay_tcp(ctx, key, HK_REASON_NO_ROOM, flags);
		return;
	}
	if (hk_flow_record(ctx, key, &flow) ||
	    (flow.datapath == HK_DATAPATH_RELAY && hk_relay_established(ctx, key, &flow))) {
		if (flow.datapath == HK_DATAPATH_RELAY)
			hk_relay_slot_back(flow.slot);
		hk_stay_tcp(ctx, key, HK_REASON_NO_ROOM, flags);
		return;
	}
	hk_counter_inc(HK_COUNT_ESTABLISHED);
	hk_note(key, &flow, HK_NOTE_ESTABLISHED);
	if (flow.datapath == HK_DATAPATH_KERNEL)
		bpf_sock_ops_cb_flags_set(ctx, HK_KERNEL_CALLBACKS);
	else if (flags & HK_FLOW_CLIENT)
		hk_watch(ctx, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG | HK_RELAY_CALLBACKS);
	else /* the listener's header-writing flag was inherited; nothing more to write here */
		bpf_sock_ops_cb_flags_set(ctx, HK_RELAY_CALLBACKS);
}

static __always_inline void hk_established_active(struct bpf_sock_ops *ctx)
{
	struct hk_flow_key key;
	struct hk_half choice = {};
	struct hk_option opt;
	__u32 reason;

	hk_sockops_key(ctx, &key, hk_is_ip4(ctx));
	reason = hk_choose(&key, &choice, hk_class_rules(ctx));
	if (!reason && hk_option_load(ctx, &opt, 0))
		reason = choice.datapath == HK_DATAPATH_RELAY && !hk_relay_has_room() ?
				 HK_REASON_NO_ROOM :
				 HK_REASON_PEER_WITHOUT_HOOKER;
	else if (!reason && hk_option_datapath(&opt) != choice.datapath)
		reason = HK_REASON_RULE;
	if (reason) {
		hk_stay_tcp(ctx, &key, reason, HK_FLOW_CLIENT);
		return;
	}
	choice.transport = opt.transport;
	choice.coverage = bpf_ntohs(opt.coverage);
	/* Answered: a client sends on the transport only what follows on what it heard there. */
	hk_redirect(ctx, &key, &choice, HK_FLOW_CLIENT | HK_FLOW_ANSWERED);
}

static __always_inline void hk_established_passive(struct bpf_sock_ops *ctx)
{
	struct hk_half agreed = {}, *half;
	struct hk_flow_key key;
	struct hk_option opt;
	__u32 reason;

	hk_sockops_key(ctx, &key, hk_is_ip4(ctx));
	half = bpf_map_lookup_elem(&hk_half, &key);
	if (!half) {
		reason = hk_choose(&key, &agreed, hk_class_rules(ctx));
		hk_stay_tcp(ctx, &key, reason ? reason : HK_REASON_PEER_WITHOUT_HOOKER, 0);
		return;
	}
	agreed = *half;
	if (agreed.datapath == HK_DATAPATH_RELAY)
		hk_relay_promise(-1);
	if (agreed.datapath == HK_DATAPATH_NONE)
		hk_stay_tcp(ctx, &key, HK_REASON_SYN_COOKIE, 0);
	else if (!agreed.heard && hk_option_load(ctx, &opt, 0))
		hk_stay_tcp(ctx, &key, HK_REASON_PEER_WITHOUT_HOOKER, 0);
	else if (!agreed.heard && hk_option_datapath(&opt) != agreed.datapath)
		hk_stay_tcp(ctx, &key, HK_REASON_PEER_FELL_BACK, 0);
	else
		hk_redirect(ctx, &key, &agreed, 0);
	/* Only now: a frame that comes meanwhile belongs to this or to the whole, never to an unknown connection. */
	bpf_map_delete_elem(&hk_half, &key);
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

/* The client's offer, if this SYN is to carry one. */
static __always_inline int hk_offer(struct bpf_sock_ops *ctx, struct hk_option *opt)
{
	struct hk_flow_key key;
	struct hk_half choice = {};

	hk_sockops_key(ctx, &key, hk_is_ip4(ctx));
	if (hk_choose(&key, &choice, hk_class_rules(ctx)))
		return 0;
	if (choice.datapath == HK_DATAPATH_RELAY && hk_syn_has_data(ctx))
		return 0;
	if (choice.datapath == HK_DATAPATH_RELAY && !hk_relay_has_room()) {
		hk_counter_inc(HK_COUNT_NO_ROOM);
		return 0;
	}
	hk_option_fill(opt, choice.datapath, choice.transport, choice.coverage);
	return 1;
}

/*
 * A SYN-ACK that timed out is sent again without a look at the SYN (tcp_rtx_synack()), so what was answered the
 * first time is answered again; fills @key and @half.
 */
static __always_inline int hk_answer_again(struct bpf_sock_ops *ctx, struct hk_option *opt,
					   struct hk_flow_key *key, struct hk_half *half)
{
	struct hk_half *first;

	hk_sockops_key(ctx, key, ctx->family == HK_AF_INET);
	first = bpf_map_lookup_elem(&hk_half, key);
	if (!first && ctx->family != HK_AF_INET) { /* a dual-stack listener's, over IPv4 */
		hk_sockops_key(ctx, key, 1);
		first = bpf_map_lookup_elem(&hk_half, key);
	}
	if (!first || first->datapath == HK_DATAPATH_NONE)
		return 0;
	*half = *first;
	hk_option_fill(opt, half->datapath, half->transport, half->coverage);
	return 1;
}

/* The server's answer to the client's SYN; fills @key and @half. */
static __always_inline int hk_answer(struct bpf_sock_ops *ctx, struct hk_option *opt,
				     struct hk_flow_key *key, struct hk_half *half)
{
	struct hk_config *config = hk_config_get();
	int err = hk_option_load(ctx, opt, BPF_LOAD_HDR_OPT_TCP_SYN);

	if (err)
		return err == -ENOENT ? hk_answer_again(ctx, opt, key, half) : 0;
	hk_sockops_key(ctx, key, hk_syn_is_ip4(ctx));
	if (hk_choose(key, half, hk_class_rules(ctx)) || half->datapath != hk_option_datapath(opt))
		return 0;
	if (half->datapath == HK_DATAPATH_RELAY && !hk_relay_has_room()) {
		hk_counter_inc(HK_COUNT_NO_ROOM);
		return 0;
	}
	/* Stateless: nothing of the SYN is remembered, so nothing may be promised. */
	if (ctx->args[0] == BPF_WRITE_HDR_TCP_SYNACK_COOKIE) {
		__builtin_memset(half, 0, sizeof(*half));
		bpf_map_update_elem(&hk_half, key, half, BPF_ANY);
		return 0;
	}
	/* The offer decides how: the client knows what its application wants. */
	half->transport = opt->transport;
	half->coverage = bpf_ntohs(opt->coverage);
	if (config)
		hk_choice_possible(half, config);
	half->heard = 0;
	hk_option_fill(opt, half->datapath, half->transport, half->coverage);
	return 1;
}

/* After the handshake: the client's confirmation, or word of a fallback. */
static __always_inline int hk_repeat(struct bpf_sock_ops *ctx, struct hk_option *opt,
				     struct hk_flow **flow)
{
	struct hk_flow_key key;
	struct hk_flow *found;

	if (ctx->skb_tcp_flags & TCP_FLAG_RST)
		return 0;
	hk_sockops_key(ctx, &key, hk_is_ip4(ctx));
	*flow = found = bpf_map_lookup_elem(&hk_flows, &key);
	if (!found)
		return 0;
	if (found->datapath == HK_DATAPATH_KERNEL) {
		hk_kernel_undeployed(found, &key);
		return hk_kernel_option(found, opt);
	}
	if (found->state == HK_FLOW_TCP || !(found->flags & HK_FLOW_CLIENT) ||
	    hk_relay_confirmed(&key, found))
		return 0;
	hk_option_fill(opt, found->datapath, found->transport, found->coverage);
	return 1;
}

static __always_inline void hk_option_reserve(struct bpf_sock_ops *ctx)
{
	__u32 tcp_flags = ctx->skb_tcp_flags;
	struct hk_flow_key key;
	struct hk_half half = {};
	struct hk_option opt;
	struct hk_flow *flow;
	int wanted;

	if (ctx->args[0] == BPF_WRITE_HDR_TCP_CURRENT_MSS) { /* no packet: only the size is asked */
		hk_kernel_mss(ctx);
		return;
	}
	if (!(tcp_flags & TCP_FLAG_SYN))
		wanted = hk_repeat(ctx, &opt, &flow);
	else if (tcp_flags & TCP_FLAG_ACK)
		wanted = hk_answer(ctx, &opt, &key, &half);
	else
		wanted = hk_offer(ctx, &opt);
	if (wanted && bpf_reserve_hdr_opt(ctx, sizeof(opt), 0))
		hk_counter_inc(HK_COUNT_OPT_NO_ROOM);
}

static __always_inline int hk_option_store(struct bpf_sock_ops *ctx, const struct hk_option *opt)
{
	if (!bpf_store_hdr_opt(ctx, opt, sizeof(*opt), 0))
		return 0;
	hk_counter_inc(HK_COUNT_OPT_NO_ROOM);
	return -1;
}

static __always_inline void hk_option_write(struct bpf_sock_ops *ctx)
{
	__u32 tcp_flags = ctx->skb_tcp_flags;
	struct hk_flow_key key;
	struct hk_half half = {};
	struct hk_option opt;
	struct hk_flow *flow;

	if (!(tcp_flags & TCP_FLAG_SYN)) {
		if (!hk_repeat(ctx, &opt, &flow) || hk_option_store(ctx, &opt) || !flow)
			return;
		if (flow->signal && flow->state == HK_FLOW_TCP)
			flow->signal--;
	} else if (tcp_flags & TCP_FLAG_ACK) {
		if (!hk_answer(ctx, &opt, &key, &half) || hk_option_store(ctx, &opt))
			return;
		/* BPF_NOEXIST: a repeated SYN-ACK promises nothing new. */
		if (!bpf_map_update_elem(&hk_half, &key, &half, BPF_NOEXIST)) {
			if (half.datapath == HK_DATAPATH_RELAY)
				hk_relay_promise(1);
		} else {
			bpf_map_update_elem(&hk_half, &key, &half, BPF_ANY);
		}
		hk_counter_inc(HK_COUNT_SYN_AGREED);
	} else if (hk_offer(ctx, &opt) && !hk_option_store(ctx, &opt)) {
		hk_counter_inc(HK_COUNT_SYN_OFFERED);
	}
}

static __always_inline void hk_state_changed(struct bpf_sock_ops *ctx)
{
	struct hk_config *config = hk_config_get();
	struct hk_flow_key key;
	struct hk_flow *flow;

	/* Most changes concern the relay only; there are five in the life of a connection. */
	if (ctx->args[1] != BPF_TCP_CLOSE && config && config->datapath != HK_DATAPATH_RELAY)
		return;
	hk_sockops_key(ctx, &key, hk_is_ip4(ctx));
	flow = bpf_map_lookup_elem(&hk_flows, &key);
	if (!flow)
		return;
	if (ctx->args[1] == BPF_TCP_CLOSE)
		hk_note(&key, flow, HK_NOTE_ENDED);
	if (flow->state == HK_FLOW_TCP) {
		if (ctx->args[1] == BPF_TCP_CLOSE)
			bpf_map_delete_elem(&hk_flows, &key);
		return;
	}
	if (flow->datapath == HK_DATAPATH_KERNEL)
		hk_kernel_state(ctx, &key, flow);
	else
		hk_relay_state(ctx, &key, flow);
}

/* The daemons' own pairs and links: nothing to negotiate, nothing worth a line of `hooker flows`. */
static __always_inline int hk_is_own(struct bpf_sock_ops *ctx)
{
	if (ctx->family != HK_AF_INET)
		return 0;
	return ctx->local_ip4 == bpf_htonl(HK_PAIR_ADDRESS) || ctx->local_port == HK_RELAY_PORT ||
	       ctx->remote_port == bpf_htonl(HK_RELAY_PORT);
}

/* The network namespace Hooker serves; 0: this kernel can't tell (before Linux 5.15). By userspace. */
const volatile __u64 hk_netns;

/*
 * A cgroup may hold processes of several network namespaces, the root cgroup those of every container:
 * they have other interfaces, and other daemons or none.
 */
static __always_inline int hk_is_elsewhere(struct bpf_sock_ops *ctx)
{
	return hk_netns && bpf_get_netns_cookie(ctx) != hk_netns;
}

SEC("sockops")
int hk_sockops(struct bpf_sock_ops *ctx)
{
	struct hk_flow_key key;

	/* Asked of every socket, thrice or more in each connection: initial timeout, window, ECN. */
	if (ctx->op < BPF_SOCK_OPS_TCP_CONNECT_CB || ctx->op == BPF_SOCK_OPS_NEEDS_ECN)
		return 1;
	if (hk_is_elsewhere(ctx) || hk_is_own(ctx))
		return 1;
	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
	case BPF_SOCK_OPS_TCP_LISTEN_CB: hk_watch(ctx, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG); break;
	case BPF_SOCK_OPS_HDR_OPT_LEN_CB: hk_option_reserve(ctx); break;
	case BPF_SOCK_OPS_WRITE_HDR_OPT_CB: hk_option_write(ctx); break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB: hk_established_active(ctx); break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB: hk_established_passive(ctx); break;
	case BPF_SOCK_OPS_STATE_CB: hk_state_changed(ctx); break;
	case BPF_SOCK_OPS_RTO_CB:
		hk_sockops_key(ctx, &key, hk_is_ip4(ctx));
		hk_kernel_timeout(&key, ctx->args[0]);
		break;
	case BPF_SOCK_OPS_PARSE_HDR_OPT_CB:
		hk_relay_kick(ctx);
		if (hk_kernel_has_timestamps_only(ctx))
			break;
		hk_sockops_key(ctx, &key, hk_is_ip4(ctx));
		hk_kernel_told(ctx, &key);
		break;
	}
	return 1;
}

char _license[] SEC("license") = "GPL";
