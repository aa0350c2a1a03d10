/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel datapath, sending: tc egress.
 *
 * A header must never be inserted into a GSO super-packet: the device, or the kernel's software
 * segmentation, would cut a TCP packet whose IP header says UDP. So a super-packet first goes through
 * the segmenter, a macvlan on the same interface that may not send more than one segment at a time
 * (hooker/kernel/segmenter.h). It cuts, hands each segment back to the interface, and this program
 * sees it again. All of that happens inside one dev_queue_xmit(): no queue, hence no reordering, and
 * the segments still belong to their socket, so that TCP small queues and pacing keep working.
 */
#ifndef HOOKER_KERNEL_TX_BPF_H
#define HOOKER_KERNEL_TX_BPF_H

#include <stddef.h>
#include <linux/pkt_cls.h>
#include "bpf/wire.h"
#include "bpf/lib/kernel_pkt.bpf.h"

/* tc_index of packets this program meets twice; the field is otherwise only used by old qdiscs. */
#define HK_TX_CUT   0x4b43 /* sent to the segmenter */
#define HK_TX_PLAIN 0x4b50 /* the copy that stays TCP */
#define HK_TX_SHORT 0x4b53 /* the same, and one byte of it will do */
/* A copy for the transport, without payload */
#define HK_TX_HEADER(transport) (0x4e00 | (transport))
/* A copy for the transport, of which one byte will do */
#define HK_TX_PROBE(transport) (0x4d00 | (transport))
/* Sent to the segmenter and counted; all that is left to do with each segment is the transport's header. */
#define HK_TX_COUNTED(transport) (0x4c00 | (transport))

/* Frames of this length have room for an option and the header on every path. */
#define HK_TX_SMALL 600

/* Interface index of the segmenter; set before load. */
const volatile __u32 hk_segmenter = 0;

/*
 * Puts the header in front of the TCP segment. Returns 0; or -1, and the packet is as it was: there is no memory. What
 * was counted before it went to the segmenter stays counted, though it goes in TCP then.
 */
static __always_inline int hk_tx_insert(struct __sk_buff *skb, __u8 transport, const int is_ip6)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct udphdr *udp;
	__u16 length;
	void *ip;

	ip = data + sizeof(struct ethhdr);
	if (data + HK_L4(is_ip6) + sizeof(struct tcphdr) > end)
		return -1;
	length = hk_pkt_payload_len(ip, is_ip6) + HK_INSERT;
	/* NO_CSUM_RESET: the TCP checksum may still be the device's work, and stays so. Up to Linux 5.11 this
	 * fails if the packet would outgrow the MTU, later nothing here does: hk_kernel_mss(), hk_is_crowded(). */
	if (bpf_skb_adjust_room(skb, HK_INSERT, BPF_ADJ_ROOM_NET,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET)) {
		hk_counter_inc(HK_COUNT_KERNEL_TX_ROOM);
		return -1;
	}
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	ip = data + sizeof(struct ethhdr);
	if (data + HK_L4(is_ip6) + HK_KERNEL_COVERAGE > end) /* never; for the verifier */
		return -1;
	udp = data + HK_L4(is_ip6);
	__builtin_memcpy(udp, udp + 1, 4); /* the ports */
	hk_pkt_rewrite(ip, is_ip6, transport, length);
	if (transport == IPPROTO_UDPLITE) {
		udp->len = bpf_htons(HK_KERNEL_COVERAGE);
		udp->check = 0;
		udp->check = hk_csum_finish(hk_pkt_udplite_sum(ip, is_ip6, udp, length));
	} else {
		udp->len = bpf_htons(length);
		udp->check = hk_csum_udp(udp->source, udp->dest, udp->len);
	}
	return 0;
}

/* A copy of the packet goes out, marked @as one of HK_TX_*: its way leads through here again. */
static __always_inline void hk_tx_copy(struct __sk_buff *skb, __u32 as)
{
	__u32 index = skb->tc_index;

	skb->tc_index = as;
	bpf_clone_redirect(skb, skb->ifindex, 0);
	skb->tc_index = index;
	hk_counter_inc(HK_COUNT_KERNEL_TX_PROBE);
}

