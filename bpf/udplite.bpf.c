// SPDX-License-Identifier: GPL-2.0
/*
 * UDP-Lite (RFC 3828) for a kernel that may not have it. An application, or Hooker's own daemon, uses
 * an ordinary UDP socket whose local port is in hk_lite_ports; here its datagrams become UDP-Lite on
 * their way out, and UDP-Lite datagrams for it are verified and become UDP on their way in.
 *
 *   receive, XDP:    parse -> coverage -> verify -> deliver
 *   send, tc egress: classify -> header -> checksum
 *
 * Every step finds the headers again and keeps nothing for the next: steps can be replaced one by one
 * while traffic flows, and an old step can hand to a new one. Names of the reasons: hooker/transport/
 * udplite.c.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include "bpf/lib/steps.bpf.h"
#include "bpf/lib/udplite.bpf.h"

#define AF_INET	 2
#define AF_INET6 10

/* Local port, host order -> how that socket speaks UDP-Lite; written by userspace. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct hk_lite_port);
} hk_lite_ports SEC(".maps");

static __always_inline struct hk_lite_port *lite_port(__be16 port)
{
	__u32 key = bpf_ntohs(port);

	return bpf_map_lookup_elem(&hk_lite_ports, &key);
}

HK_DEFINE_RANGE_SUM(xdp, xdp_md)
HK_DEFINE_RANGE_SUM(tc, __sk_buff)

/* ---------------------------------------------------------------- receive */

enum { RX_PARSE, RX_COVERAGE, RX_VERIFY, RX_DELIVER };

/* Parse */
enum { NOT_UDPLITE = 1, WITH_OPTIONS, FRAGMENT, SHORT, LONG, UNKNOWN_PORT, FORWARDED };
/* Coverage */
enum { COVERAGE_ILLEGAL = 1, COVERAGE_BEYOND, COVERAGE_LOW, ZERO_CHECKSUM };
/* Verify */
enum { BAD_CHECKSUM = 1, UNFINISHED };
/* All of the later steps: the packet is not what the step before saw. */
enum { CHANGED = 8 };

/*
 * A router has to forward UDP-Lite between other hosts as it is. The routing table knows; it is asked
 * only about ports in use here, and answers at once on a host that does not forward.
 */
static __always_inline bool is_forwarded(struct xdp_md *ctx, const struct hk_lite_view *view)
{
	struct bpf_fib_lookup fib = {};
	int ret;

	fib.ifindex = ctx->ingress_ifindex;
	fib.l4_protocol = HK_LITE_PROTOCOL;
	if (!view->v6) {
		const struct iphdr *ip = view->l3;

		fib.family = AF_INET;
		fib.tot_len = bpf_ntohs(ip->tot_len);
		fib.ipv4_src = ip->saddr;
		fib.ipv4_dst = ip->daddr;
	} else {
		const struct ipv6hdr *ip6 = view->l3;

		fib.family = AF_INET6;
		fib.tot_len = bpf_ntohs(ip6->payload_len);
		__builtin_memcpy(fib.ipv6_src, &ip6->saddr, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, &ip6->daddr, sizeof(fib.ipv6_dst));
	}
	ret = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	return ret == BPF_FIB_LKUP_RET_SUCCESS || ret == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       ret == BPF_FIB_LKUP_RET_FRAG_NEEDED;
}

SEC("xdp")
int hk_lite_parse(struct xdp_md *ctx)
{
	struct hk_lite_view view;
	int look = hk_lite_look_xdp(ctx, HK_LITE_PROTOCOL, &view);

	if (look)
		return hk_rx_end(RX_PARSE, look, XDP_PASS);
	if (!lite_port(view.lite->dest))
		return hk_rx_end(RX_PARSE, UNKNOWN_PORT, XDP_PASS);
	if (is_forwarded(ctx, &view))
		return hk_rx_end(RX_PARSE, FORWARDED, XDP_PASS);
	return hk_rx_next(ctx, RX_PARSE);
}

