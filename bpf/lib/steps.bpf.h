/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every deployed transport's object contains: the PROG_ARRAYs of its steps, the programs that
 * enter them, and the counters. How to write a transport: hooker/transport/README.md.
 */
#ifndef HOOKER_STEPS_BPF_H
#define HOOKER_STEPS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "bpf/steps.h"

#define HK_TC_PASS -1 /* TC_ACT_UNSPEC: the next program, or the stack, goes on with the packet */
#define HK_TC_DROP 2  /* TC_ACT_SHOT */

#define HK_STEP_ARRAY(name)                            \
	struct {                                       \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY); \
		__uint(max_entries, HK_STEPS_MAX);     \
		__type(key, __u32);                    \
		__type(value, __u32);                  \
	} name SEC(".maps")

/* Step number -> program; written by userspace, one slot at a time while traffic flows. */
HK_STEP_ARRAY(hk_rx_steps);
HK_STEP_ARRAY(hk_tx_steps);

/* HK_STEP_COUNTER(hook, step, reason) -> packets; read by `hooker transports`. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HK_STEP_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} hk_step_count SEC(".maps");

/*
 * Index of an interface, modulo HK_UNFINISHED -> 1 where packets may come whose checksum nobody has computed; written by
 * userspace. An array, whose look-up costs a few instructions: it is done for each packet. Two interfaces in one place are
 * no harm, for what is taken for unfinished is verified again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HK_UNFINISHED);
	__type(key, __u32);
	__type(value, __u32);
} hk_unfinished SEC(".maps");

static __always_inline void hk_step_inc(__u32 hook, __u32 step, __u32 reason)
{
	__u32 index = HK_STEP_COUNTER(hook, step, reason);
	__u64 *value = bpf_map_lookup_elem(&hk_step_count, &index);

	if (value)
		(*value)++;
}

/* Ends step @step: counts the packet, as one of @reason, and tail-calls the next one. */
static __always_inline int hk_rx_next_as(struct xdp_md *ctx, __u32 step, __u32 reason)
{
	hk_step_inc(HK_STEP_RX, step, reason);
	bpf_tail_call(ctx, &hk_rx_steps, step + 1);
	hk_step_inc(HK_STEP_RX, step, HK_STEP_MISSING);
	return XDP_PASS;
}

static __always_inline int hk_rx_next(struct xdp_md *ctx, __u32 step)
{
	return hk_rx_next_as(ctx, step, 0);
}

static __always_inline int hk_rx_end(__u32 step, __u32 reason, int action)
{
	hk_step_inc(HK_STEP_RX, step, reason);
	return action;
}

/* @missing: what to do without a next step; HK_TC_DROP once the packet has been changed. */
static __always_inline int hk_tx_next(struct __sk_buff *skb, __u32 step, int missing)
{
	hk_step_inc(HK_STEP_TX, step, 0);
	bpf_tail_call(skb, &hk_tx_steps, step + 1);
	hk_step_inc(HK_STEP_TX, step, HK_STEP_MISSING);
	return missing;
}

static __always_inline int hk_tx_end(__u32 step, __u32 reason, int action)
{
	hk_step_inc(HK_STEP_TX, step, reason);
	return action;
}

/*
 * The entries, registered with the dispatcher and attached to tc: they never change, so that the
 * first step can be swapped like any other.
 */
SEC("xdp")
int hk_rx_entry(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &hk_rx_steps, 0);
	return XDP_PASS;
}

SEC("tc")
int hk_tx_entry(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &hk_tx_steps, 0);
	return HK_TC_PASS;
}

#endif
