// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel datapath (bpf/wire.h): TCP at both ends, UDP or UDP-Lite on the wire, no userspace
 * crossing. sock_ops negotiates (bpf/sockops.bpf.c); tc egress puts each segment of a redirected flow
 * behind a header of the transport; XDP takes it off again. Reliability, congestion control and all
 * that applications rely on remain the kernel's own TCP.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"
#include "bpf/wire.h"
#include "bpf/lib/kernel_icmp.bpf.h"
#include "bpf/lib/kernel_rx.bpf.h"
#include "bpf/lib/kernel_tx.bpf.h"

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

/* 0 = IPv4, 1 = IPv6; the dispatcher has seen to it that it is one of them. */
static __always_inline int hk_is_ip6(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	return (void *)(eth + 1) <= (void *)(long)ctx->data_end &&
	       eth->h_proto == bpf_htons(ETH_P_IPV6);
}

static __always_inline int hk_rx_next(struct xdp_md *ctx, __u32 protocol)
{
	bpf_tail_call(ctx, &hk_rx, HK_RX_SECOND(protocol));
	return XDP_PASS;
}

SEC("xdp")
int hk_k_tcp(struct xdp_md *ctx)
{
	int ret = hk_is_ip6(ctx) ? hk_rx_tcp(ctx, 1) : hk_rx_tcp(ctx, 0);

	return ret == HK_RX_NOT_OURS ? hk_rx_next(ctx, IPPROTO_TCP) : ret;
}

SEC("xdp")
int hk_k_verify(struct xdp_md *ctx)
{
	int ret = hk_is_ip6(ctx) ? hk_rx_verify(ctx, 1) : hk_rx_verify(ctx, 0);

	if (!ret)
		bpf_tail_call(ctx, &hk_chain, HK_CHAIN_DELIVER);
	return ret == XDP_DROP ? ret : hk_rx_next(ctx, IPPROTO_UDPLITE);
}

SEC("xdp")
int hk_k_deliver(struct xdp_md *ctx)
{
	int ret = hk_is_ip6(ctx) ? hk_rx_deliver(ctx, 1) : hk_rx_deliver(ctx, 0);

	return ret == HK_RX_NOT_OURS ? hk_rx_next(ctx, IPPROTO_UDPLITE) : ret;
}

SEC("xdp")
int hk_k_udp(struct xdp_md *ctx)
{
	int ret = hk_is_ip6(ctx) ? hk_rx_deliver(ctx, 1) : hk_rx_deliver(ctx, 0);

	return ret == HK_RX_NOT_OURS ? hk_rx_next(ctx, IPPROTO_UDP) : ret;
}

SEC("xdp")
int hk_k_icmp(struct xdp_md *ctx)
{
	int ret = hk_icmp(ctx, 0);

	return ret == HK_RX_NOT_OURS ? hk_rx_next(ctx, IPPROTO_ICMP) : ret;
}

SEC("xdp")
int hk_k_icmp6(struct xdp_md *ctx)
{
	int ret = hk_icmp(ctx, 1);

	return ret == HK_RX_NOT_OURS ? hk_rx_next(ctx, IPPROTO_ICMPV6) : ret;
}

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

/* Damage tolerance: what XDP has verified as far as it is covered, TCP shall not look at again. */
SEC("tc")
int hk_k_ingress(struct __sk_buff *skb)
{
	__u32 *mark = (void *)(long)skb->data_meta;

	if ((void *)(mark + 1) <= (void *)(long)skb->data && *mark == HK_RX_MARK) {
		bpf_csum_level(skb, BPF_CSUM_LEVEL_INC);
		hk_counter_inc(HK_COUNT_KERNEL_RX_DAMAGED);
	}
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
