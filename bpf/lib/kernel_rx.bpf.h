/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel datapath, receiving: packets of the transport turn back into TCP segments. What decides is
 * here and looks at bytes only; bpf/lib/kernel_xdp.bpf.h and kernel_in.bpf.h do it at either hook.
 */
#ifndef HOOKER_KERNEL_RX_BPF_H
#define HOOKER_KERNEL_RX_BPF_H

#include "bpf/wire.h"
#include "bpf/lib/kernel_pkt.bpf.h"

enum hk_rx {
	HK_RX_NOT_OURS = -1, /* somebody else's: passes untouched */
	HK_RX_TAKE = 0,	     /* the flow's: take the header off */
	HK_RX_DROP,
	HK_RX_PASS, /* ours, and good as it is, or good for nothing */
};

/* What is to be done with a packet that is to be taken. */
struct hk_rx_packet {
	__u16 length; /* of the IP payload */
	__u8 damage;  /* the checksum coverage was verified, and that is enough */
};

/*
 * The sender's UDP checksum does not depend on the addresses, and its ports are TCP's: what a NAT has
 * changed since is the difference to the value expected for the original ports, and is just what the
 * TCP checksum inside lacks.
 */
static __always_inline void hk_rx_undo_nat(struct udphdr *udp, struct tcphdr *tcp)
{
	__u16 sent = hk_csum_udp(tcp->source, tcp->dest, udp->len);
	__u64 sum;

	if (!udp->check ||
	    (sent == udp->check && tcp->source == udp->source && tcp->dest == udp->dest))
		return;
	/*
	 * ~udp->check - ~sent = what the NAT changed, addresses and ports, seen by UDP; the pseudo
	 * header and the ports enter TCP's checksum alike.
	 */
	sum = (__u64)(__u16)~tcp->check + (__u16)~udp->check + sent;
	tcp->check = ~hk_csum_fold(sum);
	tcp->source = udp->source;
	tcp->dest = udp->dest;
	hk_counter_inc(HK_COUNT_KERNEL_RX_NAT);
}

enum hk_rx_option {
	HK_RX_NO_OPTION,
	HK_RX_UNHEARD,	 /* a client's that has not heard this end on the transport */
	HK_RX_FELL_BACK, /* word of a fallback, for sock_ops */
};

/* Hooker's option, if the TCP header ends in one: that is where Hooker's sock_ops puts it. */
static __always_inline enum hk_rx_option hk_rx_option(const struct tcphdr *tcp, void *end)
{
	__u32 offset = (tcp->doff * 4 - sizeof(struct hk_option)) & 0x3f;
	const struct hk_option *option = (const void *)tcp + offset;

	if (offset < sizeof(*tcp) || (void *)(option + 1) > end || option->kind != HK_OPT_KIND ||
	    option->len != sizeof(*option) || option->exid != bpf_htons(HK_OPT_EXID))
		return HK_RX_NO_OPTION;
	return (option->version_datapath & 0xf) == HK_DATAPATH_NONE ? HK_RX_FELL_BACK :
								      HK_RX_UNHEARD;
}

/*
 * May the segment be the peer's? Whether it is, only TCP can judge, by window and checksum. A forged one that gets
 * this far can carry rx_seq along, until hk_tx_acknowledged() puts it back, but not rx_ack beyond what was sent.
 */
static __always_inline int hk_rx_plausible(const struct hk_flow *flow, __u32 seq, __u32 ack)
{
	/* FIN counts as one more. */
	return hk_seq_near(seq, flow->rx_seq) && hk_seq_near(ack, flow->rx_ack) &&
	       !hk_seq_after(ack, flow->tx_seq + 1);
}

/* The peer was heard: its acknowledgement, and that the flow is not stuck. */
static __always_inline void hk_rx_answered(struct hk_flow *flow, __u32 ack)
{
	flow->probes = flow->stuck = 0;
	if (hk_seq_after(ack, flow->rx_ack))
		flow->rx_ack = ack;
}

