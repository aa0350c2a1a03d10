/* SPDX-License-Identifier: GPL-2.0 */
/* Kernel datapath: headers and flow keys of packets, IPv4 and IPv6 by one compile-time argument. */
#ifndef HOOKER_KERNEL_PKT_BPF_H
#define HOOKER_KERNEL_PKT_BPF_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "bpf/wire.h"
#include "bpf/lib/csum.bpf.h"
#include "bpf/lib/kernel_flow.bpf.h"

/* Offset of the transport header: Ethernet, then IP without options or extension headers. */
#define HK_L4(is_ip6) \
	(sizeof(struct ethhdr) + ((is_ip6) ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)))

/* The network header at @ip as a key; @incoming: the destination is the local end. Ports are given. */
static __always_inline void hk_pkt_key(struct hk_flow_key *key, void *ip, int is_ip6, int incoming,
				       __be16 source, __be16 dest)
{
	__u16 local = bpf_ntohs(incoming ? dest : source);
	__u16 remote = bpf_ntohs(incoming ? source : dest);

	if (is_ip6) {
		struct ipv6hdr *ip6 = ip;

		__builtin_memcpy(key->local_ip, incoming ? &ip6->daddr : &ip6->saddr, 16);
		__builtin_memcpy(key->remote_ip, incoming ? &ip6->saddr : &ip6->daddr, 16);
		key->local_port = local;
		key->remote_port = remote;
		key->pad = 0;
	} else {
		struct iphdr *ip4 = ip;

		hk_flow_key_ip4(key, incoming ? ip4->daddr : ip4->saddr,
				incoming ? ip4->saddr : ip4->daddr, local, remote);
	}
}

/* Sum of the addresses of a pseudo header. */
static __always_inline __u64 hk_pkt_address_sum(void *ip, int is_ip6)
{
	__u32 *word = is_ip6 ? (void *)&((struct ipv6hdr *)ip)->saddr :
			       (void *)&((struct iphdr *)ip)->saddr;
	__u64 sum = (__u64)word[0] + word[1];

	if (is_ip6)
		sum += (__u64)word[2] + word[3] + word[4] + word[5] + word[6] + word[7];
	return sum;
}

static __always_inline __u16 hk_pkt_payload_len(void *ip, int is_ip6)
{
	if (is_ip6)
		return bpf_ntohs(((struct ipv6hdr *)ip)->payload_len);
	return bpf_ntohs(((struct iphdr *)ip)->tot_len) - sizeof(struct iphdr);
}

/* Another protocol, @length bytes of IP payload; IPv4's header checksum follows. */
static __always_inline void hk_pkt_rewrite(void *ip, int is_ip6, __u8 protocol, __u16 length)
{
	if (is_ip6) {
		struct ipv6hdr *ip6 = ip;

		ip6->nexthdr = protocol;
		ip6->payload_len = bpf_htons(length);
	} else {
		struct iphdr *ip4 = ip;
		__be16 total = bpf_htons(length + sizeof(*ip4));

		/* TTL and protocol share a word; only the low byte of it changes. */
		ip4->check =
			~hk_csum_fold((__u64)(__u16)~ip4->check + (__u16)~ip4->tot_len + total +
				      (__u16)~bpf_htons(ip4->protocol) + bpf_htons(protocol));
		ip4->tot_len = total;
		ip4->protocol = protocol;
	}
}

/* UDP-Lite checksum over the pseudo header and the first HK_KERNEL_COVERAGE bytes; 0xffff = good. */
static __always_inline __u16 hk_pkt_udplite_sum(void *ip, int is_ip6, void *udp, __u16 length)
{
	__u64 sum = bpf_csum_diff(0, 0, udp, HK_KERNEL_COVERAGE, 0);

	sum += hk_pkt_address_sum(ip, is_ip6) + bpf_htons(IPPROTO_UDPLITE) + bpf_htons(length);
	return hk_csum_fold(sum);
}

/* Is sequence number @a no more than HK_SEQ_NEAR away from @b? One of 32 blind guesses is. */
static __always_inline int hk_seq_near(__u32 a, __u32 b)
{
	return a - b + HK_SEQ_NEAR <= 2 * HK_SEQ_NEAR;
}

/*
 * A segment with so many options that hk_kernel_mss() found no room for the transport's header: three blocks of SACK
 * behind timestamps, or four, and bulk data goes both ways. A full one of these fills the MTU and stays in TCP,
 * which says nothing of the path.
 */
static __always_inline int hk_is_crowded(const struct tcphdr *tcp, __u32 payload)
{
	return payload && tcp->doff * 4 + HK_INSERT > 60;
}

static __always_inline int hk_seq_after(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

#endif
