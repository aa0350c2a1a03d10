/* SPDX-License-Identifier: GPL-2.0 */
/* UDP-Lite (RFC 3828) in a packet: where it is, and its checksum in bounded instructions. */
#ifndef HOOKER_UDPLITE_BPF_H
#define HOOKER_UDPLITE_BPF_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "bpf/steps.h"
#include "bpf/lib/csum.bpf.h"

#define HK_LITE_PROTOCOL 136 /* IPPROTO_UDPLITE; headers of Linux 7.1 no longer have it */
#define HK_UDP_PROTOCOL	 17
#define HK_LITE_HEADER	 8

/*
 * Longest datagram the checksum loop covers: jumbo frames and more. XDP hands over linear frames of
 * less than a page; tc sees packets up to the device's MTU.
 */
#define HK_LITE_CHUNK  512
#define HK_LITE_CHUNKS 31
#define HK_LITE_MAX    (HK_LITE_CHUNK * HK_LITE_CHUNKS + HK_LITE_CHUNK - 1)
/* Bound of an offset into a frame: the longest datagram, and the headers in front of it. */
#define HK_LITE_MASK 0x7fff

/* RFC 3828 section 3. UDP's header is the same with the length in place of the coverage. */
struct hk_lite_header {
	__be16 source;
	__be16 dest;
	__be16 coverage;
	__be16 check;
};

struct hk_lite_view {
	struct hk_lite_header *lite;
	void *l3; /* struct iphdr or ipv6hdr; one pointer, since packet pointers are never NULL */
	bool v6;
	__u32 offset; /* of the UDP-Lite header, from the start of the frame */
	__u32 len;    /* of header and payload, from IP: UDP-Lite has no length field */
};

enum hk_lite_look {
	HK_LITE_OURS = 0,
	HK_LITE_OTHER,	 /* not IP, or another protocol */
	HK_LITE_OPTIONS, /* IP options: no step handles them */
	HK_LITE_FRAGMENT,
	HK_LITE_SHORT, /* no room for a header, or less frame than IP promises */
	HK_LITE_LONG,  /* beyond HK_LITE_MAX */
};

/*
 * Finds the UDP-Lite or UDP header of the frame, whose headers lie in data..end and which is @frame bytes
 * long. Returns enum hk_lite_look; with HK_LITE_LONG the view is as good as with HK_LITE_OURS.
 */
static __always_inline int hk_lite_look(void *data, void *end, __u32 frame, __u8 protocol,
					struct hk_lite_view *view)
{
	struct ethhdr *eth = data;
	void *lite;

	view->l3 = eth + 1;
	if ((void *)(eth + 1) > end)
		return HK_LITE_OTHER;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end || ip->protocol != protocol)
			return HK_LITE_OTHER;
		if (ip->ihl != 5)
			return HK_LITE_OPTIONS;
		/* 0x3fff: the more-fragments bit and the offset. */
		if (ip->frag_off & bpf_htons(0x3fff))
			return HK_LITE_FRAGMENT;
		view->v6 = false;
		view->offset = sizeof(*eth) + sizeof(*ip);
		view->len = bpf_ntohs(ip->tot_len) - sizeof(*ip);
		lite = ip + 1;
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip6 = (void *)(eth + 1);

		if ((void *)(ip6 + 1) > end || ip6->nexthdr != protocol)
			return HK_LITE_OTHER;
		view->v6 = true;
		view->offset = sizeof(*eth) + sizeof(*ip6);
		view->len = bpf_ntohs(ip6->payload_len);
		lite = ip6 + 1;
	} else {
		return HK_LITE_OTHER;
	}
	if (lite + sizeof(struct hk_lite_header) > end)
		return HK_LITE_SHORT;
	view->lite = lite;
	/* An IPv4 total length below 20 wrapped to something huge. */
	if (view->len > HK_LITE_MAX)
		return view->len > 0xffff ? HK_LITE_SHORT : HK_LITE_LONG;
	if (view->len < HK_LITE_HEADER || view->offset + view->len > frame)
		return HK_LITE_SHORT;
	return HK_LITE_OURS;
}

static __always_inline int hk_lite_look_xdp(struct xdp_md *ctx, __u8 protocol,
					    struct hk_lite_view *view)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	return hk_lite_look(data, end, end - data, protocol, view);
}

/* Payload may lie outside of data..data_end. */
static __always_inline int hk_lite_look_tc(struct __sk_buff *skb, __u8 protocol,
					   struct hk_lite_view *view)
{
	return hk_lite_look((void *)(long)skb->data, (void *)(long)skb->data_end, skb->len,
			    protocol, view);
}

/* Sums are ones' complement over 16-bit words as they lie in memory (RFC 1071 section 2 B). */
static __always_inline __u64 hk_pseudo_sum(const struct hk_lite_view *view, __u32 protocol)
{
	__u64 sum = bpf_htonl(view->len);

	sum += bpf_htonl(protocol);
	if (!view->v6) {
		struct iphdr *ip = view->l3;

		sum += ip->saddr;
		sum += ip->daddr;
	} else {
		struct ipv6hdr *ip6 = view->l3;

#pragma unroll
		for (int i = 0; i < 4; i++) {
			sum += ip6->saddr.s6_addr32[i];
			sum += ip6->daddr.s6_addr32[i];
		}
	}
	return sum;
}