/* The flow was heard on the transport. */
static __always_inline void hk_rx_heard(struct hk_flow *flow, const struct tcphdr *tcp, void *end,
					__u32 payload)
{
	__u32 seq = bpf_ntohl(tcp->seq), ack = bpf_ntohl(tcp->ack_seq);

	if (!hk_rx_plausible(flow, seq, ack))
		return;
	flow->rx_packets++;
	flow->heard = bpf_jiffies64();
	flow->tcp_run = 0;
	/* A client repeats the option until it has heard us on the transport. */
	if (!(flow->flags & HK_FLOW_ANSWERED) && !hk_rx_option(tcp, end))
		flow->flags |= HK_FLOW_ANSWERED;
	if (hk_seq_after(seq + payload, flow->rx_seq))
		flow->rx_seq = seq + payload;
	hk_rx_answered(flow, ack);
}

/*
 * Finds the flow of a packet of @transport, or the half-open one, and notes that it was heard. @payload: of the
 * segment, negative if lengths or header fields make no sense.
 */
static __always_inline enum hk_rx hk_rx_find(const struct hk_flow_key *key,
					     const struct tcphdr *tcp, void *end, __s32 payload,
					     __u8 transport, __u8 *damage)
{
	struct hk_flow *flow = bpf_map_lookup_elem(&hk_flows, key);
	struct hk_half *half;

	if (flow && flow->state != HK_FLOW_CLOSING) {
		if (flow->datapath != HK_DATAPATH_KERNEL || flow->agreed != transport)
			return HK_RX_NOT_OURS;
		if (payload < 0) {
			hk_counter_inc(HK_COUNT_KERNEL_RX_MALFORMED);
			return HK_RX_PASS;
		}
		*damage = flow->damage;
		hk_rx_heard(flow, tcp, end, payload);
		return HK_RX_TAKE;
	}
	if (payload < 0)
		return HK_RX_NOT_OURS;
	/* The handshake ACK is still on its way to the socket, or is this packet. */
	half = bpf_map_lookup_elem(&hk_half, key);
	if (half && half->datapath == HK_DATAPATH_KERNEL && half->transport == transport) {
		half->heard++;
		*damage = half->damage;
		return HK_RX_TAKE;
	}
	if (!flow || flow->datapath != HK_DATAPATH_KERNEL || flow->agreed != transport)
		return HK_RX_NOT_OURS;
	flow->rx_packets++;
	return HK_RX_TAKE;
}

/* The packet of UDP, or of UDP-Lite and verified, from @data to @end. */
static __always_inline enum hk_rx hk_rx_accept(void *data, void *end, struct hk_rx_packet *packet,
					       const int is_ip6)
{
	void *ip = data + sizeof(struct ethhdr);
	struct udphdr *udp = data + HK_L4(is_ip6);
	struct tcphdr *tcp = (void *)(udp + 1);
	__u8 transport, damage = 0;
	struct hk_flow_key key;
	__s32 payload;
	enum hk_rx ret;
	__u16 length;

	if ((void *)(tcp + 1) > end)
		return HK_RX_NOT_OURS;
	transport = is_ip6 ? ((struct ipv6hdr *)ip)->nexthdr : ((struct iphdr *)ip)->protocol;
	length = hk_pkt_payload_len(ip, is_ip6);
	payload = length - sizeof(*udp) - tcp->doff * 4;
	if (tcp->doff < 5 || tcp->syn ||
	    (transport == IPPROTO_UDP && udp->len != bpf_htons(length)))
		payload = -1;
	hk_pkt_key(&key, ip, is_ip6, 1, udp->source, udp->dest);
	ret = hk_rx_find(&key, tcp, end, payload, transport, &damage);
	if (ret == HK_RX_NOT_OURS)
		hk_counter_inc(HK_COUNT_KERNEL_RX_UNKNOWN);
	if (ret)
		return ret;
	if (transport == IPPROTO_UDP)
		hk_rx_undo_nat(udp, tcp);
	packet->length = length;
	packet->damage = damage && transport == IPPROTO_UDPLITE;
	return HK_RX_TAKE;
}

