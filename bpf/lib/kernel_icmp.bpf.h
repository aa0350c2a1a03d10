/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel datapath: ICMP and ICMPv6 errors quote the packet as it was on the wire. What concerns the
 * transport makes the flow fall back at once; what concerns the path (too big, no route) is for TCP,
 * so the quote is turned back into the TCP segment the kernel believes it sent, and TCP judges its number.
 */
#ifndef HOOKER_KERNEL_ICMP_BPF_H
#define HOOKER_KERNEL_ICMP_BPF_H

#include "bpf/lib/kernel_rx.bpf.h"

/* <linux/icmp.h> and its kin drag the C library in. RFC 792, RFC 4443. */
#define ICMP_DEST_UNREACH   3
#define ICMPV6_DEST_UNREACH 1
#define ICMPV6_PKT_TOOBIG   2
#define ICMPV6_PARAMPROB    4

/* The first 8 bytes of either version's error messages. */
struct icmphdr {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be32 rest;
};

enum hk_icmp_meaning { HK_ICMP_OTHER, HK_ICMP_PATH, HK_ICMP_REFUSED };

static __always_inline int hk_icmp_meaning(__u8 type, __u8 code, const int is_ip6)
{
	if (is_ip6) {
		if (type == ICMPV6_PKT_TOOBIG)
			return HK_ICMP_PATH;
		if (type == ICMPV6_PARAMPROB) /* 1: next header not known there */
			return code == 1 ? HK_ICMP_REFUSED : HK_ICMP_PATH;
		if (type != ICMPV6_DEST_UNREACH)
			return HK_ICMP_OTHER;
		return code == 1 || code >= 4 ? HK_ICMP_REFUSED : HK_ICMP_PATH;
	}
	if (type != ICMP_DEST_UNREACH)
		return HK_ICMP_OTHER;
	/* Protocol, port, administratively prohibited (net, host, at all). */
	return code == 2 || code == 3 || code == 9 || code == 10 || code == 13 ? HK_ICMP_REFUSED :
										 HK_ICMP_PATH;
}

/* In place: the quoted protocol becomes TCP, the quoted TCP header's first 8 bytes move up. */
static __always_inline void hk_icmp_repair(__be16 *check, __u8 *protocol, __u32 *quoted, int is_ip6)
{
	__u32 before[2] = { quoted[0], quoted[1] };
	__u64 sum = (__u16) ~*check;

	quoted[0] = quoted[2];
	quoted[1] = quoted[3];
	sum += bpf_csum_diff(before, sizeof(before), quoted, 8, 0);
	/* The protocol number is the low byte of its word in IPv4, the high byte in IPv6. */
	sum += (__u16) ~(is_ip6 ? bpf_htons(*protocol << 8) : bpf_htons(*protocol));
	sum += is_ip6 ? bpf_htons(IPPROTO_TCP << 8) : bpf_htons(IPPROTO_TCP);
	*protocol = IPPROTO_TCP;
	*check = ~hk_csum_fold(sum);
	hk_counter_inc(HK_COUNT_KERNEL_ICMP_REPAIRED);
}

static __always_inline int hk_icmp_same_address(const __u32 *remote, void *ip, const int is_ip6)
{
	if (is_ip6) {
		const __u32 *source = (void *)&((struct ipv6hdr *)ip)->saddr;

		return source[0] == remote[0] && source[1] == remote[1] && source[2] == remote[2] &&
		       source[3] == remote[3];
	}
	return ((struct iphdr *)ip)->saddr == remote[3];
}

/* Is that a sequence number of what is under way: from the probe of an idle connection to what follows a FIN? */
static __always_inline int hk_icmp_under_way(const struct hk_flow *flow, __u32 seq)
{
	return seq - (flow->rx_ack - 1) <= flow->tx_seq + 1 - (flow->rx_ack - 1);
}

static __always_inline enum hk_rx hk_icmp(void *data, void *end, const int is_ip6)
{
	struct icmphdr *icmp = data + HK_L4(is_ip6);
	void *ip = data + sizeof(struct ethhdr), *inner = icmp + 1;
	struct hk_flow_key key;
	struct hk_flow *flow;
	struct udphdr *udp;
	struct tcphdr *tcp;
	__u8 *protocol;
	int meaning;

	udp = inner + HK_L4(is_ip6) - sizeof(struct ethhdr);
	tcp = (void *)(udp + 1);
	if ((void *)tcp + 8 > end)
		return HK_RX_NOT_OURS;
	meaning = hk_icmp_meaning(icmp->type, icmp->code, is_ip6);
	protocol = is_ip6 ? &((struct ipv6hdr *)inner)->nexthdr :
			    &((struct iphdr *)inner)->protocol;
	if (meaning == HK_ICMP_OTHER ||
	    (*protocol != IPPROTO_UDP && *protocol != IPPROTO_UDPLITE) ||
	    (!is_ip6 && ((struct iphdr *)inner)->ihl != 5))
		return HK_RX_NOT_OURS;
	hk_pkt_key(&key, inner, is_ip6, 0, udp->source, udp->dest);
	flow = bpf_map_lookup_elem(&hk_flows, &key);
	if (!flow || flow->datapath != HK_DATAPATH_KERNEL || flow->agreed != *protocol)
		return HK_RX_NOT_OURS;
	if (meaning == HK_ICMP_PATH) {
		hk_icmp_repair(&icmp->checksum, protocol, (void *)udp, is_ip6);
		return HK_RX_PASS;
	}
	if (!hk_icmp_under_way(flow, bpf_ntohl(tcp->seq))) {
		hk_counter_inc(HK_COUNT_KERNEL_ICMP_IGNORED);
		return HK_RX_DROP;
	}
	/* From the peer itself: its Hooker is gone or has forgotten the flow. Else the path refuses. */
	if (flow->state == HK_FLOW_ACTIVE) {
		hk_counter_inc(HK_COUNT_KERNEL_ICMP_FALLBACK);
		hk_fall_back(flow, &key, HK_REASON_ICMP_UNREACHABLE,
			     !hk_icmp_same_address(key.remote_ip, ip, is_ip6));
	}
	return HK_RX_DROP;
}

#endif
