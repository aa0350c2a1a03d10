// SPDX-License-Identifier: GPL-2.0
/*
 * Path memory and pacing. The jump follows the spirit of draft-ietf-tsvwg-careful-resume: at most
 * half of what fitted before, paced over one round trip, given up at the first loss.
 */
#include "hooker/rdt/conn.h"

#define BURST_PACKETS 10
#define BURST_TIME    (2 * RDT_NS_PER_MS)

bool rdt_path_age(struct rdt_path *p, uint64_t now)
{
	/* A connection that ends tells when it last learnt, which may be before others had this forgotten. */
	uint64_t periods = now > p->since ? (now - p->since) / RDT_PATH_EXPIRY : 0;

	/* Not all at once: on a path in use, one lucky round trip would be forgotten with all that came after it. */
	if (periods) {
		p->window = periods == 1 ? p->recent : 0;
		p->min_rtt = p->recent_rtt;
		p->recent = 0;
		p->since += periods * RDT_PATH_EXPIRY;
	}
	return p->window;
}

static uint64_t jump_size(const struct rdt_conn *c, uint64_t now)
{
	struct rdt_path *p = c->path;
	uint64_t rtt = c->cfg.initial_rtt, half, left, room = c->peer_credit - c->sent_end;

	if (!p || !c->cfg.jump || !rtt || !rdt_path_age(p, now))
		return 0;
	/* A very different RTT means a different path (the draft's 6.1: half to ten times). */
	if (rtt < p->min_rtt / 2 || rtt > p->min_rtt * 10)
		return 0;
	half = p->window / 2;
	left = half > p->jumping ? half - p->jumping : 0;
	/* More than the credit can't leave in this round trip: it would only make the bursts denser. */
	if (left > room)
		left = room;
	/*
	 * What was measured depends on how busy both hosts were as well, so it is no better than a factor
	 * of two: rounded down to one, connections of the same path start alike.
	 */
	return left ? 1ULL << (63 - __builtin_clzll(left)) : 0;
}

void rdt_start(struct rdt_conn *c, uint64_t now)
{
	uint64_t jump = jump_size(c, now), burst = (uint64_t)BURST_PACKETS * c->cc.mss;

	c->started = true;
	c->tokens_at = now;
	c->round_pn = c->log.next;
	if (!c->cc.ops->paced || c->cfg.reliable)
		return;
	if (jump > c->cc.cwnd) {
		c->jumped = c->unvalidated = true;
		c->jump = jump;
		c->cc.cwnd = jump;
		c->path->jumping += jump;
		c->path->jumps++;
	} else if (!c->cfg.initial_rtt && c->cc.cwnd > burst) {
		c->cc.cwnd = burst; /* pacing needs an RTT */
	}
	if (c->cc.cwnd > burst)
		rdt_pace_round(c, now);
}

static void jump_over(struct rdt_conn *c)
{
	if (c->unvalidated && c->path)
		c->path->jumping -= c->jump < c->path->jumping ? c->jump : c->path->jumping;
	c->unvalidated = false;
}

/* All of the first round trip's packets came through: keep what was really used. */
void rdt_path_validated(struct rdt_conn *c)
{
	uint64_t used = c->round_flight > c->prev_flight ? c->round_flight : c->prev_flight;
	uint64_t first = (uint64_t)c->cfg.initial_packets * c->cc.mss;

	jump_over(c);
	if (used < first)
		used = first;
	if (c->cc.cwnd > 2 * used)
		c->cc.cwnd = 2 * used;
}

/* A congestion event; the controller has reacted already. */
void rdt_path_loss(struct rdt_conn *c, uint64_t now)
{
	if (c->path) {
		c->path->last_loss = now;
		if (c->cfg.jump && c->path->window > c->cc.cwnd)
			c->path->window = c->cc.cwnd;
		if (c->path->recent > c->path->window)
			c->path->recent = c->path->window;
	}
	if (!c->unvalidated)
		return;
	jump_over(c);
	c->retreated = true;
	if (c->path)
		c->path->retreats++;
	/* Half of what is known to have come through, and slow start to where it broke. */
	if (c->delivered / 2 < c->cc.cwnd)
		c->cc.cwnd = c->delivered / 2;
	if (c->cc.cwnd < 2 * c->cc.mss)
		c->cc.cwnd = 2 * c->cc.mss;
	if (c->cc.ssthresh > c->jump / 2)
		c->cc.ssthresh = c->jump / 2;
	if (c->cc.ssthresh < c->cc.cwnd)
		c->cc.ssthresh = c->cc.cwnd;
	c->can_undo = false;
}

/* A round trip is over: learn from it if nothing was lost in it. */
void rdt_path_round(struct rdt_conn *c, uint64_t now)
{
	uint64_t got = c->delivered - c->round_delivered;
	struct rdt_path *p = c->path;

	c->round_delivered = c->delivered;
	if (!p || !c->cfg.jump || c->round_loss || c->cfg.reliable || !c->have_rtt)
		return;
	rdt_path_age(p, now);
	if (got > p->window) {
		p->window = got;
		p->min_rtt = c->min_rtt;
	}
	if (got > p->recent) {
		p->recent = got;
		p->recent_rtt = c->min_rtt;
	}
}

void rdt_path_leave(struct rdt_conn *c)
{
	jump_over(c);
	c->path = NULL;
}

void rdt_pace_round(struct rdt_conn *c, uint64_t now)
{
	c->pace_until = now + c->srtt;
	c->tokens_at = now;
	c->tokens = (double)BURST_PACKETS * c->cc.mss;
	rdt_pace_update(c, now);
}

/*
 * Slow start is clocked by acknowledgements, as TCP's is, except in the round trip of a jump or after
 * a pause; afterwards datagrams leave at 5/4 of the window per round trip.
 */
void rdt_pace_update(struct rdt_conn *c, uint64_t now)
{
	bool forced = now < c->pace_until;

	if (!c->cc.ops->paced || c->cfg.reliable || !c->srtt ||
	    (rdt_cc_slow_start(&c->cc) && !forced)) {
		c->pace_rate = 0;
		return;
	}
	c->pace_rate = (double)c->cc.cwnd / (double)c->srtt;
	if (!forced)
		c->pace_rate *= 1.25;
}