/* RFC 3828 section 3.1, and section 3.2 for the least coverage a receiver accepts. */
SEC("xdp")
int hk_lite_cover(struct xdp_md *ctx)
{
	struct hk_lite_view view;
	struct hk_lite_port *port;
	__u32 covered;

	if (hk_lite_look_xdp(ctx, HK_LITE_PROTOCOL, &view))
		return hk_rx_end(RX_COVERAGE, CHANGED, XDP_PASS);
	covered = hk_lite_covered(&view);
	if (covered < HK_LITE_HEADER)
		return hk_rx_end(RX_COVERAGE, COVERAGE_ILLEGAL, XDP_DROP);
	if (covered > view.len)
		return hk_rx_end(RX_COVERAGE, COVERAGE_BEYOND, XDP_DROP);
	if (!view.lite->check)
		return hk_rx_end(RX_COVERAGE, ZERO_CHECKSUM, XDP_DROP);
	port = lite_port(view.lite->dest);
	if (!port)
		return hk_rx_end(RX_COVERAGE, CHANGED, XDP_PASS);
	if (covered < view.len && (!port->min_coverage || covered < port->min_coverage))
		return hk_rx_end(RX_COVERAGE, COVERAGE_LOW, XDP_DROP);
	return hk_rx_next(ctx, RX_COVERAGE);
}

/*
 * What the field of an unfinished UDP-Lite datagram holds: one whose checksum the kernel has left to the device
 * (CHECKSUM_PARTIAL). Device or kernel will add up the whole datagram, including this, and write the complement: so it is the
 * pseudo-header's sum minus that of the @rest, which UDP-Lite does not cover, and the result is the partial checksum after all.
 */
static __always_inline __u16 unfinished_field(__u64 pseudo, __u32 covered, int rest)
{
	return hk_csum_fold(pseudo + (__u16)~hk_sum_behind(rest, covered));
}

/* Between network namespaces of one machine a packet may arrive before anybody computed its checksum: nothing will. */
static __always_inline bool may_be_unfinished(struct xdp_md *ctx)
{
	__u32 place = ctx->ingress_ifindex % HK_UNFINISHED;
	__u32 *expected = bpf_map_lookup_elem(&hk_unfinished, &place);

	return expected && *expected;
}

static __always_inline bool looks_unfinished(struct xdp_md *ctx, const struct hk_lite_view *view,
					     __u64 pseudo)
{
	__u32 covered = hk_lite_covered(view);
	__u16 check = view->lite->check;
	int rest = 0;

	if (covered > view->len)
		return false;
	if (covered < view->len)
		rest = hk_xdp_range(ctx, view->offset + covered, view->len - covered);
	return rest >= 0 && unfinished_field(pseudo, covered, rest) == check;
}

/* Is the checksum right, and finished? Negative: the packet is not what the step before saw. */
static __always_inline int sums_up(struct xdp_md *ctx, const struct hk_lite_view *view,
				   __u64 pseudo)
{
	__u32 covered = hk_lite_covered(view);
	int range;

	if (covered > view->len)
		return -1;
	range = hk_xdp_range(ctx, view->offset, covered);
	return range < 0 ? -1 : hk_csum_fold(pseudo + range) == 0xffff;
}

SEC("xdp")
int hk_lite_verify(struct xdp_md *ctx)
{
	struct hk_lite_view view;
	__u64 pseudo;
	int good;

	if (hk_lite_look_xdp(ctx, HK_LITE_PROTOCOL, &view))
		return hk_rx_end(RX_VERIFY, CHANGED, XDP_PASS);
	pseudo = hk_pseudo_sum(&view, HK_LITE_PROTOCOL);
	if (may_be_unfinished(ctx) && looks_unfinished(ctx, &view, pseudo))
		return hk_rx_next_as(ctx, RX_VERIFY, UNFINISHED);
	good = sums_up(ctx, &view, pseudo);
	if (good < 0)
		return hk_rx_end(RX_VERIFY, CHANGED, XDP_PASS);
	if (!good)
		return hk_rx_end(RX_VERIFY, BAD_CHECKSUM, XDP_DROP);
	return hk_rx_next(ctx, RX_VERIFY);
}

/*
 * The UDP checksum that replaces a verified one over the whole datagram: they differ by the protocol
 * number, and by the length field where that said 0 for "everything" (RFC 1624).
 */
