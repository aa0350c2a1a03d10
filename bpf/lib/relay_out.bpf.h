/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Relay, tc egress: what TCP sends of redirected connections, which is no payload.
 *
 * - A brake (abi.h, hk_bounds) that may leave turns into its own acknowledgement, which closes the window again,
 *   and goes back where it came from. From then on TCP's sequence numbers are ahead of those the peer knows.
 * - TCP repeats its FIN for as long as the stream is on its way. Should the peer's Hooker die, a TCP would get it
 *   that takes it for the end of what it has. So only the first leaves, which the peer holds (and firewalls see); the
 *   others become acknowledgements until the peer has every byte. Not dropped: TCP has to believe that it was
 *   sent, and TCX knows no TC_ACT_STOLEN.
 */
#ifndef HOOKER_RELAY_OUT_BPF_H
#define HOOKER_RELAY_OUT_BPF_H

#include <stddef.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include "bpf/lib/csum.bpf.h"
#include "bpf/lib/relay_maps.bpf.h"

/* tc_index of segments that pass a hook of ours again; the field is otherwise only used by old qdiscs. */
#define HK_INJECTED	0x4b49 /* at tc ingress: let in by userspace or by hk_out_release() */
#define HK_OUT_ENDED	0x4b45 /* at tc egress: only the FIN of it is to leave */

#define HK_IP_AT	sizeof(struct ethhdr)
#define HK_IP_LEN_AT	(HK_IP_AT + offsetof(struct iphdr, tot_len))
#define HK_IP_CHECK_AT	(HK_IP_AT + offsetof(struct iphdr, check))
#define HK_TCP_AT	(HK_IP_AT + sizeof(struct iphdr))
#define HK_TCP_SEQ_AT	(HK_TCP_AT + offsetof(struct tcphdr, seq))
#define HK_TCP_CHECK_AT (HK_TCP_AT + offsetof(struct tcphdr, check))
/* The 16-bit word of data offset and flags, whose lowest bit is FIN. */
#define HK_TCP_FLAGS_AT (HK_TCP_AT + offsetof(struct tcphdr, window) - 2)

/* A segment of a redirected connection. */
struct hk_out {
	struct sock_key key;
	struct hk_flow *flow;
	__be32 seq;
	__be16 flags; /* the word at HK_TCP_FLAGS_AT */
	__u16 tcp_len, payload;
	__u8 fin, rst;
};

/* More than brakes is data of other connections, or of one that is about to be reset. */
#define HK_OUT_PAYLOAD_MAX 16

static __always_inline int hk_out_find(struct __sk_buff *skb, struct hk_out *out)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);

	if (skb->vlan_present || (void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) ||
	    ip->ihl != 5 || ip->protocol != IPPROTO_TCP)
		return -1;
	out->tcp_len = bpf_ntohs(ip->tot_len) - sizeof(*ip);
	out->payload = out->tcp_len - tcp->doff * 4;
	if (out->payload > HK_OUT_PAYLOAD_MAX && !tcp->fin)
		return -1;
	out->key.src_ip4 = ip->saddr;
	out->key.dst_ip4 = ip->daddr;
	out->key.src_port = bpf_ntohs(tcp->source);
	out->key.dst_port = bpf_ntohs(tcp->dest);
	out->seq = tcp->seq;
	out->flags = *((__be16 *)&tcp->window - 1);
	out->fin = tcp->fin;
	out->rst = tcp->rst;
	out->flow = hk_relay_flow(&out->key);
	return out->flow ? 0 : -1;
}

static __always_inline int hk_out_renumber(struct __sk_buff *skb, __be32 from, __be32 to)
{
	bpf_l4_csum_replace(skb, HK_TCP_CHECK_AT, from, to, sizeof(to));
	return bpf_skb_store_bytes(skb, HK_TCP_SEQ_AT, &to, sizeof(to), 0);
}

static __always_inline int hk_out_set_flags(struct __sk_buff *skb, __be16 from, __be16 to)
{
	bpf_l4_csum_replace(skb, HK_TCP_CHECK_AT, from, to, sizeof(to));
	return bpf_skb_store_bytes(skb, HK_TCP_FLAGS_AT, &to, sizeof(to), 0);
}

