/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel datapath, receiving at tc ingress: for drivers without native XDP, and for links where GRO would
 * find little to merge anyway. A veth with XDP copies what the other end's socket still owns into a
 * fresh page, frame by frame; what is turned into TCP here, GRO has not seen as TCP.
 */
#ifndef HOOKER_KERNEL_IN_BPF_H
#define HOOKER_KERNEL_IN_BPF_H

#include <linux/pkt_cls.h>
#include "bpf/lib/kernel_icmp.bpf.h"
#include "bpf/lib/kernel_rx.bpf.h"

/* The headers of the transport and of TCP, options included. */
#define HK_IN_HEADERS(is_ip6) (HK_L4(is_ip6) + sizeof(struct udphdr) + 60)

/* Makes the headers, or all of a smaller packet, one piece that may be written. */
static __always_inline int hk_in_pull(struct __sk_buff *skb, __u32 wanted)
{
	if (wanted > skb->len)
		wanted = skb->len;
	return skb->data_end - skb->data < wanted ? bpf_skb_pull_data(skb, wanted) : 0;
}

static __always_inline enum hk_rx hk_in_deliver(struct __sk_buff *skb, const int is_ip6)
{
	struct hk_rx_packet packet;
	__u32 before[2], after[2], *ip;
	void *data, *end;
	enum hk_rx ret;

	if (skb->gso_size || hk_in_pull(skb, HK_IN_HEADERS(is_ip6)))
		return HK_RX_NOT_OURS;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	ret = hk_rx_accept(data, end, &packet, is_ip6);
	if (ret)
		return ret;
	/* What a device has found out about a UDP checksum is forgotten: TCP looks for itself. */
	if (bpf_skb_adjust_room(skb, -HK_INSERT, BPF_ADJ_ROOM_NET, 0))
		return HK_RX_DROP;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + HK_L4(is_ip6) > end)
		return HK_RX_DROP;
	ip = data + sizeof(struct ethhdr);
	before[0] = ip[0];
	before[1] = ip[1];
	hk_pkt_rewrite(ip, is_ip6, IPPROTO_TCP, packet.length - HK_INSERT);
	if (is_ip6) {
		/* A device's sum over the whole packet must be told. IPv4's header always sums up to
		 * nothing. Fails if there is no such sum, which is fine. */
		after[0] = ip[0];
		after[1] = ip[1];
		bpf_csum_update(skb,
				bpf_csum_diff(before, sizeof(before), after, sizeof(after), 0));
	}
	hk_counter_inc(HK_COUNT_KERNEL_RX);
	if (packet.damage) {
		bpf_csum_level(skb, BPF_CSUM_LEVEL_INC);
		hk_counter_inc(HK_COUNT_KERNEL_RX_DAMAGED);
	}
	return HK_RX_PASS;
}

static __always_inline enum hk_rx hk_in_verify(struct __sk_buff *skb, const int is_ip6)
{
	if (hk_in_pull(skb, HK_IN_HEADERS(is_ip6)))
		return HK_RX_NOT_OURS;
	return hk_rx_verify((void *)(long)skb->data, (void *)(long)skb->data_end, is_ip6);
}

static __always_inline enum hk_rx hk_in_tcp(struct __sk_buff *skb, const int is_ip6)
{
	__u32 segments = skb->gso_segs ?: 1;

	if (hk_in_pull(skb, HK_IN_HEADERS(is_ip6)))
		return HK_RX_NOT_OURS;
	return hk_rx_tcp((void *)(long)skb->data, (void *)(long)skb->data_end, segments, is_ip6);
}

static __always_inline enum hk_rx hk_in_icmp(struct __sk_buff *skb, const int is_ip6)
{
	/* The quote: an IP header and 16 bytes of what follows. */
	if (hk_in_pull(skb, HK_L4(is_ip6) + 8 + HK_L4(is_ip6) + 16))
		return HK_RX_NOT_OURS;
	return hk_icmp((void *)(long)skb->data, (void *)(long)skb->data_end, is_ip6);
}

/*
 * Which step is for the packet, HK_IN_STEPS for none. Only reads: a program that writes to packets gets
 * a private copy of the headers of each one it sees.
 */
static __always_inline enum hk_in_step hk_in_classify(struct __sk_buff *skb, const int is_ip6)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	void *ip = data + sizeof(struct ethhdr);
	struct tcphdr *tcp = data + HK_L4(is_ip6);
	struct hk_flow_key key;
	struct hk_flow *flow;
	__u8 protocol;

	if ((void *)tcp > end)
		return HK_IN_STEPS;
	/* 0x3fff: more-fragments bit and offset. A later fragment has no transport header. */
	if (!is_ip6 &&
	    (((struct iphdr *)ip)->ihl != 5 || ((struct iphdr *)ip)->frag_off & bpf_htons(0x3fff)))
		return HK_IN_STEPS;
	protocol = is_ip6 ? ((struct ipv6hdr *)ip)->nexthdr : ((struct iphdr *)ip)->protocol;
	if (protocol == IPPROTO_UDP)
		return HK_IN_UDP;
	if (protocol == IPPROTO_UDPLITE)
		return HK_IN_UDPLITE;
	if (protocol == (is_ip6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return HK_IN_ICMP;
	if (protocol != IPPROTO_TCP || (void *)(tcp + 1) > end)
		return HK_IN_STEPS;
	hk_pkt_key(&key, ip, is_ip6, 1, tcp->source, tcp->dest);
	flow = bpf_map_lookup_elem(&hk_flows, &key);
	return flow && flow->datapath == HK_DATAPATH_KERNEL ? HK_IN_TCP : HK_IN_STEPS;
}

#endif
