// SPDX-License-Identifier: GPL-2.0
/* CUBIC, RFC 9438. Doubles: once per acknowledgement, and a guest's FPU is one instruction each. */
#include "hooker/rdt/cc.h"

#define C_CUBIC 0.4
#define BETA	0.7
#define ALPHA	(3.0 * (1.0 - BETA) / (1.0 + BETA)) /* Reno-friendly growth, section 4.3 */

/* Newton's method; only on a congestion event, and the daemon needs no libm. */
static double cube_root(double x)
{
	double r = x > 1.0 ? x / 3.0 : 1.0;

	if (x <= 0.0)
		return 0.0;
	for (int i = 0; i < 60; i++) {
		double next = (2.0 * r + x / (r * r)) / 3.0;

		if (next - r < 1e-9 && r - next < 1e-9)
			break;
		r = next;
	}
	return r;
}

static void start_epoch(struct rdt_cc *cc, uint64_t now)
{
	double cwnd = (double)cc->cwnd / cc->mss;

	cc->epoch = now;
	cc->cwnd_seg = cwnd;
	cc->w_est = cwnd;
	if (cwnd >= cc->w_max) {
		cc->w_max = cwnd;
		cc->k = 0.0;
	} else {
		cc->k = cube_root((cc->w_max - cwnd) / C_CUBIC);
	}
}

static void cubic_avoid(struct rdt_cc *cc, const struct rdt_cc_ack *a, uint64_t acked)
{
	double seg = (double)acked / cc->mss, t, d, target;

	if (!cc->epoch)
		start_epoch(cc, a->now);
	if (!a->limited) { /* an application that pauses must not find a window grown by the clock */
		if (cc->last_ack)
			cc->epoch += a->now - cc->last_ack;
		return;
	}
	t = (double)(a->now - cc->epoch + a->srtt) * 1e-9;
	d = t - cc->k;
	target = C_CUBIC * d * d * d + cc->w_max;
	if (target < cc->cwnd_seg)
		target = cc->cwnd_seg;
	else if (target > 1.5 * cc->cwnd_seg)
		target = 1.5 * cc->cwnd_seg;
	cc->w_est += (cc->w_est >= cc->cwnd_prior ? 1.0 : ALPHA) * seg / cc->cwnd_seg;
	cc->cwnd_seg += (target - cc->cwnd_seg) / cc->cwnd_seg * seg;
	if (cc->cwnd_seg < cc->w_est)
		cc->cwnd_seg = cc->w_est;
	cc->cwnd = (uint64_t)(cc->cwnd_seg * cc->mss);
}

static void cubic_on_ack(struct rdt_cc *cc, const struct rdt_cc_ack *a)
{
	uint64_t left = a->acked;

	if (rdt_cc_slow_start(cc))
		left = rdt_cc_grow_slow_start(cc, a);
	if (left && !rdt_cc_slow_start(cc))
		cubic_avoid(cc, a, left);
	cc->last_ack = a->now;
}

static void cubic_on_congestion(struct rdt_cc *cc, uint64_t now)
{
	double cwnd = (double)cc->cwnd / cc->mss;

	(void)now;
	/* Fast convergence: give way to newcomers while the plateau sinks. */
	cc->w_max = cwnd < cc->w_max ? cwnd * (1.0 + BETA) / 2.0 : cwnd;
	cc->cwnd_prior = cwnd;
	cc->cwnd = (uint64_t)(cc->cwnd * BETA);
	if (cc->cwnd < 2 * cc->mss)
		cc->cwnd = 2 * cc->mss;
	cc->ssthresh = cc->cwnd;
	cc->epoch = 0;
}

const struct rdt_cc_ops rdt_cc_cubic = {
	.name = "cubic",
	.on_ack = cubic_on_ack,
	.on_congestion = cubic_on_congestion,
	.paced = true,
};
