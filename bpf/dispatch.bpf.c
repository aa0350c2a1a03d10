// SPDX-License-Identifier: GPL-2.0
/*
 * The one XDP program on an interface. It finds the IP protocol and tail-calls whoever registered
 * for it; everything else passes untouched. Transports are deployed, swapped and removed by writing
 * one slot of hk_rx while traffic flows.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"
#include "bpf/lib/count.bpf.h"

/* HK_RX_FIRST/SECOND(IP protocol) -> receive step. Written by userspace. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, HK_RX_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} hk_rx SEC(".maps");

/* Returns the IP protocol, or 0 for what no step can handle: fragments, IP options, other layers. */
static __always_inline __u32 hk_ip_protocol(void *data, void *end)
{
	struct ethhdr *eth = data;

	if (data + sizeof(*eth) > end)
		return 0;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);

		/* 0x3fff: more-fragments bit and offset. A later fragment has no transport header. */
		if ((void *)(ip + 1) > end || ip->ihl != 5 || ip->frag_off & bpf_htons(0x3fff))
			return 0;
		return ip->protocol;
	}
	if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip6 = (void *)(eth + 1);

		if ((void *)(ip6 + 1) > end)
			return 0;
		return ip6->nexthdr;
	}
	return 0;
}

SEC("xdp")
int hk_dispatch(struct xdp_md *ctx)
{
	__u32 protocol = hk_ip_protocol((void *)(long)ctx->data, (void *)(long)ctx->data_end);

	if (protocol) {
		/* A tail call to an empty slot falls through. */
		bpf_tail_call(ctx, &hk_rx, HK_RX_FIRST(protocol));
		bpf_tail_call(ctx, &hk_rx, HK_RX_SECOND(protocol));
	}
	hk_counter_inc(HK_COUNT_XDP_PASSED);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
