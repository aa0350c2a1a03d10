// SPDX-License-Identifier: GPL-2.0
/*
 * The relay datapath: SK_MSG moves messages between applications and the redirection socket; at
 * XDP or tc ingress FIN and RST are held until the stream they end is complete.
 *
 * SK_DROP is never returned for an application's message that could go elsewhere: it is sticky, the program
 * would not run again on that socket and every later send() would fail with EACCES.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"
#include "bpf/lib/count.bpf.h"
#include "bpf/lib/flow.bpf.h"
#include "bpf/lib/relay_maps.bpf.h"
#include "bpf/lib/relay_out.bpf.h"

/* Ethernet, IPv4 and TCP without options. */
#define HK_RELAY_HEADERS (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct tcphdr))

#define HK_IP_FRAGMENT	 0x3fff /* of frag_off: more follow, or where this one belongs */

/* In the header of every message, see abi.h: random, so that no stream can contain it on purpose. */
const volatile __u64 hk_magic = 0;

/* enum hk_redir_slot, of each loop -> Hooker userspace's sockets. Written by userspace. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, HK_REDIR_MAX);
	__type(key, __u32);
	__type(value, __u64);
} hk_redir SEC(".maps");

/* See abi.h. Both sides write: what userspace adds gives way to what the program has written meanwhile. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HK_PAIRS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} hk_bounds SEC(".maps");

/* Index of a loopback pair -> its side B. Written by userspace. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, HK_PAIRS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} hk_pairs SEC(".maps");

/* The connection cannot go on: userspace resets it, so that the application hears of the error. */
static __always_inline void hk_relay_broken(const struct sock_key *key, __u32 local_isn)
{
	struct hk_event *event = hk_event_reserve(HK_EVENT_BROKEN, key);

	if (!event)
		return;
	event->local_isn = local_isn;
	bpf_ringbuf_submit(event, 0);
}

/*
 * The pair is full: puts a byte in front of the message and passes that to TCP, where it stays. The program
 * then runs again for the message itself, which goes the usual way. Returns 1 if so. In front, because a redirection
 * may end half way: what is left of a message is then given back to the application, and counted.
 */
static __always_inline int hk_brake(struct sk_msg_md *msg, struct hk_flow *flow)
{
	__u64 *bound = bpf_map_lookup_elem(&hk_bounds, &flow->slot);

	if (!bound || !*bound || flow->tx_bytes < *bound || flow->braked != flow->shift)
		return 0;
	/* Not twice for one message, but for the next if this one leaves at once: the window may be open yet. */
	*bound = flow->tx_bytes + msg->size;
	if (bpf_msg_push_data(msg, 0, 1, 0)) {
		hk_counter_inc(HK_COUNT_MSG_PUSH_FAILED);
		return 0;
	}
	if (msg->data + 1 <= msg->data_end)
		*(__u8 *)msg->data = 0; /* the page is as the kernel got it */
	bpf_msg_apply_bytes(msg, 1);
	flow->braked++;
	hk_counter_inc(HK_COUNT_BRAKED);
	return 1;
}

/*
 * Egress into the connection's own pair: the kernel's flow control is the bound, and a writer without
 * room waits in it. No header, because a send may end half way. Without its pair the connection is
 * about to be reset: SK_PASS, whose bytes hk_relay_look() at the peer refuses, rather than a sticky SK_DROP.
 */
static __always_inline int hk_to_pair(struct sk_msg_md *msg, struct hk_flow *flow)
{
	if (hk_brake(msg, flow))
		return SK_PASS;
	bpf_msg_apply_bytes(msg, 0); /* the brake's byte alone is over: the message as a whole */
	if (bpf_msg_redirect_map(msg, &hk_pairs, flow->slot, 0) == SK_PASS) {
		__sync_fetch_and_add(&flow->tx_bytes, msg->size);
		hk_counter_inc(HK_COUNT_MSG_REDIRECTED);
	} else {
		hk_counter_inc(HK_COUNT_MSG_PASSED);
	}
	return SK_PASS;
}

/*
 * sendmsg() of an application. Shared redirection socket: push the header that names the connection,
 * redirect.
 */
SEC("sk_msg")
int hk_redirector(struct sk_msg_md *msg)
{
	struct hk_msg_header header = {
		.key =
			{
				.src_ip4 = msg->local_ip4,
				.dst_ip4 = msg->remote_ip4,
				.src_port = msg->local_port,
				.dst_port = bpf_ntohl(msg->remote_port),
			},
		.length = msg->size,
		.magic = hk_magic,
	};
	struct hk_flow *flow = hk_relay_flow(&header.key);
	void *data, *end;

	/* After SHUT_WR, or once the peer has reset, TCP itself has the right answer: EPIPE. */
	if (!flow || flow->flags & HK_FLOW_SHUT ||
	    hk_order_flags(&header.key, flow->local_isn) & HK_ORDER_SHUT) {
		hk_counter_inc(HK_COUNT_MSG_PASSED);
		return SK_PASS;
	}
	if (flow->slot != HK_SLOT_NONE)
		return hk_to_pair(msg, flow);
	header.local_isn = flow->local_isn;
	if (bpf_msg_push_data(msg, 0, sizeof(header), 0))
		goto broken;
	data = msg->data;
	end = msg->data_end;
	if (data + sizeof(header) > end)
		goto broken;
	__builtin_memcpy(data, &header, sizeof(header));
	__sync_fetch_and_add(&flow->tx_bytes, header.length);
	hk_counter_inc(HK_COUNT_MSG_REDIRECTED);
	return bpf_msg_redirect_map(msg, &hk_redir, HK_REDIR_SOCKET, BPF_F_INGRESS);
broken:
	hk_counter_inc(HK_COUNT_MSG_PUSH_FAILED);
	hk_relay_broken(&header.key, header.local_isn);
	return SK_DROP;
}

