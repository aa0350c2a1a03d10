// SPDX-License-Identifier: GPL-2.0
/* What leaves: new bytes, repetitions, probes, acknowledgements; and the clockwork behind it. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/rdt/conn.h"

#define BURST_PACKETS 10
#define BURST_TIME    (2 * RDT_NS_PER_MS)
#define WAKE_TIME     (1 * RDT_NS_PER_MS)
#define LOG_MIN	      64
#define LOG_SPARE     16 /* entries kept for probes when the log may grow no more */

static bool log_room(struct rdt_conn *c, uint64_t spare)
{
	struct packet_log *log = &c->log;
	uint64_t used = log->next - log->resend, cap;
	uint64_t oldest = c->least > log->first ? c->least : log->first;
	struct packet *p;

	/* As long as it may grow, it also keeps what has been given up but may still show up. */
	if (log->cap < log->max && oldest < log->resend)
		used = log->next - oldest;
	if (used + 1 <= log->cap)
		return log->cap < log->max || used + spare < log->cap;
	if (log->cap >= log->max)
		return false;
	cap = log->cap ? log->cap * 2 : LOG_MIN;
	p = calloc(cap, sizeof(*p));
	if (!p)
		return log->next - log->resend + spare < log->cap;
	if (log->first + log->cap < log->next)
		log->first = log->next - log->cap;
	for (uint64_t pn = log->first; pn < log->next; pn++)
		p[pn & (cap - 1)] = *log_at(log, pn);
	free(log->p);
	log->p = p;
	log->cap = cap;
	return true;
}

/* Every frame tells what has arrived and how much more may come. */
static void fill_header(struct rdt_conn *c, struct hk_frame *h, uint64_t now, int kind, int code)
{
	uint64_t limit = c->read_off + c->window, room, delay;

	memcpy(h, &c->hdr, sizeof(*h));
	h->version_kind = HK_WIRE_VERSION << 4 | kind;
	h->flags_code = code << 4;
	if (limit > c->credit)
		c->credit = limit;
	room = c->credit - c->recv_next;
	h->cum = htobe64(c->recv_next + (c->end_known && c->recv_next == c->final));
	h->window = htobe32(room < UINT32_MAX ? room : UINT32_MAX);
	h->least = htobe32((uint32_t)c->least);
	if (c->seen.n) {
		struct rdt_range *r = rdt_ranges_last(&c->seen);
		uint64_t below = r->end - 1 - r->first;

		h->flags_code |= HK_FRAME_F_ACK;
		h->ack_largest = htobe32((uint32_t)(r->end - 1));
		h->ack_first = htobe16(below < UINT16_MAX ? below : UINT16_MAX);
		delay = (now - c->largest_at) / 1000;
		h->ack_delay = htobe16(delay < UINT16_MAX ? delay : UINT16_MAX);
	}
}

static void ack_is_out(struct rdt_conn *c)
{
	c->ack_wanted = 0;
	c->ack_now = false;
	c->ack_due = 0;
}

static int emit_ack(struct rdt_conn *c, uint64_t now, struct rdt_datagram *out)
{
	struct hk_frame *h = (struct hk_frame *)out->hdr;
	int n;

	if (!c->seen.n) {
		c->ack_now = false;
		return 0;
	}
	fill_header(c, h, now, HK_FRAME_ACK, 0);
	n = rdt_ack_encode(c, (struct hk_ack_range *)(out->hdr + FRAME_HDR));
	h->len = htobe16(n * sizeof(struct hk_ack_range));
	out->len = FRAME_HDR + n * sizeof(struct hk_ack_range);
	out->iov[0] = (struct iovec){ out->hdr, out->len };
	out->niov = 1;
	out->kind = HK_FRAME_ACK;
	c->st.acks_sent++;
	ack_is_out(c);
	return 1;
}

/* One packet with a number. */
static int emit(struct rdt_conn *c, uint64_t now, struct rdt_datagram *out, int kind, uint64_t off,
		uint32_t len)
{
	struct hk_frame *h = (struct hk_frame *)out->hdr;
	struct packet *p = log_at(&c->log, c->log.next);
	int code = kind == HK_FRAME_END ? c->end_code : kind == HK_FRAME_RESET ? c->abort_code : 0;

	*p = (struct packet){
		.sent = now, .offset = off, .len = len, .state = PKT_FLYING, .kind = kind
	};
	fill_header(c, h, now, kind, code);
	h->len = htobe16(len);
	h->pn = htobe32((uint32_t)c->log.next++);
	h->offset = htobe64(off);
	out->iov[0] = (struct iovec){ out->hdr, FRAME_HDR };
	out->niov = 1 + (len ? rdt_ring_vec(&c->out, off, len, out->iov + 1) : 0);
	out->len = FRAME_HDR + len;
	out->kind = kind;
	/* What was given up does not wait any more: the silence begins with the first that does. */
	if (!c->flying)
		c->st.waiting_since = now;
	c->in_flight += out->len;
	c->flying++;
	if (c->in_flight > c->round_flight)
		c->round_flight = c->in_flight;
	c->tokens -= out->len;
	c->last_sent = now;
	if (!c->st.first_sent)
		c->st.first_sent = now;
	c->st.sent_packets++;
	c->st.sent_bytes += len;
	if (c->seen.n == 1)
		ack_is_out(c);
	return 1;
}

