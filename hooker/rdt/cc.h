/* SPDX-License-Identifier: GPL-2.0 */
/* Congestion control: one operations table per algorithm, plain numbers in struct rdt_cc. */
#ifndef HOOKER_RDT_CC_H
#define HOOKER_RDT_CC_H

#include <stdbool.h>
#include <stdint.h>

#include "hooker/rdt/rdt.h"

struct rdt_cc;

struct rdt_cc_ack {
	uint64_t now;
	uint64_t acked;	     /* bytes newly acknowledged */
	uint64_t srtt;	     /* ns */
	uint64_t rtt_sample; /* ns, 0 = none */
	uint64_t min_rtt;    /* ns */
	bool limited;	     /* the window, not the application, held the sender back */
	bool round;	     /* first acknowledgement of a new round trip */
};

struct rdt_cc_ops {
	const char *name;
	void (*on_ack)(struct rdt_cc *cc, const struct rdt_cc_ack *a);
	void (*on_congestion)(struct rdt_cc *cc, uint64_t now); /* at most once per round trip */
	bool paced;
};

struct rdt_cc {
	const struct rdt_cc_ops *ops;
	uint64_t cwnd, ssthresh; /* bytes, headers included */
	uint32_t mss;		 /* bytes of a full datagram */
	bool hystart;
	/* HyStart++ */
	uint64_t hs_last_min, hs_cur_min, hs_css_base;
	int hs_samples, hs_css_rounds;
	bool hs_css;
	/* HyStart's acknowledgement train */
	uint64_t train_from, train_last;
	int train_late;
	/* CUBIC, in segments and seconds */
	double w_max, k, w_est, cwnd_prior, cwnd_seg;
	uint64_t epoch, last_ack;
	/* Reno */
	uint64_t bytes_acked;
};

void rdt_cc_init(struct rdt_cc *cc, const struct rdt_config *cfg, uint32_t mss);
/* Everything sent for several round trips was lost: RFC 9002 section 7.6. */
void rdt_cc_persistent(struct rdt_cc *cc);

static inline bool rdt_cc_slow_start(const struct rdt_cc *cc)
{
	return cc->cwnd < cc->ssthresh;
}

/* For the algorithms: growth below ssthresh, HyStart++ included. Returns bytes left for avoidance. */
uint64_t rdt_cc_grow_slow_start(struct rdt_cc *cc, const struct rdt_cc_ack *a);

extern const struct rdt_cc_ops rdt_cc_cubic, rdt_cc_newreno, rdt_cc_fixed;

#endif