/*
 * sendmsg() of Hooker userspace on the redirection socket: pop the header, hand to the application. A run sees 17
 * elements at most. Those are 32 KiB each, but 4 KiB where memory is fragmented: then what is left of the message comes
 * without its header, and bpf_msg_apply_bytes() makes it follow without another run. Where the application's socket has
 * memory for a part only, the program does run for the rest (bpf_tcp_ingress() has taken what it could, and says nothing).
 * SK_DROP then: sendmsg() says how much has gone, and userspace gets rid of the verdict, which would stay.
 */
SEC("sk_msg")
int hk_deliver(struct sk_msg_md *msg)
{
	void *data = msg->data, *end = msg->data_end;
	struct hk_msg_header header;
	struct hk_flow *flow;
	struct sock_key key;

	if (data + sizeof(header) > end) {
		if (bpf_msg_pull_data(msg, 0, sizeof(header), 0))
			goto refused;
		data = msg->data;
		end = msg->data_end;
		if (data + sizeof(header) > end)
			goto refused;
	}
	__builtin_memcpy(&header, data, sizeof(header));
	if (header.magic != hk_magic)
		goto refused;
	key = header.key;
	flow = hk_relay_flow(&key);
	/* Choose the target while the header is still there: on a miss it must bounce whole. */
	if (!flow || flow->local_isn != header.local_isn ||
	    bpf_msg_redirect_hash(msg, &hk_apps, &key, BPF_F_INGRESS) != SK_PASS) {
		hk_counter_inc(HK_COUNT_MSG_BOUNCED);
		bpf_msg_apply_bytes(msg, sizeof(header) + header.length);
		return bpf_msg_redirect_map(msg, &hk_redir,
					    hk_loop_of(&key) * HK_REDIR_SLOTS + HK_REDIR_BOUNCE,
					    BPF_F_INGRESS);
	}
	if (bpf_msg_pop_data(msg, 0, sizeof(header), 0))
		goto refused;
	bpf_msg_apply_bytes(msg, header.length);
	hk_counter_inc(HK_COUNT_MSG_DELIVERED);
	return SK_PASS;
refused:
	hk_counter_inc(HK_COUNT_MSG_REFUSED);
	return SK_DROP;
}

/*
 * Copies the headers of what is held. Byte by byte: bpf_xdp_load_bytes() came with 5.18, and a
 * variable length is what verifiers before 6.x prove least willingly.
 */
static __always_inline void hk_frame_copy(struct hk_event *event, void *data, void *end)
{
	__u8 *from = data;
	int i;

	for (i = 0; i < HK_HELD_MAX; i++) {
		if ((void *)(from + i + 1) > end || i >= event->frame_len)
			break;
		event->frame[i] = from[i];
	}
}

/* What is to become of a TCP segment. */
enum hk_relay_verdict {
	HK_RELAY_PASS,
	HK_RELAY_DROP,
	HK_RELAY_HOLD, /* userspace gets a copy, and lets it in once the stream is complete */
};

struct hk_relay_segment {
	struct sock_key key;
	struct hk_flow *flow;
	__u32 headers; /* length of Ethernet, IP and TCP header */
};

/*
 * The acknowledgement of our own FIN, while the peer still sends: it would wake a reader blocked in
 * recv(), and tcp_bpf_recvmsg() answers every wake-up without data with EAGAIN. Redirected payload
 * does not move sequence numbers, so our FIN is the first byte after the handshake.
 */
static __always_inline int hk_acks_fin(const struct hk_flow *flow, const struct tcphdr *tcp)
{
	return flow->flags & HK_FLOW_SHUT && bpf_ntohl(tcp->ack_seq) == flow->local_isn + 2;
}

/*
 * TCP of redirected connections: handshake and acknowledgements pass, unless TCP is ahead of the wire (hk_flow.shift);
 * FIN and RST are held.
 *
 * Redirected payload does not move sequence numbers: what the peer itself has to say begins at the first byte behind
 * its SYN, or at the second, behind its FIN. All else is a keepalive, or of somebody who does not know the numbers: TCP
 * may judge it (RFC 5961), but it changes nothing here, and no payload may pass.
 */
