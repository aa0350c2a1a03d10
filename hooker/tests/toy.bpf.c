// SPDX-License-Identifier: GPL-2.0
/*
 * The transport of hooker/transport/README.md: every UDP datagram of a registered port travels as IP
 * protocol 253 (RFC 3692: for experiments) with its payload bytes complemented up to the 16th.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include "bpf/lib/steps.bpf.h"

#define TOY_PROTOCOL 253
#define UDP_PROTOCOL 17
#define SCRAMBLED    16

struct toy_header { /* UDP's, unchanged */
	__be16 source;
	__be16 dest;
	__be16 length;
	__be16 check;
};

/* Local port -> struct hk_lite_port, of which the toy uses only that it is there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct hk_lite_port);
} toy_ports SEC(".maps");

/* The header behind IPv4 of @protocol, or NULL. */
static __always_inline struct toy_header *toy_find(void *data, void *end, __u8 protocol)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct toy_header *toy = (void *)(ip + 1);

	if ((void *)(toy + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
	    ip->frag_off & bpf_htons(0x3fff) || ip->protocol != protocol)
		return 0;
	return toy;
}

static __always_inline int toy_registered(__be16 port)
{
	__u32 key = bpf_ntohs(port);

	return bpf_map_lookup_elem(&toy_ports, &key) != 0;
}

static __always_inline void toy_scramble(void *payload, void *end)
{
	for (int i = 0; i < SCRAMBLED; i++) {
		__u8 *byte = payload + i;

		if ((void *)(byte + 1) > end)
			return;
		*byte = ~*byte;
	}
}

/* Protocol numbers differ by the same amount each way, and so does the header's checksum. */
static __always_inline void toy_set_protocol(struct toy_header *toy, __u8 from, __u8 to)
{
	struct iphdr *ip = (void *)toy - sizeof(*ip);
	__u32 sum = (__u16)~ip->check + (__u16)~bpf_htons(from) + bpf_htons(to);

	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~((sum & 0xffff) + (sum >> 16));
	ip->protocol = to;
}

enum { RX_FIND, RX_UNSCRAMBLE };
enum { TX_SCRAMBLE };
enum { NOT_OURS = 1 };

SEC("xdp")
int toy_find_rx(struct xdp_md *ctx)
{
	struct toy_header *toy =
		toy_find((void *)(long)ctx->data, (void *)(long)ctx->data_end, TOY_PROTOCOL);

	if (!toy || !toy_registered(toy->dest))
		return hk_rx_end(RX_FIND, NOT_OURS, XDP_PASS);
	return hk_rx_next(ctx, RX_FIND);
}

SEC("xdp")
int toy_unscramble(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct toy_header *toy = toy_find((void *)(long)ctx->data, end, TOY_PROTOCOL);

	if (!toy)
		return hk_rx_end(RX_UNSCRAMBLE, NOT_OURS, XDP_PASS);
	toy_scramble(toy + 1, end);
	toy->check = 0;
	toy_set_protocol(toy, TOY_PROTOCOL, UDP_PROTOCOL);
	return hk_rx_end(RX_UNSCRAMBLE, 0, XDP_PASS);
}

SEC("tc")
int toy_scramble_tx(struct __sk_buff *skb)
{
	struct toy_header *toy;

	if (bpf_skb_pull_data(skb, skb->len))
		return hk_tx_end(TX_SCRAMBLE, NOT_OURS, HK_TC_PASS);
	toy = toy_find((void *)(long)skb->data, (void *)(long)skb->data_end, UDP_PROTOCOL);
	if (!toy || !toy_registered(toy->source))
		return hk_tx_end(TX_SCRAMBLE, NOT_OURS, HK_TC_PASS);
	toy_scramble(toy + 1, (void *)(long)skb->data_end);
	toy_set_protocol(toy, UDP_PROTOCOL, TOY_PROTOCOL);
	return hk_tx_end(TX_SCRAMBLE, 0, HK_TC_PASS);
}

/* A second receiving end of the chain, to be swapped in: gives every payload an 'X' in front. */
SEC("xdp")
int toy_mark_x(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct toy_header *toy = toy_find((void *)(long)ctx->data, end, TOY_PROTOCOL);

	if (!toy)
		return hk_rx_end(RX_UNSCRAMBLE, NOT_OURS, XDP_PASS);
	toy_scramble(toy + 1, end);
	if ((void *)(toy + 1) + 1 <= end)
		*(char *)(toy + 1) = 'X';
	toy->check = 0;
	toy_set_protocol(toy, TOY_PROTOCOL, UDP_PROTOCOL);
	return hk_rx_end(RX_UNSCRAMBLE, 0, XDP_PASS);
}

char _license[] SEC("license") = "GPL";