/* Repeats what of packet p is still missing, at most one datagram of it. 0 = nothing is missing. */
static int repeat(struct rdt_conn *c, uint64_t now, struct rdt_datagram *out, struct packet *p,
		  bool *more)
{
	uint64_t off = p->offset, end = p->offset + p->len;
	int kind = p->kind;

	*more = false;
	if (kind != HK_FRAME_DATA && kind != HK_FRAME_END)
		return 0;
	if (off < c->una)
		off = c->una;
	if (kind == HK_FRAME_END ? c->end_acked : off >= end)
		return 0;
	if (off > end)
		off = end;
	if (end - off > c->payload_max) { /* the carrier's datagrams became smaller */
		end = off + c->payload_max;
		kind = HK_FRAME_DATA;
		p->len -= end - p->offset;
		p->offset = end;
		*more = true;
	}
	c->st.rtx_packets++;
	c->st.rtx_bytes += end - off;
	return emit(c, now, out, kind, off, end - off);
}

/* The oldest lost packet of which something is still missing, or NULL. */
static struct packet *next_lost(struct rdt_conn *c)
{
	for (; c->log.resend < c->log.undecided; c->log.resend++) {
		struct packet *p = log_at(&c->log, c->log.resend);

		if (p->state != PKT_LOST)
			continue;
		if (p->kind == HK_FRAME_DATA && p->offset + p->len > c->una)
			return p;
		if (p->kind == HK_FRAME_END && !c->end_acked)
			return p;
		p->state = PKT_RESENT;
	}
	return NULL;
}

/* How many new bytes may go in one packet; *kind = 0: nothing new to send. */
static uint32_t next_new(struct rdt_conn *c, uint64_t now, int *kind)
{
	uint64_t left = c->write_end - c->sent_end, room, len;

	*kind = 0;
	if (!left) {
		if (c->finished && !c->end_sent)
			*kind = HK_FRAME_END;
		return 0;
	}
	room = c->peer_credit > c->sent_end ? c->peer_credit - c->sent_end : 0;
	len = left < c->payload_max ? left : c->payload_max;
	if (room < len) {
		c->st.credit_limited = true;
		if (c->flying || !room) { /* no dribbles: wait for more credit */
			if (!c->flying && !c->blocked_since)
				c->blocked_since = now;
			return 0;
		}
		len = room;
	} else {
		c->st.credit_limited = false;
	}
	*kind = c->finished && len == left ? HK_FRAME_END : HK_FRAME_DATA;
	return len;
}

static void refill(struct rdt_conn *c, uint64_t now)
{
	double burst, more;

	if (c->pace_until && now >= c->pace_until) {
		c->pace_until = 0;
		rdt_pace_update(c, now);
	}
	if (c->pace_rate == 0.0)
		return;
	burst = c->pace_rate * BURST_TIME;
	if (burst < BURST_PACKETS * c->cc.mss)
		burst = BURST_PACKETS * c->cc.mss;
	more = c->tokens + c->pace_rate * (double)(now - c->tokens_at);
	c->tokens = more < burst ? more : burst;
	c->tokens_at = now;
}

/* May a packet of `size` bytes leave, as far as window and pacing go? */
static bool may_send(struct rdt_conn *c, uint64_t now, uint64_t size, bool lost)
{
	double quantum;

	if (c->cfg.reliable)
		return true;
	if (c->in_flight + size > c->cc.cwnd && c->flying && !(lost && c->resend_free)) {
		c->round_limited = true;
		return false;
	}
	if (!c->flying && c->cc.ops->paced && rdt_cc_slow_start(&c->cc) && c->have_rtt &&
	    now - c->last_sent > c->srtt && !c->pace_until) {
		/* No acknowledgements clock us after a pause. */
		rdt_pace_round(c, now);
	}
	refill(c, now);
	if (c->pace_rate == 0.0 || c->tokens > 0.0)
		return true;
	c->round_limited = true;
	quantum = c->pace_rate * WAKE_TIME;
	if (quantum < c->cc.mss)
		quantum = c->cc.mss;
	c->pace_wake = now + (uint64_t)((quantum - c->tokens) / c->pace_rate) + 1;
	return false;
}