static __always_inline __u16 udp_checksum_whole(const struct hk_lite_view *view)
{
	return hk_csum_finish((__u64)(__u16)~view->lite->check + (__u16)~view->lite->coverage +
			      bpf_htons(view->len) + (__u16)~bpf_htons(HK_LITE_PROTOCOL) +
			      bpf_htons(HK_UDP_PROTOCOL));
}

/*
 * The same for a partial one. IPv4 may go without. IPv6 may not unless the socket says so; what the
 * partial checksum covers has a known sum, so only the rest is added up.
 */
static __always_inline int udp_checksum(struct xdp_md *ctx, const struct hk_lite_view *view)
{
	__u32 covered = hk_lite_covered(view);
	int rest = 0;
	__u64 sum;

	if (covered < view->len) {
		rest = hk_xdp_range(ctx, view->offset + covered, view->len - covered);
		if (rest < 0)
			return -1;
	}
	/* pseudo + covered = 0xffff, so covered without check and coverage = ~pseudo - both. */
	sum = (__u16)~hk_csum_fold(hk_pseudo_sum(view, HK_LITE_PROTOCOL));
	sum += (__u16)~view->lite->check;
	sum += (__u16)~view->lite->coverage;
	sum += hk_pseudo_sum(view, HK_UDP_PROTOCOL) + bpf_htons(view->len);
	return hk_csum_finish(sum + hk_sum_behind(rest, covered));
}

/*
 * What UDP expects of an unfinished datagram: the pseudo-header's sum. It knows whether it is one, and adds up what is not;
 * so a damaged one that looks like it (1 in 65,536) is found out. 0: it does not look like it, or is finished.
 */
static __always_inline __u16 udp_unfinished(struct xdp_md *ctx, const struct hk_lite_view *view)
{
	__u64 pseudo = hk_pseudo_sum(view, HK_LITE_PROTOCOL);

	if (!looks_unfinished(ctx, view, pseudo) || sums_up(ctx, view, pseudo))
		return 0;
	return hk_csum_fold(pseudo + (__u32)~bpf_htonl(HK_LITE_PROTOCOL) +
			    bpf_htonl(HK_UDP_PROTOCOL));
}

/* The checksum by which UDP gets it, 0 = none. Negative: the packet is not what the step before saw. */
static __always_inline int check_for_udp(struct xdp_md *ctx, const struct hk_lite_view *view,
					 const struct hk_lite_port *port)
{
	int check = may_be_unfinished(ctx) ? udp_unfinished(ctx, view) : 0;

	if (check)
		return check;
	/* Never without one where it costs nothing: UDP GRO joins only datagrams that have it. */
	if (hk_lite_covered(view) == view->len)
		return udp_checksum_whole(view);
	return view->v6 && !(port->flags & HK_LITE_NO_CHECK6) ? udp_checksum(ctx, view) : 0;
}

SEC("xdp")
int hk_lite_deliver(struct xdp_md *ctx)
{
	struct hk_lite_view view;
	struct hk_lite_port *port;
	int check;

	if (hk_lite_look_xdp(ctx, HK_LITE_PROTOCOL, &view))
		return hk_rx_end(RX_DELIVER, CHANGED, XDP_PASS);
	port = lite_port(view.lite->dest);
	if (!port)
		return hk_rx_end(RX_DELIVER, CHANGED, XDP_PASS);
	check = check_for_udp(ctx, &view, port);
	if (check < 0)
		return hk_rx_end(RX_DELIVER, CHANGED, XDP_PASS);
	hk_ip_set_protocol(&view, HK_LITE_PROTOCOL, HK_UDP_PROTOCOL);
	view.lite->coverage = bpf_htons(view.len); /* UDP's length */
	view.lite->check = check;
	return hk_rx_end(RX_DELIVER, 0, XDP_PASS);
}

/* ---------------------------------------------------------------- checksum offload */

#define CHECK_OFFSET 6 /* of the checksum in the header */

