/* SPDX-License-Identifier: GPL-2.0 */
/* Kernel datapath, receiving at XDP: before the kernel makes a packet of the frame, so that GRO sees TCP. */
#ifndef HOOKER_KERNEL_XDP_BPF_H
#define HOOKER_KERNEL_XDP_BPF_H

#include "bpf/lib/kernel_icmp.bpf.h"
#include "bpf/lib/kernel_rx.bpf.h"

/* In front of a frame whose covered part was verified: tc ingress vouches for the rest if asked. */
#define HK_XDP_MARK 0x484b0088

/*
 * Ethernet and IP headers move up over the removed header: through pointers to words, for the compiler copies
 * what it knows nothing about byte by byte. Words as large as every processor may load: IP is at a multiple of 4.
 */
static __always_inline int hk_xdp_strip(struct xdp_md *ctx, const int is_ip6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 *ip = data + sizeof(struct ethhdr);
	__u16 *eth = data, mac[sizeof(struct ethhdr) / 2];
	__u32 header[sizeof(struct ipv6hdr) / 4];

	if (data + HK_L4(is_ip6) > end)
		return -1;
	__builtin_memcpy(mac, eth, sizeof(mac));
	__builtin_memcpy(header, ip, HK_L4(is_ip6) - sizeof(mac));
	if (bpf_xdp_adjust_head(ctx, HK_INSERT))
		return -1;
	eth = data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + HK_L4(is_ip6) > end)
		return -1;
	ip = data + sizeof(struct ethhdr);
	__builtin_memcpy(eth, mac, sizeof(mac));
	__builtin_memcpy(ip, header, HK_L4(is_ip6) - sizeof(mac));
	return 0;
}

static __always_inline enum hk_rx hk_xdp_deliver(struct xdp_md *ctx, const int is_ip6)
{
	struct hk_rx_packet packet;
	void *data, *end;
	enum hk_rx ret;

	ret = hk_rx_accept((void *)(long)ctx->data, (void *)(long)ctx->data_end, &packet, is_ip6);
	if (ret)
		return ret;
	if (hk_xdp_strip(ctx, is_ip6))
		return HK_RX_DROP;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + HK_L4(is_ip6) > end)
		return HK_RX_DROP;
	hk_pkt_rewrite(data + sizeof(struct ethhdr), is_ip6, IPPROTO_TCP,
		       packet.length - HK_INSERT);
	hk_counter_inc(HK_COUNT_KERNEL_RX);
	if (packet.damage && !bpf_xdp_adjust_meta(ctx, -4)) {
		__u32 *mark = (void *)(long)ctx->data_meta;

		if ((void *)(mark + 1) <= (void *)(long)ctx->data)
			*mark = HK_XDP_MARK;
	}
	return HK_RX_PASS;
}

#endif
