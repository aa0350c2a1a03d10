// SPDX-License-Identifier: GPL-2.0
/* Acknowledgements in: RTT, loss detection and probe timeouts after RFC 9002, reordering, recovery. */
#include <endian.h>
#include <string.h>

#include "hooker/rdt/conn.h"

uint64_t rdt_pto(const struct rdt_conn *c)
{
	uint64_t var = 4 * c->rttvar;

	return c->srtt + (var > GRANULARITY ? var : GRANULARITY) + MAX_ACK_DELAY;
}

uint64_t rdt_pto_deadline(const struct rdt_conn *c)
{
	uint32_t shift = c->pto_count;
	uint64_t base, wait;

	if (c->cfg.reliable || c->reset_code)
		return RDT_NEVER;
	if (c->flying)
		base = c->last_sent;
	else if (c->blocked_since)
		base = c->blocked_since > c->last_sent ? c->blocked_since : c->last_sent;
	else
		return RDT_NEVER;
	if (c->persist_count > shift)
		shift = c->persist_count;
	wait = rdt_pto(c) << (shift < 16 ? shift : 16);
	return base + (wait < PTO_MAX ? wait : PTO_MAX);
}

/* The number near `expect` whose low 32 bits are `low`; 0 = impossible. */
static uint64_t expand(uint64_t expect, uint32_t low)
{
	int32_t delta = (int32_t)(low - (uint32_t)expect);

	return delta < 0 && expect < (uint64_t) - (int64_t)delta ? 0 : expect + delta;
}

int rdt_ack_decode(const struct rdt_conn *c, const struct rdt_frame *f, struct rdt_ack *a)
{
	uint64_t below;

	a->cum = f->cum;
	a->credit = f->cum + f->window;
	a->nruns = 0;
	if (f->cum > c->sent_end + c->end_sent)
		return RDT_BAD_ACK;
	if (!f->has_ack)
		return 0;
	a->largest = expand(c->log.next, f->ack_largest);
	if (!a->largest || a->largest >= c->log.next || a->largest <= f->ack_first)
		return RDT_BAD_ACK;
	a->delay = f->ack_delay_us < UINT16_MAX ? f->ack_delay_us * 1000ull : UINT64_MAX;
	below = a->largest - f->ack_first;
	a->runs[a->nruns++] = (struct rdt_range){ below, a->largest + 1 };
	if (f->kind != HK_FRAME_ACK)
		return 0;
	for (int i = 0; i < f->len / (int)sizeof(struct hk_ack_range); i++) {
		struct hk_ack_range r;
		struct rdt_range run;

		memcpy(&r, f->payload + i * sizeof(r), sizeof(r));
		run.first = expand(below, be32toh(r.first));
		run.end = expand(below, be32toh(r.last)) + 1;
		if (!run.first || run.end <= run.first || run.end >= below)
			return RDT_BAD_ACK;
		below = run.first;
		a->runs[a->nruns++] = run;
	}
	return 0;
}

struct ack_walk {
	struct rdt_conn *c;
	uint64_t now, newly, newest_sent, newest_pn;
};

/* How old a packet may become before a later one's acknowledgement says that it is lost. */
static uint64_t patience_of(const struct rdt_conn *c)
{
	uint64_t rtt = c->latest_rtt > c->srtt ? c->latest_rtt : c->srtt;
	uint64_t patience = rtt + rtt * c->reorder_eighths / 8;

	return patience > GRANULARITY ? patience : GRANULARITY;
}

/* A packet that had been given up has arrived after all: be more patient from now on. */
static void on_spurious(struct ack_walk *w, uint64_t pn)
{
	struct rdt_conn *c = w->c;
	uint64_t distance = c->largest_acked > pn ? c->largest_acked - pn : 0;

	c->st.spurious_packets++;
	if (distance + 1 > c->packet_threshold)
		c->packet_threshold =
			2 * distance; /* while the window grows, so does the distance */
	/* Passed by others, but not late: then it is only the distance. */
	if (c->reorder_eighths < 8 && w->now - log_at(&c->log, pn)->sent > patience_of(c))
		c->reorder_eighths++;
	if (c->can_undo && pn >= c->episode_pn && c->episode_lost && --c->episode_lost == 0) {
		uint64_t now_cwnd = c->cc.cwnd;

		c->cc = c->cc_before;
		if (c->cc.cwnd < now_cwnd)
			c->cc.cwnd = now_cwnd;
		c->can_undo = false;
	}
}