/*
 * Cuts a copy down to its first byte of payload, or to none (@keep): what it is to find out, whether the path lets it
 * through and with one byte whether it is answered, needs no more, and the transport has the whole segment. Its
 * checksum is either the device's work still, then it holds the pseudo header's sum, or complete. Not if FIN counts
 * behind what is cut off.
 */
static __always_inline void hk_tx_shorten(struct __sk_buff *skb, __u32 keep, const int is_ip6)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	void *ip = data + sizeof(struct ethhdr);
	struct tcphdr *tcp = data + HK_L4(is_ip6);
	__u32 bytes[16] = {}; /* the largest TCP header and one byte, in whole words */
	__u64 pseudo;
	__u32 length;
	int partial;

	if (data + HK_L4(is_ip6) + sizeof(*tcp) > end)
		return;
	length = tcp->doff * 4 + keep;
	if (tcp->fin || length < sizeof(*tcp) || length > sizeof(bytes) - 3 ||
	    hk_pkt_payload_len(ip, is_ip6) < (keep ? length + HK_SHORTEN_FROM : length + 1))
		return;
	pseudo = hk_pkt_address_sum(ip, is_ip6) + bpf_htons(IPPROTO_TCP);
	partial = tcp->check == hk_csum_fold(pseudo + bpf_htons(hk_pkt_payload_len(ip, is_ip6)));
	if (bpf_skb_change_tail(skb, HK_L4(is_ip6) + length, 0))
		return;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	ip = data + sizeof(struct ethhdr);
	tcp = data + HK_L4(is_ip6);
	if ((void *)(tcp + 1) > end)
		return;
	hk_pkt_rewrite(ip, is_ip6, IPPROTO_TCP, length);
	pseudo += bpf_htons(length);
	tcp->check = 0;
	if (partial) {
		tcp->check = hk_csum_fold(pseudo);
		return;
	}
	if (bpf_skb_load_bytes(skb, HK_L4(is_ip6), bytes, length))
		return;
	tcp->check = ~hk_csum_fold(pseudo + bpf_csum_diff(0, 0, bytes, sizeof(bytes), 0));
}