/* UDP-Lite: HK_RX_TAKE if the covered part is whole, HK_RX_DROP if it is damaged. */
static __always_inline enum hk_rx hk_rx_verify(void *data, void *end, const int is_ip6)
{
	void *ip = data + sizeof(struct ethhdr);
	struct udphdr *udp = data + HK_L4(is_ip6);
	struct hk_flow_key key;
	struct hk_flow *flow;

	if ((void *)udp + HK_KERNEL_COVERAGE > end)
		return HK_RX_NOT_OURS;
	if (udp->len != bpf_htons(HK_KERNEL_COVERAGE))
		return HK_RX_NOT_OURS;
	if (hk_pkt_udplite_sum(ip, is_ip6, udp, hk_pkt_payload_len(ip, is_ip6)) == 0xffff)
		return HK_RX_TAKE;
	hk_pkt_key(&key, ip, is_ip6, 1, udp->source, udp->dest);
	flow = bpf_map_lookup_elem(&hk_flows, &key);
	if (!flow || flow->datapath != HK_DATAPATH_KERNEL)
		return HK_RX_NOT_OURS;
	hk_counter_inc(HK_COUNT_KERNEL_RX_CHECKSUM);
	return HK_RX_DROP;
}

/*
 * A segment that says that nothing was heard on the transport: does it acknowledge more than was sent in TCP
 * alone? Then hk_tx_unanswered() sent that both ways, and only TCP came through: of at least four packets, for
 * fewer may be lost by chance. Looks at the newest selective acknowledgement as well, where Linux puts it.
 */
static __always_inline int hk_rx_unheard(const struct hk_flow *flow, const struct tcphdr *tcp,
					 void *end)
{
	const __be32 *option = (const void *)(tcp + 1);
	__u32 acked = bpf_ntohl(tcp->ack_seq);

	if (flow->tx_packets < HK_TCP_RUN_MAX)
		return 0;
	if ((void *)(option + 3) <= end && tcp->doff >= 8 && option[0] == bpf_htonl(HK_TIMESTAMPS))
		option += 3;
	if ((void *)(option + 3) <= end && tcp->doff >= 10 &&
	    (option[0] & bpf_htonl(0xffffff00)) ==
		    bpf_htonl(0x01010500)) /* RFC 2018: left, right */
		acked = bpf_ntohl(option[2]);
	return hk_seq_after(acked, flow->tcp_tx_seq);
}

/*
 * A segment in TCP at the place of the next byte. @known: also a firewall on the path has taken note of it. No other
 * may move that, for whoever names it can have a reset's number put right (hk_rx_reset()); a repeated segment is none
 * of these.
 */
static __always_inline void hk_rx_beside(struct hk_flow *flow, __u32 seq, __u32 seq_end, int known)
{
	if (seq != flow->tcp_rx_seq && seq != flow->rx_seq)
		return;
	if (known)
		flow->tcp_rx_seq = seq_end;
	if (hk_seq_after(seq_end, flow->rx_seq))
		flow->rx_seq = seq_end;
}

/*
 * Is it a reset as hk_tx_reset() sends it, one that a firewall lets pass, which knows only what travelled in TCP? That
 * number is one of 2^32 like the right one, and only segments that bore one of the two have moved it. Where it was not
 * noted, for a segment in TCP was lost, late or part of the handshake, what it acknowledges is as hard to guess, and
 * constant at an end that only reads. An ordinary reset is not behind what has been received.
 */
static __always_inline int hk_rx_reset_known(const struct hk_flow *flow, const struct tcphdr *tcp)
{
	__u32 seq = bpf_ntohl(tcp->seq);

	if (seq == flow->tcp_rx_seq)
		return 1;
	return tcp->ack && bpf_ntohl(tcp->ack_seq) == flow->rx_ack &&
	       seq - flow->rx_seq > HK_SEQ_NEAR;
}

static __always_inline void hk_rx_reset(struct hk_flow *flow, const struct hk_flow_key *key,
					struct tcphdr *tcp)
{
	__be32 seq = bpf_htonl(flow->rx_seq);
	__u64 sum = (__u16)~tcp->check;