static __always_inline enum hk_relay_verdict hk_relay_look(void *data, void *end, __u32 ifindex,
							   struct hk_relay_segment *segment)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	struct sock_key *key = &segment->key;
	__u32 headers, at;
	struct hk_flow *flow;
	int payload;

	/* At tc ingress any protocol comes by. Of a fragment there may be no header, or half of one. */
	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
	    ip->protocol != IPPROTO_TCP || ip->frag_off & bpf_htons(HK_IP_FRAGMENT))
		return HK_RELAY_PASS;
	key->src_ip4 = ip->daddr;
	key->dst_ip4 = ip->saddr;
	key->src_port = bpf_ntohs(tcp->dest);
	key->dst_port = bpf_ntohs(tcp->source);
	flow = hk_relay_flow(key);
	if (!flow || tcp->syn)
		return HK_RELAY_PASS;
	headers = sizeof(*ip) + tcp->doff * 4;
	payload = bpf_ntohs(ip->tot_len) > headers;
	at = bpf_ntohl(tcp->seq) - (flow->remote_isn + 1);
	if (at > 1)
		return payload ? HK_RELAY_DROP : HK_RELAY_PASS;
	flow->ifindex = ifindex;
	/* Payload in TCP: the peer does not redirect. Old and new bytes must never mix. */
	if (payload) {
		hk_counter_inc(HK_COUNT_RELAY_TCP_DATA);
		hk_relay_broken(key, flow->local_isn);
		return HK_RELAY_DROP;
	}
	/* What acknowledges less than TCP has sent needs to be translated: userspace does so. */
	if (!flow->shift && ((!tcp->fin && !tcp->rst && !hk_acks_fin(flow, tcp)) ||
			     hk_order_flags(key, flow->local_isn) & HK_ORDER_RELEASE))
		return HK_RELAY_PASS;
	segment->flow = flow;
	segment->headers = sizeof(*eth) + headers;
	hk_counter_inc(HK_COUNT_RELAY_HELD);
	return HK_RELAY_HOLD;
}

/* Without an event the segment is dropped as well: the peer's TCP sends it again. */
static __always_inline struct hk_event *hk_hold(const struct hk_relay_segment *segment,
						__u32 ifindex)
{
	struct hk_event *event = hk_event_reserve(HK_EVENT_HELD, &segment->key);

	if (!event)
		return 0;
	event->ifindex = ifindex;
	event->frame_len = segment->headers;
	event->cookie = segment->flow->cookie;
	event->local_isn = segment->flow->local_isn;
	event->remote_isn = segment->flow->remote_isn;
	return event;
}

SEC("xdp")
int hk_relay_rx(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct hk_relay_segment segment = {};
	enum hk_relay_verdict verdict;
	struct hk_event *event;

	verdict = hk_relay_look(data, end, ctx->ingress_ifindex, &segment);
	if (verdict == HK_RELAY_PASS)
		return XDP_PASS;
	event = verdict == HK_RELAY_HOLD ? hk_hold(&segment, ctx->ingress_ifindex) : 0;
	if (event) {
		hk_frame_copy(event, data, end);
		bpf_ringbuf_submit(event, 0);
	}
	return XDP_DROP;
}

/*
 * The same at tc ingress, where UDP-Lite does not ask for XDP: a veth with XDP copies every frame and
 * has every super-packet cut, those of the transport, too. What hk_inject lets in comes by here again.
 */
SEC("tc")
int hk_relay_in(struct __sk_buff *skb)
{
	struct hk_relay_segment segment = {};
	enum hk_relay_verdict verdict;
	struct hk_event *event;
	__u32 len;

	if (skb->vlan_present || skb->tc_index == HK_INJECTED ||
	    skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_UNSPEC;
	if (skb->data_end - skb->data < HK_RELAY_HEADERS &&
	    bpf_skb_pull_data(skb, HK_RELAY_HEADERS))
		return TC_ACT_UNSPEC;
	verdict = hk_relay_look((void *)(long)skb->data, (void *)(long)skb->data_end, skb->ifindex,
				&segment);
	if (verdict == HK_RELAY_PASS)
		return TC_ACT_UNSPEC;
	event = verdict == HK_RELAY_HOLD ? hk_hold(&segment, skb->ifindex) : 0;
	if (!event)
		return TC_ACT_SHOT;
	len = segment.headers;
	if (len > HK_HELD_MAX || bpf_skb_load_bytes(skb, 0, event->frame, len))
		event->frame_len =
			0; /* as good as lost: the peer's TCP sends it again, or userspace makes it */
	bpf_ringbuf_submit(event, 0);
	return TC_ACT_SHOT;
}

/* tc egress. */
SEC("tc")
int hk_relay_out(struct __sk_buff *skb)
{
	return hk_out(skb);
}

/*
 * Run by BPF_PROG_TEST_RUN with a held frame: puts it behind XDP, and past hk_relay_in. skb->mark
 * carries the interface. 15 us a frame, against 650 us for XDP live frames, and works on 5.10.
 */
SEC("tc")
int hk_inject(struct __sk_buff *skb)
{
	__u32 ifindex = skb->mark;

	skb->mark = 0;
	skb->tc_index = HK_INJECTED;
	return bpf_clone_redirect(skb, ifindex, BPF_F_INGRESS);
}

char _license[] SEC("license") = "GPL";