/*
 * Whether the kernel has left the checksum to the device (CHECKSUM_PARTIAL). __sk_buff does not say;
 * but bpf_l4_csum_replace() without BPF_F_PSEUDO_HDR changes a finished checksum, and never one that
 * is still to be computed. Reading sk_buff by BTF would say it too, at the price of parsing the
 * kernel's BTF at each deployment (half its time). A finished field is changed; *check is what it
 * was. Negative: no memory.
 */
static __always_inline int is_unfinished(struct __sk_buff *skb, __u32 header, __u16 *check)
{
	__u32 at = header + CHECK_OFFSET;
	__u16 after;

	if (bpf_skb_load_bytes(skb, at, check, sizeof(*check)) ||
	    bpf_l4_csum_replace(skb, at, 0, 1, sizeof(*check)) ||
	    bpf_skb_load_bytes(skb, at, &after, sizeof(after)))
		return -1;
	return *check == after;
}

/* What the field of an unfinished datagram is to hold. Negative: the datagram has changed meanwhile. */
static __always_inline int unfinished_check(struct __sk_buff *skb, const struct hk_lite_view *view)
{
	__u32 covered = hk_lite_covered(view);
	int rest = 0;

	if (covered < HK_LITE_HEADER || covered > view->len)
		return -1;
	if (covered < view->len)
		rest = hk_tc_range(skb, view->offset + covered, view->len - covered);
	return rest < 0 ? -1 :
			  unfinished_field(hk_pseudo_sum(view, HK_LITE_PROTOCOL), covered, rest);
}

/* ---------------------------------------------------------------- send */

enum { TX_CLASSIFY, TX_HEADER, TX_CHECKSUM };

/* Classify; the first ones as in parse. */
enum { SUPER_PACKET = 7, NOT_LOCAL, ENCAPSULATED, NO_MEMORY };

/* Interface -> its segmenter (hooker/kernel/segmenter.h), if it has one; written by userspace. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} hk_lite_cutters SEC(".maps");

/* tc_index of what the segmenter was given; the field is otherwise only used by old qdiscs. */
#define SENT_TO_SEGMENTER 0x4b4c

/*
 * One header for many datagrams (UDP_SEGMENT): protocol 136 has no segmentation. The segmenter cuts it
 * as UDP, and each datagram comes here by itself.
 */
static __always_inline int segment(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	__u32 *segmenter = bpf_map_lookup_elem(&hk_lite_cutters, &ifindex);

	if (!segmenter || skb->tc_index == SENT_TO_SEGMENTER)
		return hk_tx_end(TX_CLASSIFY, SUPER_PACKET, HK_TC_PASS);
	skb->tc_index = SENT_TO_SEGMENTER;
	return bpf_redirect(*segmenter, 0);
}

/* Leaves untouched what is not a whole UDP datagram of a registered port of this host. */
SEC("tc")
int hk_lite_class(struct __sk_buff *skb)
{
	struct hk_lite_view view;
	int look = hk_lite_look_tc(skb, HK_UDP_PROTOCOL, &view);
	__u16 check, pseudo;
	int unfinished;

	/* Headers may lie outside of data..data_end: a short frame may only seem so. */
	if (look == HK_LITE_SHORT) {
		if (bpf_skb_pull_data(skb, skb->len))
			return hk_tx_end(TX_CLASSIFY, NO_MEMORY, HK_TC_PASS);
		look = hk_lite_look_tc(skb, HK_UDP_PROTOCOL, &view);
	}
	if (look && !(look == HK_LITE_LONG && skb->gso_size))
		return hk_tx_end(TX_CLASSIFY, look, HK_TC_PASS);
	if (!lite_port(view.lite->source))
		return hk_tx_end(TX_CLASSIFY, UNKNOWN_PORT, HK_TC_PASS);
	if (skb->ingress_ifindex)
		return hk_tx_end(TX_CLASSIFY, NOT_LOCAL, HK_TC_PASS);
	if (skb->gso_size)
		return segment(skb);
	/* Less UDP than IP, from a raw socket: UDP-Lite cannot say so. */
	if (view.lite->coverage != bpf_htons(view.len))
		return hk_tx_end(TX_CLASSIFY, HK_LITE_SHORT, HK_TC_PASS);
	pseudo = hk_csum_fold(hk_pseudo_sum(&view, HK_UDP_PROTOCOL));
	unfinished = is_unfinished(skb, view.offset, &check);
	if (unfinished < 0)
		return hk_tx_end(TX_CLASSIFY, NO_MEMORY, HK_TC_PASS);
	if (!unfinished)
		bpf_skb_store_bytes(skb, view.offset + CHECK_OFFSET, &check, sizeof(check), 0);
	/* A tunnel's outer header: what is to be computed is the checksum of another one. */
	if (unfinished && check != pseudo)
		return hk_tx_end(TX_CLASSIFY, ENCAPSULATED, HK_TC_PASS);
	return hk_tx_next(skb, TX_CLASSIFY, HK_TC_PASS);
}

