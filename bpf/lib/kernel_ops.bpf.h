/* SPDX-License-Identifier: GPL-2.0 */
/* SOCK_OPS, the kernel datapath's part: segment size, timeouts, the peer's word of a fallback. */
#ifndef HOOKER_KERNEL_OPS_BPF_H
#define HOOKER_KERNEL_OPS_BPF_H

#include "bpf/lib/kernel_flow.bpf.h"
#include "bpf/lib/option.bpf.h"

#define HK_KERNEL_CALLBACKS                                              \
	(BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG | BPF_SOCK_OPS_RTO_CB_FLAG | \
	 BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG | BPF_SOCK_OPS_STATE_CB_FLAG)

/*
 * The size of a full segment is being worked out: leave room for the header that tc will insert, or
 * for the option of a segment that stays in TCP. Nothing is written, so the MSS of the SYN stays what
 * it was, path MTU discovery is followed, and other connections are not touched. Asked with every
 * send(): what the socket is watched for tells its flow's datapath without a look into the table.
 */
static __always_inline void hk_kernel_mss(struct bpf_sock_ops *ctx)
{
	if ((ctx->bpf_sock_ops_cb_flags & HK_KERNEL_CALLBACKS) == HK_KERNEL_CALLBACKS)
		bpf_reserve_hdr_opt(ctx, HK_INSERT, 0);
}

/*
 * Falls back if the flow's transport has been undeployed. Here and not in tc: so the first segment that
 * goes out in TCP already tells the peer why, which would else see a path that swallows the transport.
 */
static __always_inline void hk_kernel_undeployed(struct hk_flow *flow,
						 const struct hk_flow_key *key)
{
	struct hk_config *config = hk_config_get();

	if (flow->state != HK_FLOW_TCP && flow->agreed == HK_TRANSPORT_UDPLITE && config &&
	    !(config->flags & HK_CONFIG_LITE))
		hk_fall_back(flow, key, HK_REASON_UNDEPLOYED, 0);
}

/* May the option go into this segment? It never does into one that travels on the transport. */
static __always_inline int hk_kernel_option(const struct hk_flow *flow, struct hk_option *opt)
{
	if (flow->state == HK_FLOW_TCP) {
		if (!flow->signal)
			return 0;
		hk_option_fill(opt, HK_DATAPATH_NONE, flow->agreed, flow->reason);
		return 1;
	}
	if (flow->rx_packets || !(flow->flags & HK_FLOW_CLIENT))
		return 0;
	hk_option_fill(opt, HK_DATAPATH_KERNEL, flow->agreed, flow->coverage);
	return 1;
}

/*
 * Does only a byte of each cut copy in TCP arrive, from timeout to timeout? Then what travels on the transport is heard
 * there and thrown away by TCP: something on the way, a device or a NAT on the same host, makes its checksum wrong. Or
 * only what is large is lost there.
 */
static __always_inline int hk_kernel_crawls(struct hk_flow *flow)
{
	__u32 acked = flow->rx_ack - flow->rto_ack;

	flow->rto_ack = flow->rx_ack;
	if (acked >= HK_CRAWL_BYTES || flow->tx_seq - flow->rx_ack < HK_SHORTEN_FROM)
		flow->crawl = 0;
	else if (acked)
		flow->crawl++;
	return flow->crawl >= HK_CRAWL_MAX;
}

/*
 * Timeout: from now on a few packets go both ways, in TCP and on the transport. Whichever arrives
 * tells the peer (bpf/kernel.bpf.c) what the path lets through; random loss alone changes nothing.
 */
static __always_inline void hk_kernel_timeout(const struct hk_flow_key *key, __u32 earlier)
{
	struct hk_flow *flow = bpf_map_lookup_elem(&hk_flows, key);
	int refused;

	if (!flow || flow->datapath != HK_DATAPATH_KERNEL || !flow->rx_packets)
		return;
	/* In TCP after a fallback, or on both: if still nothing is answered, a firewall may think that
	 * TCP's sequence numbers are out of the window it last saw. */
	flow->stuck = earlier + 1 < HK_STUCK_TRIES ? 0 : earlier < 255 ? earlier + 1 : 255;
	if (flow->state == HK_FLOW_TCP)
		return;
	flow->rtos++;
	refused = hk_path_refused(key, flow->agreed);
	if (refused || hk_kernel_crawls(flow)) {
		hk_fall_back(flow, key, HK_REASON_BLACKHOLE, !refused);
		return;
	}
	flow->twice = HK_TWICE_ON_RTO;
	hk_counter_inc(HK_COUNT_KERNEL_SUSPECT);
}

/*
 * Does the segment at hand have timestamps, and no other option? Once one bore an unknown option, Linux
 * calls back for each of these as well: its fast path leaves tcp_options_received.saw_unknown alone.
 */
static __always_inline int hk_kernel_has_timestamps_only(struct bpf_sock_ops *ctx)
{
	void *data = ctx->skb_data, *end = ctx->skb_data_end;
	struct tcphdr *tcp = data;
	__be32 *options = (void *)(tcp + 1);

	return (void *)(options + 1) <= end && tcp->doff == 8 &&
	       *options == bpf_htonl(HK_TIMESTAMPS);
}

/* A segment from the peer, inside the window, bears an unknown option: is it ours, saying "TCP"? */
static __always_inline void hk_kernel_told(struct bpf_sock_ops *ctx, const struct hk_flow_key *key)
{
	struct hk_flow *flow = bpf_map_lookup_elem(&hk_flows, key);
	struct hk_option opt;
	__u32 cause;

	if (!hk_kernel_redirected(flow) || hk_option_load(ctx, &opt, 0) ||
	    hk_option_datapath(&opt) != HK_DATAPATH_NONE)
		return;
	cause = bpf_ntohs(opt.coverage);
	hk_fall_back(flow, key, HK_REASON_PEER_FELL_BACK,
		     cause == HK_REASON_BLACKHOLE || cause == HK_REASON_ICMP_UNREACHABLE);
}

/*
 * The socket is gone, its TIME_WAIT successor may still have to answer: userspace removes the flow
 * later. After LAST_ACK nobody has anything to say any more.
 */
static __always_inline void hk_kernel_state(struct bpf_sock_ops *ctx, const struct hk_flow_key *key,
					    struct hk_flow *flow)
{
	if (ctx->args[1] != BPF_TCP_CLOSE)
		return;
	if (ctx->args[0] == BPF_TCP_LAST_ACK) {
		bpf_map_delete_elem(&hk_flows, key);
		return;
	}
	flow->state = HK_FLOW_CLOSING;
	flow->changed_ns = bpf_ktime_get_ns();
}

#endif
