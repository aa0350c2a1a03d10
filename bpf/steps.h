/* SPDX-License-Identifier: GPL-2.0 */
/* The contract between deployed transports (bpf/udplite.bpf.c …) and hooker/transport/. */
#ifndef HOOKER_STEPS_H
#define HOOKER_STEPS_H

#include <linux/types.h>

/*
 * Step chains (hooker/transport/README.md): a transport is one small program a step, each reached by
 * a tail call from the one before and replaceable while traffic flows.
 */
enum hk_step_hook {
	HK_STEP_RX = 0, /* XDP, behind the dispatcher: map hk_rx_steps */
	HK_STEP_TX = 1, /* tc egress: map hk_tx_steps */
	HK_STEP_HOOKS,
};

#define HK_UNFINISHED	256 /* places in the array hk_unfinished */

#define HK_STEPS_MAX	8 /* per hook */
#define HK_STEP_REASONS 16
/* Per-CPU array hk_step_count. Reason 0: packets the step handed on (the last step: finished). */
#define HK_STEP_COUNTER(hook, step, reason) \
	((((hook)*HK_STEPS_MAX) + (step)) * HK_STEP_REASONS + (reason))
#define HK_STEP_COUNTERS HK_STEP_COUNTER(HK_STEP_HOOKS, 0, 0)
#define HK_STEP_MISSING	 (HK_STEP_REASONS - 1) /* the next step's slot is empty */

/* Deployed UDP-Lite: hash hk_lite_ports, local port (__u32, host order) of a UDP socket -> this. */
struct hk_lite_port {
	__u16 coverage; /* sent datagrams: bytes covered from the header on; 0: all; else >= 8 */
	__u16 min_coverage; /* received: least accepted coverage; 0: only fully covered ones */
	__u32 flags;	    /* enum hk_lite_port_flags */
};

enum hk_lite_port_flags {
	HK_LITE_NO_CHECK6 = 1 << 0, /* its socket has UDP_NO_CHECK6_RX: no UDP checksum for IPv6 */
};

#endif