	if (!flow->rx_packets || tcp->seq == seq || !hk_rx_reset_known(flow, tcp))
		return;
	sum += bpf_csum_diff(&tcp->seq, sizeof(seq), &seq, sizeof(seq), 0);
	tcp->seq = seq;
	tcp->check = ~hk_csum_fold(sum);
	hk_path_refuse(key, flow->agreed, HK_REASON_ABORTED);
	hk_counter_inc(HK_COUNT_KERNEL_RST_REPAIRED);
}

/*
 * Do TCP segments in a row mean that the transport does not get through? They say nothing where packets on the
 * transport are only overtaken: UDP and TCP may be in different receive queues, and the one with the bulk is longer.
 */
static __always_inline int hk_rx_swallowed(const struct hk_flow *flow)
{
	__u32 most = flow->rx_packets < HK_TCP_RUN_NEW ? HK_TCP_RUN_NEW : HK_TCP_RUN_MAX;

	return flow->tcp_run >= most && (__u32)bpf_jiffies64() - flow->heard >= HK_QUIET_JIFFIES;
}

/*
 * A TCP segment where the transport was expected: a few are normal around a timeout, many in a row
 * say that the path swallows the transport, or that the peer's Hooker is gone. @segments: how many GRO
 * has made one of.
 */
static __always_inline enum hk_rx hk_rx_tcp(void *data, void *end, __u32 segments, const int is_ip6)
{
	void *ip = data + sizeof(struct ethhdr);
	struct tcphdr *tcp = data + HK_L4(is_ip6);
	struct hk_flow_key key;
	struct hk_flow *flow;
	__u32 payload;
	enum hk_rx_option option;
	int crowded, known;

	if ((void *)(tcp + 1) > end || tcp->syn)
		return HK_RX_NOT_OURS;
	hk_pkt_key(&key, ip, is_ip6, 1, tcp->source, tcp->dest);
	flow = bpf_map_lookup_elem(&hk_flows, &key);
	if (!flow || flow->datapath != HK_DATAPATH_KERNEL)
		return HK_RX_NOT_OURS;
	if (tcp->rst)
		hk_rx_reset(flow, &key, tcp);
	if (tcp->rst)
		return HK_RX_PASS;
	payload = hk_pkt_payload_len(ip, is_ip6) - tcp->doff * 4;
	crowded = hk_is_crowded(tcp, payload);
	option = hk_rx_option(tcp, end);
	/* What a client sends that has not heard us on the transport goes in TCP alone, its request, too. */
	known = tcp->urg || !flow->rx_packets ||
		(option == HK_RX_UNHEARD && !(flow->flags & HK_FLOW_CLIENT));
	if (known || crowded)
		hk_rx_beside(flow, bpf_ntohl(tcp->seq), bpf_ntohl(tcp->seq) + payload, known);
	if (!hk_rx_plausible(flow, bpf_ntohl(tcp->seq), bpf_ntohl(tcp->ack_seq)))
		return HK_RX_PASS;
	hk_rx_answered(flow, bpf_ntohl(tcp->ack_seq));
	/* Urgent data is in TCP on purpose (bpf/wire.h). */
	if (tcp->urg || flow->state != HK_FLOW_ACTIVE || !flow->rx_packets)
		return HK_RX_PASS;
	/* Well under way, unless we have already timed out, or what the client has came in TCP and on the transport
	 * before: then it never will hear us. */
	if (option == HK_RX_UNHEARD && !(flow->flags & (HK_FLOW_CLIENT | HK_FLOW_ANSWERED)) &&
	    (flow->rtos || hk_rx_unheard(flow, tcp, end)))
		hk_fall_back(flow, &key, HK_REASON_BLACKHOLE, 1);
	if (crowded || option)
		return HK_RX_PASS;
	hk_counter_inc(HK_COUNT_KERNEL_RX_TCP);
	flow->tcp_run += segments;
	if (hk_rx_swallowed(flow))
		hk_fall_back(flow, &key, HK_REASON_BLACKHOLE, 1);
	else if (flow->tcp_run >= 2)
		flow->twice = HK_TWICE_ON_RUN;
	return HK_RX_PASS;
}

#endif