static __always_inline __u64 hk_words_sum(const __u32 *words, __u32 count)
{
	__u64 sum = 0;

#pragma unroll
	for (__u32 i = 0; i < count; i++)
		sum += words[i];
	return sum;
}

/*
 * One power-of-two piece of the checksum: constant sizes are what every verifier from 5.10 on
 * accepts. The offset is masked each time for a bound, and hidden from clang, which would otherwise
 * keep the pointer and not the offset. Plain loads: before 6.13 bpf_csum_diff() first copies word by
 * word, at three times their price.
 */
#define HK_SUM_PIECE(size)                              \
	do {                                            \
		asm volatile("" : "+r"(offset));        \
		offset &= HK_LITE_MASK;                 \
		piece = data + offset;                  \
		if (piece + (size) > end)               \
			return -1;                      \
		sum += hk_words_sum(piece, (size) / 4); \
		offset += (size);                       \
	} while (0)

static __always_inline int hk_chunk_sum(void *data, void *end, __u32 offset)
{
	__u64 sum = 0;
	void *piece;

	HK_SUM_PIECE(HK_LITE_CHUNK);
	return hk_csum_fold(sum);
}

/* Less than a chunk, with a zero byte behind an odd end. */
static __always_inline int hk_tail_sum(void *data, void *end, __u32 offset, __u32 len)
{
	__u64 sum = 0;
	void *piece;

	if (len & 256)
		HK_SUM_PIECE(256);
	if (len & 128)
		HK_SUM_PIECE(128);
	if (len & 64)
		HK_SUM_PIECE(64);
	if (len & 32)
		HK_SUM_PIECE(32);
	if (len & 16)
		HK_SUM_PIECE(16);
	if (len & 8)
		HK_SUM_PIECE(8);
	if (len & 4)
		HK_SUM_PIECE(4);
	asm volatile("" : "+r"(offset));
	offset &= HK_LITE_MASK;
	piece = data + offset;
	if (len & 2) {
		if (piece + 2 > end)
			return -1;
		sum += *(__u16 *)piece;
		piece += 2;
	}
	if (len & 1) {
		if (piece + 1 > end)
			return -1;
		sum += bpf_htons(*(__u8 *)piece << 8);
	}
	return hk_csum_fold(sum);
}

/*
 * Global functions, one set for each kind of context: the verifier checks them once and by
 * themselves. Inlined in a loop, their branches multiply beyond its million instructions.
 * hk_*_range() adds up @len bytes from @offset of the frame as if that offset were even; the folded
 * sum, or -1 where the frame is shorter (callers have looked: it does not happen).
 */
#define HK_DEFINE_RANGE_SUM(hook, ctx_type)                                                        \
	__attribute__((noinline)) int hk_##hook##_chunk(struct ctx_type *ctx, __u32 offset)        \
	{                                                                                          \
		return hk_chunk_sum((void *)(long)ctx->data, (void *)(long)ctx->data_end, offset); \
	}                                                                                          \
	__attribute__((noinline)) int hk_##hook##_tail(struct ctx_type *ctx, __u32 offset,         \
						       __u32 len)                                  \
	{                                                                                          \
		return hk_tail_sum((void *)(long)ctx->data, (void *)(long)ctx->data_end, offset,   \
				   len);                                                           \
	}                                                                                          \
	__attribute__((noinline)) int hk_##hook##_range(struct ctx_type *ctx, __u32 offset,        \
							__u32 len)                                 \
	{                                                                                          \
		__u64 sum = 0;                                                                     \
		int piece;                                                                         \
                                                                                                   \
		for (int i = 0; i < HK_LITE_CHUNKS && len >= HK_LITE_CHUNK; i++) {                 \
			piece = hk_##hook##_chunk(ctx, offset);                                    \
			if (piece < 0)                                                             \
				return -1;                                                         \
			sum += (__u32)piece;                                                       \
			offset += HK_LITE_CHUNK;                                                   \
			len -= HK_LITE_CHUNK;                                                      \
		}                                                                                  \
		piece = hk_##hook##_tail(ctx, offset, len);                                        \
		if (piece < 0)                                                                     \
			return -1;                                                                 \
		return hk_csum_fold(sum + (__u32)piece);                                           \
	}

/* Coverage in bytes as the field says it, 0 meaning everything (RFC 3828 section 3.1). */
static __always_inline __u32 hk_lite_covered(const struct hk_lite_view *view)
{
	__u32 coverage = bpf_ntohs(view->lite->coverage);

	return coverage ? coverage : view->len;
}

/*
 * The sum of bytes that start behind @covered others, at their place in the datagram: behind an odd
 * coverage they are the other half of their 16-bit words.
 */
static __always_inline int hk_sum_behind(int sum, __u32 covered)
{
	return sum > 0 && covered & 1 ? __builtin_bswap16(sum) : sum;
}

/* Changes the IP header's protocol and, for IPv4, its checksum (RFC 1624). */
static __always_inline void hk_ip_set_protocol(struct hk_lite_view *view, __u8 from, __u8 to)
{
	if (!view->v6) {
		struct iphdr *ip = view->l3;
		__u32 sum = (__u16)~ip->check;

		/* The protocol is the low byte of a word whose high byte is the TTL. */
		sum += (__u16)~bpf_htons(from) + bpf_htons(to);
		ip->check = ~hk_csum_fold(sum);
		ip->protocol = to;
	} else {
		struct ipv6hdr *ip6 = view->l3;

		ip6->nexthdr = to;
	}
}

#endif
