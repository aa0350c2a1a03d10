/* SPDX-License-Identifier: GPL-2.0 */
/* Kernel datapath: what its sock_ops callbacks and its packet programs have in common. */
#ifndef HOOKER_KERNEL_FLOW_BPF_H
#define HOOKER_KERNEL_FLOW_BPF_H

#include "bpf/lib/count.bpf.h"
#include "bpf/lib/flow.bpf.h"
#include "bpf/lib/journal.bpf.h"

#define HK_INSERT 8 /* length of the UDP or UDP-Lite header in front of the segment */
#define HK_TIMESTAMPS \
	0x0101080a /* TCP's, as Linux writes them: NOP, NOP, kind 8, 10 bytes (RFC 7323) */

/*
 * TCP segments in a row, none on the transport between them, that make a path refused: after each timeout, two
 * copies of the first packet, behind itself, and one of each that follows. Where packets are merely lost, all those
 * on the transport would have to be: the first one, its company, and what follows. All seven of the first are fewer
 * than GRO hands up at a time (net.core.gro_normal_batch, 8): so the answer to what came on the transport knows
 * already that TCP came as well. TCP answers a zero window's probe just once in 0.5 s.
 */
#define HK_TCP_RUN_MAX 4
#define HK_ASK_MORE    4
/* As HK_TCP_RUN_MAX, in a flow whose first packets may still be under way. */
#define HK_TCP_RUN_NEW 8
/* Nor for as long anything on the transport, 10 to 100 ms: far beyond what a receive queue holds, below TCP's least RTO. */
#define HK_QUIET_JIFFIES  10
#define HK_PROBE_TCP_MAX  64 /* segments sent in TCP without a word from the peer: give up */
#define HK_TWICE_ON_RTO	  4
#define HK_TWICE_ON_RUN	  2
#define HK_SIGNAL_PACKETS 16
/* Bytes of payload: small messages stay whole, for programs that expect each in one recv(). */
#define HK_SHORTEN_FROM 512
/* Timeouts in a row since each of which so few bytes were acknowledged, of segments that were cut: give up. */
#define HK_CRAWL_MAX   4
#define HK_CRAWL_BYTES 16
/* An answer is overdue after 1.5 round trips, and not before: below what a tail loss probe waits at least, 2 jiffies. */
#define HK_PATIENCE_MIN_US 1500
#define HK_STUCK_TRIES	   4 /* timeouts or window probes in a row without an answer: 3 s at least */

/*
 * Server end between SYN-ACK and ACK: what was agreed. A request socket has no storage of its own;
 * least-recently-used, so that a SYN flood cannot fill it for good. Written by sock_ops and XDP.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct hk_flow_key);
	__type(value, struct hk_half);
} hk_half SEC(".maps");

/* Paths that refused a transport. Written on fallback, read when a connection begins. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct hk_path_key);
	__type(value, struct hk_path);
} hk_paths SEC(".maps");

static __always_inline void hk_path_key_fill(struct hk_path_key *path,
					     const struct hk_flow_key *key, __u32 transport)
{
	__builtin_memcpy(path->remote_ip, key->remote_ip, sizeof(path->remote_ip));
	path->transport = transport;
}

static __always_inline int hk_path_refused(const struct hk_flow_key *key, __u32 transport)
{
	struct hk_config *config = hk_config_get();
	struct hk_path_key path_key;
	struct hk_path *path;

	hk_path_key_fill(&path_key, key, transport);
	path = bpf_map_lookup_elem(&hk_paths, &path_key);
	return path && config &&
	       bpf_ktime_get_ns() - path->at_ns < config->path_ttl_s * 1000000000ULL;
}

static __always_inline void hk_path_refuse(const struct hk_flow_key *key, __u32 transport,
					   __u32 reason)
{
	struct hk_path path = { .at_ns = bpf_ktime_get_ns(), .reason = reason, .count = 1 };
	struct hk_path_key path_key;
	struct hk_path *old;

	hk_path_key_fill(&path_key, key, transport);
	old = bpf_map_lookup_elem(&hk_paths, &path_key);
	if (old)
		path.count = old->count + 1;
	bpf_map_update_elem(&hk_paths, &path_key, &path, BPF_ANY);
}

/* Is @flow one whose segments travel on the transport, if that has been heard? */
static __always_inline int hk_kernel_redirected(const struct hk_flow *flow)
{
	return flow && flow->datapath == HK_DATAPATH_KERNEL && flow->state != HK_FLOW_TCP;
}

/*
 * The connection goes on in TCP: nothing is lost, the kernel's TCP still has every unacknowledged
 * byte. @remember: the path is to blame, and the next connections need not try. Once its socket is gone, a flow
 * stays what it is: in TCP nobody would remove it from the table.
 */
static __always_inline void hk_fall_back(struct hk_flow *flow, const struct hk_flow_key *key,
					 __u32 reason, int remember)
{
	if (flow->state != HK_FLOW_ACTIVE)
		return;
	if (remember)
		hk_path_refuse(key, flow->agreed, reason);
	flow->state = HK_FLOW_TCP;
	flow->transport = HK_TRANSPORT_TCP;
	flow->reason = reason;
	flow->signal = HK_SIGNAL_PACKETS;
	flow->changed_ns = bpf_ktime_get_ns();
	hk_counter_inc(HK_COUNT_KERNEL_FALLBACK);
	hk_reason_inc(HK_REASONS_ROOM, reason);
	hk_note(key, flow, HK_NOTE_FELL_BACK);
}

#endif