static void on_fresh(void *ctx, uint64_t first, uint64_t end)
{
	struct ack_walk *w = ctx;
	struct rdt_conn *c = w->c;

	for (uint64_t pn = first; pn < end; pn++) {
		struct packet *p;

		if (!log_has(&c->log, pn))
			continue;
		p = log_at(&c->log, pn);
		if (p->state == PKT_ACKED)
			continue;
		if (p->state == PKT_FLYING) {
			c->in_flight -= p->len + FRAME_HDR;
			c->flying--;
			w->newly += p->len + FRAME_HDR;
		} else {
			on_spurious(w, pn);
		}
		if (pn > w->newest_pn) {
			w->newest_pn = pn;
			w->newest_sent = p->sent;
		}
		if (p->kind == HK_FRAME_RESET)
			c->reset_acked = true;
		p->state = PKT_ACKED;
		c->st.acked_packets++;
	}
}

static void rtt_sample(struct rdt_conn *c, uint64_t rtt, uint64_t delay)
{
	uint64_t diff;

	if (!rtt)
		rtt = 1;
	c->latest_rtt = rtt;
	if (!c->have_rtt) { /* the initial value was a guess or the handshake's: start over */
		c->have_rtt = true;
		c->min_rtt = c->srtt = rtt;
		c->rttvar = rtt / 2;
		return;
	}
	if (rtt < c->min_rtt)
		c->min_rtt = rtt;
	if (delay > MAX_ACK_DELAY)
		delay = MAX_ACK_DELAY;
	if (rtt >= c->min_rtt + delay)
		rtt -= delay;
	diff = c->srtt > rtt ? c->srtt - rtt : rtt - c->srtt;
	c->rttvar = (3 * c->rttvar + diff) / 4;
	c->srtt = (7 * c->srtt + rtt) / 8;
}

static void on_congestion(struct rdt_conn *c, uint64_t pn, uint64_t now)
{
	/* Events in quick succession are judged, and undone, together. */
	if (!c->can_undo || !c->episode_lost || now - c->episode_at > 4 * c->srtt) {
		c->cc_before = c->cc;
		c->can_undo = true;
		c->episode_lost = 0;
		c->episode_pn = pn;
		c->episode_at = now;
	}
	c->recovery_pn = c->log.next;
	c->resend_free = true;
	c->cc.ops->on_congestion(&c->cc, now);
	rdt_path_loss(c, now);
}

static void on_lost(struct rdt_conn *c, uint64_t pn, struct packet *p, uint64_t now)
{
	p->state = PKT_LOST;
	c->in_flight -= p->len + FRAME_HDR;
	c->flying--;
	c->st.lost_packets++;
	c->round_loss = true;
	if (pn >= c->recovery_pn)
		on_congestion(c, pn, now);
	c->episode_lost++;
}

void rdt_detect_losses(struct rdt_conn *c, uint64_t now)
{
	uint64_t patience = patience_of(c), span_start = 0, span = 0;

	c->loss_time = 0;
	while (c->log.undecided <= c->largest_acked) {
		uint64_t pn = c->log.undecided;
		struct packet *p = log_at(&c->log, pn);

		if (p->state == PKT_FLYING) {
			if (c->cfg.reliable)
				return;
			if (c->largest_acked - pn < c->packet_threshold &&
			    p->sent + patience > now) {
				c->loss_time = p->sent + patience;
				break;
			}
			on_lost(c, pn, p, now);
			if (!span_start)
				span_start = p->sent;
			span = p->sent - span_start;
		} else {
			span_start = 0;
		}
		c->log.undecided++;
	}
	if (c->have_rtt && span > 3 * rdt_pto(c)) {
		rdt_cc_persistent(&c->cc);
		c->can_undo = false;
	}
}

/* Packet numbers the peer may forget: those decided one round trip ago, so late ones still show. */
static void rotate_least(struct rdt_conn *c, uint64_t now)
{
	if (now - c->least_rotated < c->srtt)
		return;
	c->least = c->least_next;
	c->least_next = c->log.undecided;
	c->least_rotated = now;
	rdt_ranges_prune(&c->acked, c->least);
}