/* A probe timeout asks for an answer whatever the window says, with data if there is any. */
static int emit_probe(struct rdt_conn *c, uint64_t now, struct rdt_datagram *out)
{
	bool more;

	if (c->probe_cursor < c->log.undecided)
		c->probe_cursor = c->log.undecided;
	while (c->probe_cursor < c->log.next) {
		struct packet p = *log_at(&c->log, c->probe_cursor++);

		if (p.state == PKT_FLYING && repeat(c, now, out, &p, &more))
			return 1;
	}
	return emit(c, now, out, HK_FRAME_PROBE, c->sent_end, 0);
}

static int emit_data(struct rdt_conn *c, uint64_t now, struct rdt_datagram *out)
{
	struct packet *lost;
	uint32_t len;
	bool more;
	int kind = 0;

	if (c->probes_due && log_room(c, 0)) {
		c->probes_due--;
		return emit_probe(c, now, out);
	}
	lost = next_lost(c);
	len = lost ? lost->len : next_new(c, now, &kind);
	if (!lost && !kind) {
		if (!c->probe_wanted || !log_room(c, 0))
			return 0;
		c->probe_wanted = false;
		return emit(c, now, out, HK_FRAME_PROBE, c->sent_end, 0);
	}
	if (!c->started)
		rdt_start(c, now);
	if (!may_send(c, now, FRAME_HDR + len, lost) || !log_room(c, LOG_SPARE))
		return 0;
	c->probe_wanted = false;
	c->blocked_since = 0;
	if (lost) {
		lost = next_lost(c); /* log_room() may have moved it */
		c->resend_free = false;
		struct packet copy = *lost;

		repeat(c, now, out, &copy, &more);
		lost = log_at(&c->log, c->log.resend);
		if (more) {
			lost->offset = copy.offset;
			lost->len = copy.len;
		} else {
			lost->state = PKT_RESENT;
			c->log.resend++;
		}
		return 1;
	}
	emit(c, now, out, kind, c->sent_end, len);
	c->sent_end += len;
	if (kind == HK_FRAME_END)
		c->end_sent = true;
	return 1;
}

int rdt_output(struct rdt_conn *c, uint64_t now, struct rdt_datagram *out)
{
	if (c->cfg.no_recovery)
		return rdt_raw_output(c, out);
	c->pace_wake = 0;
	if (c->aborted) {
		ack_is_out(c); /* the RESET is all there is to say */
		if (!c->reset_pending || !log_room(c, 0))
			return 0;
		c->reset_pending = false;
		c->reset_tries++;
		return emit(c, now, out, HK_FRAME_RESET, c->sent_end, 0);
	}
	if (c->ack_due && now >= c->ack_due)
		c->ack_now = true;
	if (c->ack_now && (c->seen.n > 1 || c->reset_code))
		return emit_ack(c, now, out);
	if (c->reset_code)
		return 0;
	if (emit_data(c, now, out))
		return 1;
	return c->ack_now ? emit_ack(c, now, out) : 0;
}

static void sooner(uint64_t *t, uint64_t other)
{
	if (other && other < *t)
		*t = other;
}

uint64_t rdt_next_timeout(const struct rdt_conn *c)
{
	uint64_t t = RDT_NEVER;

	if (c->ack_now || c->reset_pending)
		return 1;
	sooner(&t, c->ack_due);
	sooner(&t, c->loss_time);
	sooner(&t, c->pace_wake);
	sooner(&t, rdt_pto_deadline(c));
	if (!c->lingered && !c->aborted && rdt_state(c, c->last_heard) == RDT_CLOSING)
		sooner(&t, rdt_linger_end(c));
	return t;
}

void rdt_on_timeout(struct rdt_conn *c, uint64_t now)
{
	if (c->ack_due && now >= c->ack_due)
		c->ack_now = true;
	if (c->loss_time && now >= c->loss_time) {
		rdt_detect_losses(c, now);
		rdt_pace_update(c, now);
	}
	c->lingered = rdt_state(c, now) == RDT_CLOSED;
	if (now < rdt_pto_deadline(c))
		return;
	c->st.pto_total++;
	if (c->aborted) {
		c->pto_count++;
		c->reset_pending = c->reset_tries < RESET_TRIES && !c->reset_acked;
		if (!c->reset_pending)
			c->flying = 0;
	} else if (c->flying) {
		c->pto_count++;
		c->probes_due = 2;
		c->probe_cursor = c->log.undecided;
	} else {
		c->persist_count++;
		c->blocked_since = now;
		c->probe_wanted = true;
	}
}
