// SPDX-License-Identifier: GPL-2.0
/* What arrives: checks first, then bytes in order, holes, credit, and when to acknowledge. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "hooker/rdt/conn.h"

#define RATE_EPOCH (5 * RDT_NS_PER_MS)

int rdt_ack_encode(const struct rdt_conn *c, struct hk_ack_range *runs)
{
	int n = 0, max = c->payload_max / sizeof(*runs);

	if (max > HK_ACK_RANGES_MAX)
		max = HK_ACK_RANGES_MAX;
	for (int i = c->seen.n - 2; i >= 0 && n < max; i--, n++) {
		const struct rdt_range *r = rdt_ranges_at(&c->seen, i);

		runs[n].first = htobe32((uint32_t)r->first);
		runs[n].last = htobe32((uint32_t)(r->end - 1));
	}
	return n;
}

/* Tells the peer of new credit when it is worth a datagram. */
void rdt_credit_update(struct rdt_conn *c)
{
	uint64_t limit = c->read_off + c->window, gain, left = c->credit - c->recv_next;

	if (limit <= c->credit || c->end_known || !c->seen.n)
		return;
	gain = limit - c->credit;
	if (gain >= c->window / 4 || (left < 2 * c->payload_max && gain >= 2 * c->payload_max))
		c->ack_now = true;
}

static uint64_t expand_seen(const struct rdt_conn *c, uint32_t low)
{
	uint64_t expect = c->largest_seen + 1;
	int32_t delta = (int32_t)(low - (uint32_t)expect);

	return delta < 0 && expect < (uint64_t) - (int64_t)delta ? 0 : expect + delta;
}

static int check_data(const struct rdt_conn *c, const struct rdt_frame *f)
{
	uint64_t end = f->offset + f->len;

	if (end > c->credit)
		return RDT_BAD_CREDIT;
	if (c->end_known && (f->kind == HK_FRAME_END ? end != c->final : end > c->final))
		return RDT_BAD_END;
	if (f->kind == HK_FRAME_END && end < c->highest)
		return RDT_BAD_END;
	return 0;
}

/* Bytes into place. Event bits, or -ENOMEM: as if the datagram had been lost. */
static int take_data(struct rdt_conn *c, const struct rdt_frame *f, struct iovec *direct)
{
	uint64_t off = f->offset, end = off + f->len;
	const uint8_t *src = f->payload;
	uint64_t high = end > c->highest ? end : c->highest;
	int ev = 0;

	if (off < c->recv_next) {
		if (end <= c->recv_next)
			return 0;
		src += c->recv_next - off;
		off = c->recv_next;
	}
	if (off == end)
		return 0;
	if (rdt_ring_reserve(&c->in, c->read_off, c->highest, high, c->cfg.recv_buffer))
		return -ENOMEM;
	if (off > c->recv_next) {
		if (rdt_ranges_insert(&c->held, off, end, NULL, NULL))
			return -ENOMEM;
		rdt_ring_put(&c->in, off, src, end - off);
		c->highest = high;
		return 0;
	}
	if (direct && c->read_off + c->direct_pending == c->recv_next) {
		*direct = (struct iovec){ (void *)src, end - off };
		c->direct_pending += end - off;
		ev = RDT_EV_DIRECT;
	} else {
		rdt_ring_put(&c->in, off, src, end - off);
		ev = RDT_EV_READABLE;
	}
	c->highest = high;
	c->recv_next = end;
	while (c->held.n && rdt_ranges_at(&c->held, 0)->first <= c->recv_next) {
		if (rdt_ranges_at(&c->held, 0)->end > c->recv_next) {
			c->recv_next = rdt_ranges_at(&c->held, 0)->end;
			ev |= RDT_EV_READABLE;
		}
		rdt_ranges_pop_front(&c->held);
	}
	return ev;
}

/*
 * Fast arrivals need fewer acknowledgements: between every second and every cfg.ack_every-th. More than every second
 * would be unfair: a sender that is told of each packet sends one at a time, always into the gap that has just opened
 * in a full queue, and the pairs of a TCP that is acknowledged every second time (RFC 5681, 4.2) meet the drops. So it
 * still is where packets are further apart than MAX_ACK_DELAY.
 */
static void adapt_ack_rate(struct rdt_conn *c, uint64_t now)
{
	c->rate_count++;
	if (now - c->rate_epoch < RATE_EPOCH)
		return;
	c->ack_every = now - c->rate_epoch < 2 * RATE_EPOCH ? c->rate_count / 4 : 2;
	if (c->ack_every > c->cfg.ack_every)
		c->ack_every = c->cfg.ack_every;
	if (c->ack_every < 2)
		c->ack_every = 2;
	c->rate_epoch = now;
	c->rate_count = 0;
}