static void new_round(struct rdt_conn *c, uint64_t now)
{
	rdt_path_round(c, now);
	c->round_pn = c->log.next;
	c->prev_flight = c->round_flight;
	c->round_flight = c->in_flight;
	c->prev_limited = c->round_limited;
	c->round_limited = false;
	c->round_loss = false;
}

static void feed_cc(struct rdt_conn *c, const struct ack_walk *w, bool sampled)
{
	uint64_t flight = c->round_flight > c->prev_flight ? c->round_flight : c->prev_flight;
	struct rdt_cc_ack a = {
		.now = w->now,
		.acked = w->newly,
		.srtt = c->srtt,
		.rtt_sample = sampled ? c->latest_rtt : 0,
		.min_rtt = c->min_rtt,
		.round = w->newest_pn >= c->round_pn,
	};

	a.limited = c->round_limited || c->prev_limited;
	if (rdt_cc_slow_start(&c->cc))
		a.limited = c->cc.cwnd < 2 * flight;
	if (a.round)
		new_round(c, w->now);
	if (c->cfg.reliable)
		return;
	/* Packets from before the last event do not open the window again (RFC 9002, 7.3.2). */
	if (w->newest_pn >= c->recovery_pn)
		c->cc.ops->on_ack(&c->cc, &a);
	/* All of it acknowledged, however little that was: connections that start now may jump as far. */
	if (c->unvalidated && (c->jump_pn ? c->log.undecided > c->jump_pn : !c->flying))
		rdt_path_validated(c);
	else if (c->unvalidated && !c->jump_pn)
		c->jump_pn = c->log.next - 1;
	rdt_pace_update(c, w->now);
}

static int advance_una(struct rdt_conn *c, const struct rdt_ack *a)
{
	uint64_t cum = a->cum;
	int ev = 0;

	if (c->end_sent && cum == c->sent_end + 1) {
		cum--;
		if (!c->end_acked) {
			c->end_acked = true;
			ev |= RDT_EV_ACKED;
		}
	}
	if (cum > c->una) {
		c->st.acked_bytes += cum - c->una;
		c->una = cum;
		ev |= RDT_EV_WRITABLE;
	}
	if (a->credit > c->peer_credit) {
		c->peer_credit = a->credit;
		c->blocked_since = 0;
		c->persist_count = 0;
	}
	return ev;
}

int rdt_ack_apply(struct rdt_conn *c, uint64_t now, const struct rdt_ack *a)
{
	struct ack_walk w = { .c = c, .now = now };
	bool sampled = false;
	int ev = advance_una(c, a);

	if (!a->nruns)
		return ev;
	for (int i = 0; i < a->nruns; i++) {
		uint64_t first = a->runs[i].first, end = a->runs[i].end;

		if (end <= c->least)
			break;
		if (first < c->least)
			first = c->least;
		if (rdt_ranges_insert(&c->acked, first, end, on_fresh, &w))
			on_fresh(&w, first, end); /* set full: slower, not wrong */
	}
	if (!w.newest_pn)
		return ev;
	c->pto_count = 0;
	c->probes_due = 0;
	c->st.waiting_since = c->flying ? now : 0;
	/*
	 * Not only from a new largest number, as RFC 9002 has it: where some packets overtake, those alone would be
	 * measured, and all others look late. What is out of order is answered at once. What had been given up counts
	 * as well: numbers never repeat.
	 */
	if (a->delay != UINT64_MAX) {
		rtt_sample(c, now - w.newest_sent, w.newest_pn == a->largest ? a->delay : 0);
		sampled = true;
	}
	if (a->largest > c->largest_acked)
		c->largest_acked = a->largest;
	c->delivered += w.newly;
	rdt_detect_losses(c, now);
	feed_cc(c, &w, sampled);
	rotate_least(c, now);
	return ev;
}

void rdt_log_drop_flying(struct rdt_conn *c)
{
	for (uint64_t pn = c->log.undecided; pn < c->log.next; pn++) {
		struct packet *p = log_at(&c->log, pn);

		if (p->state == PKT_FLYING)
			p->state = PKT_LOST;
	}
	c->log.undecided = c->log.next;
	c->flying = 0;
	c->in_flight = 0;
	c->loss_time = 0;
	c->probes_due = 0;
	c->pto_count = 0;
	c->recovery_pn = c->log.next;
	c->can_undo = false;
}