SEC("tc")
int hk_lite_header(struct __sk_buff *skb)
{
	struct hk_lite_view view;
	struct hk_lite_port *port;

	if (hk_lite_look_tc(skb, HK_UDP_PROTOCOL, &view))
		return hk_tx_end(TX_HEADER, CHANGED, HK_TC_PASS);
	port = lite_port(view.lite->source);
	if (!port)
		return hk_tx_end(TX_HEADER, CHANGED, HK_TC_PASS);
	hk_ip_set_protocol(&view, HK_UDP_PROTOCOL, HK_LITE_PROTOCOL);
	/* A fully covered datagram says so with its length, as RFC 3828 section 3.2 recommends. */
	view.lite->coverage = bpf_htons(view.len);
	if (port->coverage && port->coverage < view.len)
		view.lite->coverage = bpf_htons(port->coverage);
	return hk_tx_next(skb, TX_HEADER, HK_TC_DROP);
}

/*
 * The checksum field of a datagram that UDP has finished, or left unfinished. Over the whole of it UDP
 * has added up what UDP-Lite does, but for the protocol number (RFC 1624). Negative: the datagram has
 * changed meanwhile, or there is no memory.
 */
static __always_inline int lite_checksum(struct __sk_buff *skb, struct hk_lite_view *view,
					 int unfinished, __u16 check)
{
	__u32 covered = hk_lite_covered(view);
	int sum;

	if (covered == view->len && unfinished)
		return hk_csum_fold(hk_pseudo_sum(view, HK_LITE_PROTOCOL));
	if (covered == view->len && check)
		return hk_csum_finish((__u64)(__u16)~check + (__u16)~bpf_htons(HK_UDP_PROTOCOL) +
				      bpf_htons(HK_LITE_PROTOCOL));
	if (bpf_skb_pull_data(skb, skb->len) || hk_lite_look_tc(skb, HK_LITE_PROTOCOL, view))
		return -1;
	if (unfinished)
		return unfinished_check(skb, view);
	view->lite->check = 0;
	sum = hk_tc_range(skb, view->offset, covered);
	if (sum < 0)
		return -1;
	return hk_csum_finish(hk_pseudo_sum(view, HK_LITE_PROTOCOL) + (__u32)sum);
}

/* The bytes written for a finished datagram are the bytes on the wire. */
SEC("tc")
int hk_lite_check(struct __sk_buff *skb)
{
	struct hk_lite_view view;
	int unfinished, field;
	__u16 check;

	if (hk_lite_look_tc(skb, HK_LITE_PROTOCOL, &view))
		return hk_tx_end(TX_CHECKSUM, CHANGED, HK_TC_DROP);
	unfinished = is_unfinished(skb, view.offset, &check);
	/* Helpers that may move the packet make the verifier forget it. */
	if (unfinished < 0 || hk_lite_look_tc(skb, HK_LITE_PROTOCOL, &view))
		return hk_tx_end(TX_CHECKSUM, CHANGED, HK_TC_DROP);
	field = lite_checksum(skb, &view, unfinished, check);
	if (field < 0 || hk_lite_look_tc(skb, HK_LITE_PROTOCOL, &view))
		return hk_tx_end(TX_CHECKSUM, CHANGED, HK_TC_DROP);
	view.lite->check = field;
	return hk_tx_end(TX_CHECKSUM, 0, HK_TC_PASS);
}

char _license[] SEC("license") = "GPL";