/* Takes the brake out of a segment; its bytes are zero and do not count in the checksum. */
static __always_inline int hk_out_cut(struct __sk_buff *skb, const struct hk_out *out)
{
	__be16 from = bpf_htons(out->tcp_len + sizeof(struct iphdr));
	__be16 to = bpf_htons(out->tcp_len + sizeof(struct iphdr) - out->payload);

	bpf_l3_csum_replace(skb, HK_IP_CHECK_AT, from, to, sizeof(to));
	bpf_l4_csum_replace(skb, HK_TCP_CHECK_AT, bpf_htons(out->tcp_len),
			    bpf_htons(out->tcp_len - out->payload), BPF_F_PSEUDO_HDR | sizeof(to));
	return bpf_skb_store_bytes(skb, HK_IP_LEN_AT, &to, sizeof(to), 0) ||
	       bpf_skb_change_tail(skb, skb->len - out->payload, 0);
}

/*
 * Turns a segment with the brake into its acknowledgement, which @acked bytes of payload have been so far. Its
 * sequence number is one the peer never uses, later than all it does: what comes from there does not open the
 * window (RFC 9293, SND.WL1). Headers only, and no timestamps, which would not be the peer's.
 */
static __always_inline int hk_out_release(struct __sk_buff *skb, const struct hk_flow *flow,
					  __u32 acked)
{
	struct ethhdr *eth;
	struct tcphdr *tcp;
	__u8 mac[ETH_ALEN];
	struct iphdr *ip;
	__be32 address;
	__be16 port;

	if (bpf_skb_change_tail(skb, HK_TCP_AT + sizeof(*tcp), 0))
		return TC_ACT_SHOT;
	eth = (void *)(long)skb->data;
	ip = (void *)(eth + 1);
	tcp = (void *)(ip + 1);
	if ((void *)(tcp + 1) > (void *)(long)skb->data_end)
		return TC_ACT_SHOT;
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	address = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = address;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*tcp));
	ip->check = 0;
	ip->check = ~hk_csum_fold(bpf_csum_diff(0, 0, (__be32 *)ip, sizeof(*ip), 0));
	port = tcp->source;
	tcp->source = tcp->dest;
	tcp->dest = port;
	tcp->seq = bpf_htonl(flow->remote_isn + HK_BRAKE_SEQ);
	tcp->ack_seq = bpf_htonl(flow->local_isn + 1 + acked);
	*((__be16 *)&tcp->window - 1) = bpf_htons(5 << 12 | 0x10); /* ACK */
	tcp->window = 0;
	tcp->urg_ptr = 0;
	tcp->check = 0;
	tcp->check = ~hk_csum_fold((__u64)ip->saddr + ip->daddr + bpf_htons(IPPROTO_TCP) +
				   bpf_htons(sizeof(*tcp)) +
				   bpf_csum_diff(0, 0, (__be32 *)tcp, sizeof(*tcp), 0));
	skb->tc_index = HK_INJECTED;
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

static __always_inline int hk_out_brake(struct __sk_buff *skb, const struct hk_out *out,
					__u32 acked)
{
	/* The application has ended sending meanwhile: FIN came behind the brake. */
	if (out->fin) {
		skb->tc_index = HK_OUT_ENDED;
		bpf_clone_redirect(skb, skb->ifindex, 0);
	}
	/* It may be sent again, should its acknowledgement be lost. */
	if ((__s32)(acked - out->flow->shift) > 0)
		out->flow->shift = acked;
	return hk_out_release(skb, out->flow, acked);
}

static __always_inline int hk_out(struct __sk_buff *skb)
{
	struct hk_out out = {};
	__u32 first, acked;

	if (hk_out_find(skb, &out))
		return TC_ACT_UNSPEC;
	first = out.flow->local_isn + 1;
	acked = bpf_ntohl(out.seq) + out.payload - first;
	if (skb->tc_index == HK_OUT_ENDED) {
		if (hk_out_cut(skb, &out) || hk_out_renumber(skb, out.seq, bpf_htonl(first)))
			return TC_ACT_SHOT;
	} else if (out.payload && acked <= out.flow->braked) {
		return hk_out_brake(skb, &out, acked);
	} else if (out.flow->shift &&
		   hk_out_renumber(skb, out.seq, bpf_htonl(bpf_ntohl(out.seq) - out.flow->shift))) {
		return TC_ACT_SHOT;
	}
	if (!out.fin || out.rst || hk_order_flags(&out.key, out.flow->local_isn) & HK_ORDER_FIN)
		return TC_ACT_UNSPEC;
	if (!(out.flow->flags & HK_FLOW_FIN_SENT)) {
		out.flow->flags |= HK_FLOW_FIN_SENT;
		return TC_ACT_UNSPEC;
	}
	if (hk_out_set_flags(skb, out.flags, out.flags & ~bpf_htons(1)))
		return TC_ACT_SHOT;
	hk_counter_inc(HK_COUNT_RELAY_FIN_KEPT);
	return TC_ACT_UNSPEC;
}

#endif
