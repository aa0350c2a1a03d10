// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel datapath (bpf/wire.h): TCP at both ends, UDP or UDP-Lite on the wire, no userspace
 * crossing. sock_ops negotiates (bpf/sockops.bpf.c); tc egress puts each segment of a redirected flow
 * behind a header of the transport; XDP, or tc ingress where XDP does not pay, takes it off again.
 * Reliability, congestion control and all that applications rely on remain the kernel's own TCP.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"
#include "bpf/wire.h"
#include "bpf/lib/kernel_in.bpf.h"
#include "bpf/lib/kernel_tx.bpf.h"
#include "bpf/lib/kernel_xdp.bpf.h"

/* The dispatcher's steps; shared with it. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, HK_RX_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} hk_rx SEC(".maps");

enum { HK_CHAIN_DELIVER, HK_CHAIN_SLOTS };

/* Steps behind the one that the dispatcher calls. Written by userspace. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, HK_CHAIN_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} hk_chain SEC(".maps");

/* tc ingress: enum hk_in_step -> program. Written by userspace. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, HK_IN_STEPS);
	__type(key, __u32);
	__type(value, __u32);
} hk_in SEC(".maps");

#define DATA(ctx) ((void *)(long)(ctx)->data)
#define END(ctx)  ((void *)(long)(ctx)->data_end)

/* ---- receiving: XDP ---- */

/* 0 = IPv4, 1 = IPv6; the dispatcher has seen to it that it is one of them. */
static __always_inline int hk_is_ip6(struct xdp_md *ctx)
{
	struct ethhdr *eth = DATA(ctx);

	return (void *)(eth + 1) <= END(ctx) && eth->h_proto == bpf_htons(ETH_P_IPV6);
}

static __always_inline int hk_xdp_verdict(struct xdp_md *ctx, enum hk_rx ret, __u32 protocol)
{
	if (ret == HK_RX_NOT_OURS)
		bpf_tail_call(ctx, &hk_rx, HK_RX_SECOND(protocol));
	return ret == HK_RX_DROP ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int hk_k_tcp(struct xdp_md *ctx)
{
	enum hk_rx ret = hk_is_ip6(ctx) ? hk_rx_tcp(DATA(ctx), END(ctx), 1, 1) :
					  hk_rx_tcp(DATA(ctx), END(ctx), 1, 0);

	return hk_xdp_verdict(ctx, ret, IPPROTO_TCP);
}

SEC("xdp")
int hk_k_verify(struct xdp_md *ctx)
{
	enum hk_rx ret = hk_is_ip6(ctx) ? hk_rx_verify(DATA(ctx), END(ctx), 1) :
					  hk_rx_verify(DATA(ctx), END(ctx), 0);

	if (ret == HK_RX_TAKE) {
		bpf_tail_call(ctx, &hk_chain, HK_CHAIN_DELIVER);
		ret = HK_RX_NOT_OURS;
	}
	return hk_xdp_verdict(ctx, ret, IPPROTO_UDPLITE);
}

SEC("xdp")
int hk_k_deliver(struct xdp_md *ctx)
{
	enum hk_rx ret = hk_is_ip6(ctx) ? hk_xdp_deliver(ctx, 1) : hk_xdp_deliver(ctx, 0);

	return hk_xdp_verdict(ctx, ret, IPPROTO_UDPLITE);
}

SEC("xdp")
int hk_k_udp(struct xdp_md *ctx)
{
	enum hk_rx ret = hk_is_ip6(ctx) ? hk_xdp_deliver(ctx, 1) : hk_xdp_deliver(ctx, 0);

	return hk_xdp_verdict(ctx, ret, IPPROTO_UDP);
}

SEC("xdp")
int hk_k_icmp(struct xdp_md *ctx)
{
	return hk_xdp_verdict(ctx, hk_icmp(DATA(ctx), END(ctx), 0), IPPROTO_ICMP);
}

SEC("xdp")
int hk_k_icmp6(struct xdp_md *ctx)
{
	return hk_xdp_verdict(ctx, hk_icmp(DATA(ctx), END(ctx), 1), IPPROTO_ICMPV6);
}

/* Damage tolerance: what XDP has verified as far as it is covered, TCP shall not look at again. */
SEC("tc")
int hk_k_ingress(struct __sk_buff *skb)
{
	__u32 *mark = (void *)(long)skb->data_meta;

	if ((void *)(mark + 1) <= DATA(skb) && *mark == HK_XDP_MARK) {
		bpf_csum_level(skb, BPF_CSUM_LEVEL_INC);
		hk_counter_inc(HK_COUNT_KERNEL_RX_DAMAGED);
	}
	return TC_ACT_UNSPEC;
}

/* ---- receiving: tc ingress ---- */

static __always_inline int hk_in_verdict(enum hk_rx ret)
{
	return ret == HK_RX_DROP ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

static __always_inline int hk_in_is_ip6(struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IPV6);
}

SEC("tc")
int hk_k_in(struct __sk_buff *skb)
{
	enum hk_in_step step = HK_IN_STEPS;

	if (skb->vlan_present) /* for another interface */
		return TC_ACT_UNSPEC;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		step = hk_in_classify(skb, 0);
	else if (hk_in_is_ip6(skb))
		step = hk_in_classify(skb, 1);
	if (step != HK_IN_STEPS)
		bpf_tail_call(skb, &hk_in, step);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int hk_k_in_udp(struct __sk_buff *skb)
{
	return hk_in_verdict(hk_in_is_ip6(skb) ? hk_in_deliver(skb, 1) : hk_in_deliver(skb, 0));
}

SEC("tc")
int hk_k_in_udplite(struct __sk_buff *skb)
{
	enum hk_rx ret = hk_in_is_ip6(skb) ? hk_in_verify(skb, 1) : hk_in_verify(skb, 0);

	if (ret == HK_RX_TAKE)
		ret = hk_in_is_ip6(skb) ? hk_in_deliver(skb, 1) : hk_in_deliver(skb, 0);
	return hk_in_verdict(ret);
}

SEC("tc")
int hk_k_in_tcp(struct __sk_buff *skb)
{
	return hk_in_verdict(hk_in_is_ip6(skb) ? hk_in_tcp(skb, 1) : hk_in_tcp(skb, 0));
}

SEC("tc")
int hk_k_in_icmp(struct __sk_buff *skb)
{
	return hk_in_verdict(hk_in_is_ip6(skb) ? hk_in_icmp(skb, 1) : hk_in_icmp(skb, 0));
}

/* ---- sending: tc egress ---- */

SEC("tc")
int hk_k_egress(struct __sk_buff *skb)
{
	/* Tagged in the device's offload field: the receiver's XDP would see the tag, not IP. */
	if (skb->vlan_present)
		return TC_ACT_UNSPEC;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return hk_tx(skb, 0);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return hk_tx(skb, 1);
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