/* Books the packet number and decides when to answer. */
static void note_packet(struct rdt_conn *c, uint64_t now, uint64_t pn, const struct rdt_frame *f)
{
	uint64_t least = expand_seen(c, f->least);

	c->st.recv_packets++;
	if (least <= pn && least > c->seen_floor) {
		c->seen_floor = least;
		if (c->seen.n && rdt_ranges_last(&c->seen)->end > least)
			rdt_ranges_prune(&c->seen, least);
	}
	if (pn == c->largest_seen + 1) {
		if (f->kind == HK_FRAME_END || f->kind == HK_FRAME_PROBE)
			c->ack_now = true;
	} else {
		c->ack_now =
			true; /* a hole, a late or a repeated packet: the sender wants to know */
		if (pn < c->largest_seen)
			c->st.reordered_packets++;
	}
	if (pn > c->largest_seen) {
		c->largest_seen = pn;
		c->largest_at = now;
	}
	adapt_ack_rate(c, now);
	if (++c->ack_wanted >= c->ack_every)
		c->ack_now = true;
	else if (!c->ack_due)
		c->ack_due = now + MAX_ACK_DELAY;
	if (pn < c->seen_floor)
		return;
	while (rdt_ranges_insert(&c->seen, pn, pn + 1, NULL, NULL)) {
		if (!c->seen.n) /* no memory: the sender will repeat */
			return;
		c->seen_floor = rdt_ranges_at(&c->seen, 0)->end;
		rdt_ranges_pop_front(&c->seen);
		if (pn < c->seen_floor)
			return;
	}
}

static int on_reset(struct rdt_conn *c, const struct rdt_frame *f)
{
	if (c->aborted) {
		c->reset_acked = true;
		return 0;
	}
	c->ack_now = true;
	if (c->reset_code)
		return 0;
	c->reset_code = f->code;
	rdt_log_drop_flying(c);
	c->log.resend = c->log.next;
	return RDT_EV_RESET;
}

static int refused(struct rdt_conn *c, int reason)
{
	c->st.refused[reason]++;
	return rdt_refuse(reason);
}

static int input_packet(struct rdt_conn *c, uint64_t now, const struct rdt_frame *f, uint64_t pn,
			struct iovec *direct)
{
	int ev = 0, err;

	if (f->kind == HK_FRAME_RESET) {
		ev = on_reset(c, f);
	} else if (rdt_ranges_contains(&c->seen, pn)) {
		c->st.dup_packets++;
		c->ack_now = true;
		return 0;
	} else if (f->kind != HK_FRAME_PROBE && !rdt_dead(c)) {
		err = take_data(c, f, direct);
		if (err < 0)
			return err;
		ev = err;
		c->st.recv_bytes += f->len;
		if (f->kind == HK_FRAME_END && !c->end_known) {
			c->end_known = true;
			c->final = f->offset + f->len;
			c->peer_end_code = f->code;
		}
		if (!c->end_announced && rdt_received_all(c)) {
			c->end_announced = true;
			ev |= RDT_EV_END;
		}
	}
	note_packet(c, now, pn, f);
	return ev;
}

int rdt_input(struct rdt_conn *c, uint64_t now, const struct rdt_frame *f, struct iovec *direct)
{
	bool data = f->kind == HK_FRAME_DATA || f->kind == HK_FRAME_END;
	struct rdt_ack a;
	uint64_t pn = 0;
	int bad, ev = 0;

	if (memcmp(&f->id, &c->id, sizeof(c->id)))
		return refused(c, RDT_BAD_IDENTITY);
	if (c->cfg.no_recovery)
		return rdt_raw_input(c, now, f, direct);
	bad = rdt_ack_decode(c, f, &a);
	if (bad)
		return refused(c, bad);
	if (f->kind != HK_FRAME_ACK) {
		pn = expand_seen(c, f->pn);
		if (!pn)
			return refused(c, RDT_BAD_NUMBER);
	}
	bad = data ? check_data(c, f) : 0;
	if (bad)
		return refused(c, bad);
	if (pn) {
		ev = input_packet(c, now, f, pn, direct);
		if (ev < 0)
			return ev;
	} else {
		c->st.acks_received++;
	}
	c->last_heard = now;
	if (!c->reset_code)
		ev |= rdt_ack_apply(c, now, &a);
	return ev;
}

void rdt_direct_done(struct rdt_conn *c, uint64_t now, const struct iovec *iov, int niov,
		     size_t delivered)
{
	uint64_t at = c->read_off;
	size_t skip = delivered;

	(void)now;
	for (int i = 0; i < niov; i++) {
		size_t gone = skip < iov[i].iov_len ? skip : iov[i].iov_len;

		rdt_ring_put(&c->in, at + gone, (const uint8_t *)iov[i].iov_base + gone,
			     iov[i].iov_len - gone);
		skip -= gone;
		at += iov[i].iov_len;
	}
	c->direct_pending = 0;
	c->read_off += delivered;
	rdt_credit_update(c);
}

size_t rdt_readable(const struct rdt_conn *c)
{
	return c->direct_pending ? 0 : c->recv_next - c->read_off;
}

int rdt_read_vec(const struct rdt_conn *c, struct iovec iov[2])
{
	size_t n = rdt_readable(c);

	return n ? rdt_ring_vec(&c->in, c->read_off, n, iov) : 0;
}

void rdt_consume(struct rdt_conn *c, uint64_t now, size_t n)
{
	(void)now;
	if (n > rdt_readable(c))
		n = rdt_readable(c);
	c->read_off += n;
	rdt_credit_update(c);
}

void rdt_set_window(struct rdt_conn *c, uint64_t now, uint32_t bytes)
{
	(void)now;
	c->window = bytes < c->cfg.recv_buffer ? bytes : c->cfg.recv_buffer;
	rdt_credit_update(c);
}
