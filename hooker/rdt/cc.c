// SPDX-License-Identifier: GPL-2.0
/* What all congestion controllers share (slow start with HyStart++, RFC 9406), NewReno and none. */
#include "hooker/rdt/cc.h"

#define MIN_SEGMENTS   2
#define HS_SAMPLES     8
#define HS_MIN_ETA     (4 * RDT_NS_PER_MS)
#define HS_MAX_ETA     (16 * RDT_NS_PER_MS)
#define HS_CSS_DIVISOR 4
#define HS_CSS_ROUNDS  5
#define UNLIMITED      (1ull << 62)

void rdt_cc_init(struct rdt_cc *cc, const struct rdt_config *cfg, uint32_t mss)
{
	static const struct rdt_cc_ops *const all[] = {
		[RDT_CC_CUBIC] = &rdt_cc_cubic,
		[RDT_CC_NEWRENO] = &rdt_cc_newreno,
		[RDT_CC_FIXED] = &rdt_cc_fixed,
	};

	*cc = (struct rdt_cc){
		.ops = all[cfg->cc],
		.mss = mss,
		.cwnd = (uint64_t)cfg->initial_packets * mss,
		.ssthresh = UNLIMITED,
		.hystart = cfg->hystart,
		.hs_last_min = UINT64_MAX,
		.hs_cur_min = UINT64_MAX,
	};
	if (cfg->cc == RDT_CC_FIXED)
		cc->cwnd = cfg->fixed_window;
	if (cfg->reliable)
		cc->cwnd = UNLIMITED;
}

void rdt_cc_persistent(struct rdt_cc *cc)
{
	if (cc->ops == &rdt_cc_fixed)
		return;
	cc->cwnd = MIN_SEGMENTS * cc->mss;
	cc->epoch = 0;
}

/* How much later than @rtt is a queue and not chance. */
static uint64_t hystart_eta(uint64_t rtt)
{
	uint64_t eta = rtt / 8;

	return eta < HS_MIN_ETA ? HS_MIN_ETA : eta > HS_MAX_ETA ? HS_MAX_ETA : eta;
}

/*
 * HyStart++ looks at the first samples of a round trip, which met no queue as long as the window fits the path: it
 * sees a queue a round trip after it has grown, and a short one has overflowed by then. The train of HyStart's paper
 * (Ha and Rhee 2011), as Linux has it in tcp_cubic.c, sees it grow: acknowledgements in close succession for half a
 * round trip say that the window now reaches what the path holds. A path is also busy for so long if we send slowly
 * (a jump is paced, a processor may be slow); so the last samples must be late as well.
 */
static void hystart_train(struct rdt_cc *cc, const struct rdt_cc_ack *a)
{
	/* The smallest RTT was that of a packet which overtook the others: it says nothing of the path. */
	if (a->min_rtt < a->srtt / 4)
		return;
	if (a->round || a->now - cc->train_last > a->min_rtt / 8)
		cc->train_from = a->now;
	cc->train_last = a->now;
	if (!a->rtt_sample)
		return;
	if (a->rtt_sample < a->min_rtt + hystart_eta(a->min_rtt))
		cc->train_late = 0;
	else if (++cc->train_late >= HS_SAMPLES && a->now - cc->train_from > a->min_rtt / 2)
		cc->ssthresh = cc->cwnd;
}

static void hystart_sample(struct rdt_cc *cc, uint64_t rtt)
{
	if (rtt < cc->hs_cur_min)
		cc->hs_cur_min = rtt;
	if (++cc->hs_samples < HS_SAMPLES || cc->hs_last_min == UINT64_MAX)
		return;
	if (cc->hs_css) { /* the RTT fell again: the rise was no queue of ours */
		if (cc->hs_cur_min < cc->hs_css_base)
			cc->hs_css = false;
		return;
	}
	if (cc->hs_cur_min >= cc->hs_last_min + hystart_eta(cc->hs_last_min)) {
		cc->hs_css = true;
		cc->hs_css_base = cc->hs_cur_min;
		cc->hs_css_rounds = 0;
	}
}

static void hystart_round(struct rdt_cc *cc)
{
	if (cc->hs_css && ++cc->hs_css_rounds >= HS_CSS_ROUNDS)
		cc->ssthresh = cc->cwnd;
	cc->hs_last_min = cc->hs_cur_min;
	cc->hs_cur_min = UINT64_MAX;
	cc->hs_samples = 0;
}

uint64_t rdt_cc_grow_slow_start(struct rdt_cc *cc, const struct rdt_cc_ack *a)
{
	uint64_t room, grow;

	if (cc->hystart) {
		if (a->round)
			hystart_round(cc);
		hystart_train(cc, a);
		if (a->rtt_sample)
			hystart_sample(cc, a->rtt_sample);
	}
	if (!rdt_cc_slow_start(cc) || !a->limited)
		return 0;
	grow = cc->hs_css ? a->acked / HS_CSS_DIVISOR : a->acked;
	room = cc->ssthresh - cc->cwnd;
	if (grow <= room) {
		cc->cwnd += grow;
		return 0;
	}
	cc->cwnd = cc->ssthresh;
	return grow - room;
}

static void newreno_on_ack(struct rdt_cc *cc, const struct rdt_cc_ack *a)
{
	uint64_t left = a->acked;

	if (rdt_cc_slow_start(cc))
		left = rdt_cc_grow_slow_start(cc, a);
	if (!left || !a->limited)
		return;
	cc->bytes_acked += left;
	while (cc->bytes_acked >= cc->cwnd) {
		cc->bytes_acked -= cc->cwnd;
		cc->cwnd += cc->mss;
	}
}

static void newreno_on_congestion(struct rdt_cc *cc, uint64_t now)
{
	(void)now;
	cc->cwnd /= 2;
	if (cc->cwnd < MIN_SEGMENTS * cc->mss)
		cc->cwnd = MIN_SEGMENTS * cc->mss;
	cc->ssthresh = cc->cwnd;
	cc->bytes_acked = 0;
}

const struct rdt_cc_ops rdt_cc_newreno = {
	.name = "newreno",
	.on_ack = newreno_on_ack,
	.on_congestion = newreno_on_congestion,
	.paced = true,
};

static void fixed_on_ack(struct rdt_cc *cc, const struct rdt_cc_ack *a)
{
	(void)cc;
	(void)a;
}

static void fixed_on_congestion(struct rdt_cc *cc, uint64_t now)
{
	(void)cc;
	(void)now;
}

const struct rdt_cc_ops rdt_cc_fixed = {
	.name = "fixed",
	.on_ack = fixed_on_ack,
	.on_congestion = fixed_on_congestion,
};