/* The copy of a segment that goes in TCP itself; none is better than one in TCP. */
static __always_inline int hk_tx_probe_copy(struct __sk_buff *skb, const int is_ip6)
{
	if (skb->gso_size || skb->len > HK_TX_SMALL)
		hk_tx_shorten(skb, 1, is_ip6);
	if (skb->gso_size || skb->len > HK_TX_SMALL ||
	    hk_tx_insert(skb, skb->tc_index & 0xff, is_ip6))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

static __always_inline void hk_tx_newest(struct hk_flow *flow, __u32 seq_end)
{
	if (hk_seq_after(seq_end, flow->tx_seq))
		flow->tx_seq = seq_end;
}

/* What TCP acknowledges is certain. Forged packets may have carried rx_seq away, and the peer's are then implausible. */
static __always_inline void hk_tx_acknowledged(struct hk_flow *flow, const struct tcphdr *tcp)
{
	__u32 ack = bpf_ntohl(tcp->ack_seq);

	if (tcp->ack && !hk_seq_near(ack, flow->rx_seq))
		flow->rx_seq = ack;
}

static __always_inline void hk_tx_count(struct hk_flow *flow, __u32 seq_end, __u32 payload,
					__u32 segments)
{
	flow->tx_packets += segments;
	flow->tx_bytes += payload;
	hk_tx_newest(flow, seq_end);
	hk_counter_add(HK_COUNT_KERNEL_TX, segments);
}

/* Sent in TCP, for the first time: a firewall on the path will know it. */
static __always_inline void hk_tx_beside(struct hk_flow *flow, __u32 seq_end)
{
	if (!hk_seq_after(flow->tx_seq, seq_end))
		flow->tx_seq = flow->tcp_tx_seq = seq_end;
}

/* The packet travels on the transport, cut by the segmenter if need be. */
static __always_inline int hk_tx_send(struct __sk_buff *skb, struct hk_flow *flow, __u32 seq_end,
				      __u32 payload, const int is_ip6)
{
	if (skb->gso_size) {
		skb->tc_index = HK_TX_CUT;
		if (!flow->twice) {
			skb->tc_index = HK_TX_COUNTED(flow->agreed);
			hk_tx_count(flow, seq_end, payload, skb->gso_segs);
		}
		hk_counter_inc(HK_COUNT_KERNEL_TX_GSO);
		return bpf_redirect(hk_segmenter, 0);
	}
	if (!hk_tx_insert(skb, flow->agreed, is_ip6))
		hk_tx_count(flow, seq_end, payload, 1);
	return TC_ACT_UNSPEC;
}

/* Back from the segmenter: @skb bears the mark HK_TX_CUT or HK_TX_COUNTED. */
static __always_inline int hk_tx_is_whole(struct __sk_buff *skb)
{
	if (!skb->gso_size)
		return 0;
	hk_counter_inc(HK_COUNT_KERNEL_TX_WHOLE); /* not cut after all: once round is enough */
	return 1;
}

/*
 * The peer has not been heard on the transport: stay in TCP. The client's 1st, 3rd, 9th and 27th
 * segment also go out on the transport, cut if they would not bear both the option and the header: the
 * handshake's ACK, and should that be lost, what follows the first answer. On the transport first: what
 * its arrival in TCP makes the peer send can then travel there.
 */
static __always_inline int hk_tx_probe(struct __sk_buff *skb, struct hk_flow *flow,
				       const struct hk_flow_key *key)
{
	__u32 nth = flow->tcp_tx + 1;

	flow->tcp_tx = nth;
	if (nth >= HK_PROBE_TCP_MAX) {
		/* Was anybody listening long enough to answer? */
		if (bpf_ktime_get_ns() - flow->since_ns > 1000000000ULL)
			hk_fall_back(flow, key, HK_REASON_BLACKHOLE, flow->flags & HK_FLOW_CLIENT);
		return TC_ACT_UNSPEC;
	}
	hk_counter_inc(HK_COUNT_KERNEL_TX_TCP);
	if (!(flow->flags & HK_FLOW_CLIENT) || (nth != 1 && nth != 3 && nth != 9 && nth != 27))
		return TC_ACT_UNSPEC;
	hk_tx_copy(skb, HK_TX_PROBE(flow->agreed));
	flow->tx_packets++;
	return TC_ACT_UNSPEC;
}

/*
 * The server has heard the client, but no word that the client has heard it: towards the client the path may
 * swallow the transport. Once an answer is overdue, what TCP sends again, or in excess of its congestion window,
 * goes in TCP, too: as a rule its tail loss probe (RFC 8985), after two round trips. Whole, for TCP takes no notice
 * of a selective acknowledgement of less than a segment. An answer to that is proof (hk_rx_unheard()).
 */
static __always_inline void hk_tx_unanswered(struct __sk_buff *skb, struct hk_flow *flow,
					     __u32 seq_end)
{
	__u32 patience, now = bpf_ktime_get_ns() / 1000;
	struct bpf_sock *sk = skb->sk;
	struct bpf_tcp_sock *tcp;

	if (!flow->first_us) {
		flow->first_us = now | 1;
		return;
	}
	sk = sk ? bpf_sk_fullsock(sk) : NULL;
	tcp = sk ? bpf_tcp_sock(sk) : NULL;
	if (!tcp || flow->twice ||
	    (hk_seq_after(seq_end, flow->tx_seq) && tcp->packets_out < tcp->snd_cwnd))
		return;
	patience = tcp->srtt_us / 8 * 3 / 2; /* kept in eighths of a microsecond */
	if (patience < HK_PATIENCE_MIN_US)
		patience = HK_PATIENCE_MIN_US;
	if (now - flow->first_us > patience)
		flow->twice = 1;
}

/*
 * Bulk data in TCP, beyond the window that a firewall knows: it takes no note of that, so a reset had better not
 * bear its number. But before a server has had its answer, hk_rx_unheard() wants to know what went in TCP alone.
 */
static __always_inline int hk_tx_crowded(struct hk_flow *flow, __u32 seq_end)
{
	if (flow->flags & HK_FLOW_ANSWERED)
		hk_tx_newest(flow, seq_end);
	else
		hk_tx_beside(flow, seq_end);
	hk_counter_inc(HK_COUNT_KERNEL_TX_ROOM);
	return TC_ACT_UNSPEC;
}

/*
 * After a timeout packets also go in TCP, the first one even twice, for the peer only takes notice of two TCP
 * segments in a row. @probe: of a zero window or an idle connection. If the path swallows that, or the answer,
 * no timeout will follow, so it always counts as a first one.
 */
static __always_inline int hk_tx_in_doubt(struct __sk_buff *skb, struct hk_flow *flow, int probe)
{
	/* Segment by segment: a whole super-packet in TCP would look like a path that lets only TCP through. */
	return !skb->gso_size && (probe || flow->twice);
}

/*
 * The first packet after a timeout has company on the transport, of which TCP takes no notice, for it has no payload:
 * random loss takes one packet easily, but hardly all of them.
 */
static __always_inline void hk_tx_ask(struct __sk_buff *skb, const struct hk_flow *flow)
{
	int i;

	for (i = 0; i < HK_ASK_MORE; i++)
		hk_tx_copy(skb, HK_TX_HEADER(flow->agreed));
	hk_tx_copy(skb, HK_TX_SHORT);
}

/* On the transport first: of a packet that arrives there, what follows in TCP says nothing. */
static __always_inline int hk_tx_both(struct __sk_buff *skb, struct hk_flow *flow, __u32 seq_end,
				      __u32 payload, int probe, const int is_ip6)
{
	if (probe && ++flow->probes >= HK_STUCK_TRIES)
		flow->stuck = flow->probes;
	/* Counted first: its acknowledgement may be back before the copy has returned. */
	hk_tx_count(flow, seq_end, payload, 1);
	hk_tx_copy(skb, HK_TX_COUNTED(flow->agreed));
	if (probe || flow->twice == HK_TWICE_ON_RTO)
		hk_tx_ask(skb, flow);
	if (flow->twice)
		flow->twice--;
	if (flow->flags & HK_FLOW_ANSWERED)
		hk_tx_shorten(skb, 1, is_ip6);
	return TC_ACT_UNSPEC;
}

/*
 * A reset of a flow in trouble goes out once more, in TCP, with the sequence number that a stateful
 * firewall expects after what it last saw in TCP; the peer's XDP puts the right one back.
 */
static __always_inline void hk_tx_reset(struct __sk_buff *skb, struct hk_flow *flow, __be32 seq,
					const int is_ip6)
{
	const __u32 l4 = HK_L4(is_ip6), at = l4 + offsetof(struct tcphdr, seq);
	__be32 known = bpf_htonl(flow->tcp_tx_seq);

	if (seq == known)
		return;
	bpf_l4_csum_replace(skb, l4 + offsetof(struct tcphdr, check), seq, known, sizeof(seq));
	bpf_skb_store_bytes(skb, at, &known, sizeof(known), 0);
	hk_tx_copy(skb, HK_TX_PLAIN);
	bpf_l4_csum_replace(skb, l4 + offsetof(struct tcphdr, check), known, seq, sizeof(seq));
	bpf_skb_store_bytes(skb, at, &seq, sizeof(seq), 0);
}

/* @mark: one of HK_TX_*(0) */
static __always_inline int hk_tx_marked(const struct __sk_buff *skb, __u32 mark)
{
	return skb->tc_index == (mark | IPPROTO_UDP) || skb->tc_index == (mark | IPPROTO_UDPLITE);
}

#define HK_TX_FIRST (-2) /* no action of tc's */

/* What becomes of a packet of which all was decided the first time; or HK_TX_FIRST, and it is the first time. */
static __always_inline int hk_tx_again(struct __sk_buff *skb, const int is_ip6)
{
	__u8 transport = skb->tc_index & 0xff;

	if (hk_tx_marked(skb, HK_TX_COUNTED(0))) {
		if (!hk_tx_is_whole(skb))
			hk_tx_insert(skb, transport, is_ip6);
		return TC_ACT_UNSPEC;
	}
	if (skb->tc_index == HK_TX_PLAIN)
		return TC_ACT_UNSPEC;
	if (skb->tc_index == HK_TX_SHORT) {
		hk_tx_shorten(skb, 1, is_ip6);
		return TC_ACT_UNSPEC;
	}
	if (hk_tx_marked(skb, HK_TX_HEADER(0))) {
		hk_tx_shorten(skb, 0, is_ip6);
		return hk_tx_insert(skb, transport, is_ip6) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
	}
	if (hk_tx_marked(skb, HK_TX_PROBE(0)))
		return hk_tx_probe_copy(skb, is_ip6);
	return HK_TX_FIRST;
}

static __always_inline int hk_tx(struct __sk_buff *skb, const int is_ip6)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 seq_end, payload;
	struct hk_flow_key key;
	struct hk_flow *flow;
	struct tcphdr *tcp;
	int probe, act;
	__be32 seq;
	void *ip;

	/* The headers of a locally made segment are in the linear part. */
	if (data + HK_L4(is_ip6) + sizeof(*tcp) > end)
		return TC_ACT_UNSPEC;
	ip = data + sizeof(struct ethhdr);
	tcp = data + HK_L4(is_ip6);
	if (is_ip6 ?
		    ((struct ipv6hdr *)ip)->nexthdr != IPPROTO_TCP :
		    ((struct iphdr *)ip)->protocol != IPPROTO_TCP || ((struct iphdr *)ip)->ihl != 5)
		return TC_ACT_UNSPEC;
	act = hk_tx_again(skb, is_ip6);
	if (act != HK_TX_FIRST)
		return act;
	if (tcp->syn || (skb->tc_index == HK_TX_CUT && hk_tx_is_whole(skb)))
		return TC_ACT_UNSPEC;
	hk_pkt_key(&key, ip, is_ip6, 0, tcp->source, tcp->dest);
	flow = bpf_map_lookup_elem(&hk_flows, &key);
	if (!flow || flow->datapath != HK_DATAPATH_KERNEL)
		return TC_ACT_UNSPEC;
	payload = skb->len - HK_L4(is_ip6) - tcp->doff * 4;
	seq = tcp->seq;
	seq_end = bpf_ntohl(seq) + payload;
	probe = !payload && !tcp->fin && !tcp->rst && seq_end + 1 == flow->tx_seq;
	if (tcp->rst && flow->stuck) {
		hk_tx_reset(skb, flow, seq, is_ip6);
		return TC_ACT_UNSPEC;
	}
	hk_tx_acknowledged(flow, tcp);
	if (flow->state == HK_FLOW_TCP) {
		hk_tx_newest(flow, seq_end);
		return TC_ACT_UNSPEC;
	}
	if (tcp->urg || !flow->rx_packets) {
		hk_tx_beside(flow, seq_end);
		return tcp->urg ? TC_ACT_UNSPEC : hk_tx_probe(skb, flow, &key);
	}
	if (hk_is_crowded(tcp, payload) && skb->len > HK_TX_SMALL)
		return hk_tx_crowded(flow, seq_end);
	if (payload && !(flow->flags & HK_FLOW_ANSWERED))
		hk_tx_unanswered(skb, flow, seq_end);
	if (hk_tx_in_doubt(skb, flow, probe))
		return hk_tx_both(skb, flow, seq_end, payload, probe, is_ip6);
	return hk_tx_send(skb, flow, seq_end, payload, is_ip6);
}

#endif
