// SPDX-License-Identifier: GPL-2.0
/* The simulated daemons and applications at both ends, and what was promised to them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/tests/rdt_sim_parts.h"

/* ---- endpoints ---- */

static void expect(struct sim *s, bool ok, const char *what)
{
	if (!ok && !s->error)
		s->error = what;
}

static void check_bytes(struct sim *s, struct sim_end *e, const struct sim_end *peer, const void *p,
			size_t len)
{
	const uint8_t *b = p;

	expect(s, !e->end_seen, "bytes after the end");
	while (len) {
		size_t n = len < SIM_PATTERN ? len : SIM_PATTERN;

		expect(s, !memcmp(b, sim_pattern(e->got + peer->pattern), n), "wrong bytes");
		e->got += n;
		b += n;
		len -= n;
	}
	expect(s, e->got <= peer->written, "more bytes than were written");
}

static void check_promises(struct sim *s, struct sim_flow *f)
{
	for (int i = 0; i < 2; i++) {
		const struct rdt_conn *c = f->end[i].conn, *o = f->end[!i].conn;

		if (!c || !o)
			continue;
		expect(s, c->highest - c->read_off <= c->cfg.recv_buffer, "receive bound");
		expect(s, c->write_end - c->una <= c->cfg.send_buffer, "send bound");
		expect(s, c->in.cap <= c->cfg.recv_buffer && c->out.cap <= c->cfg.send_buffer,
		       "rings within their bounds");
		expect(s, c->sent_end <= o->credit, "credit exceeded");
		expect(s, c->una <= o->recv_next, "acknowledged what was not received");
		expect(s, c->una <= c->sent_end && c->sent_end <= c->write_end, "offsets");
		expect(s, c->log.resend <= c->log.undecided && c->log.undecided <= c->log.next,
		       "packet log order");
		expect(s, c->log.next - c->log.resend <= c->log.cap || !c->log.cap, "packet log");
	}
}

/* Expensive, so now and then: the books of packets in flight against the packets themselves. */
static void check_books(struct sim *s, const struct rdt_conn *c)
{
	uint64_t bytes = 0, n = 0;

	for (uint64_t pn = c->log.undecided; pn < c->log.next; pn++) {
		const struct packet *p = log_at(&c->log, pn);

		if (p->state == PKT_FLYING) {
			bytes += p->len + FRAME_HDR;
			n++;
		}
	}
	expect(s, bytes == c->in_flight || c->aborted, "bytes in flight miscounted");
	expect(s, n == c->flying || c->aborted, "packets in flight miscounted");
}

static bool all_in(const struct sim_end *e)
{
	return e->end_seen || e->reset_seen || e->aborted;
}

static uint64_t memory_of(const struct rdt_conn *conn)
{
	struct rdt_stats stats;

	rdt_stats(conn, &stats);
	return stats.memory;
}

/* As rdt_write(), which must take as much memory as it said it would. */
static ssize_t write_some(struct sim *s, struct sim_end *e, size_t n)
{
	uint64_t before = memory_of(e->conn), growth = rdt_write_growth(e->conn, n);
	ssize_t took = rdt_write(e->conn, sim_pattern(e->written + e->pattern), n);

	expect(s, took < 0 || memory_of(e->conn) == before + growth, "a write grew otherwise");
	return took;
}

static void app_write(struct sim *s, struct sim_end *e)
{
	while (!e->finished && !e->aborted && s->now >= e->write_at) {
		uint64_t n = e->to_write - e->written, max = e->write_max;
		ssize_t took;

		if (e->write_pause)
			max = 1 + sim_below(&s->rng, max);
		if (n > max)
			n = max;
		if (n > SIM_PATTERN)
			n = SIM_PATTERN;
		if (e->abort_at_byte && e->written >= e->abort_at_byte) {
			rdt_abort(e->conn, HK_CODE_RST);
			e->aborted = true;
			return;
		}
		if (!n) {
			expect(s, !rdt_finish(e->conn, e->finish_code) || e->reset_seen, "finish");
			e->finished = true;
			return;
		}
		took = write_some(s, e, n);
		if (took < 0) {
			expect(s, e->reset_seen, "write failed without a reset");
			e->finished = true;
			return;
		}
		e->written += took;
		if (e->write_pause)
			e->write_at = s->now + sim_below(&s->rng, e->write_pause);
		if (!took) {
			if (e->write_at <= s->now)
				e->write_at = s->now + SIM_MS / 4;
			return;
		}
	}
}

static void read_done(struct sim *s, struct sim_end *e)
{
	if (!e->end_seen && rdt_delivered_all(e->conn)) {
		e->end_seen = true;
		e->got_code = rdt_end_code(e->conn);
		e->done_at = s->now;
	}
}

static uint64_t reader_wants(struct sim *s, struct sim_end *e)
{
	if (e->aborted || s->now < e->read_at)
		return 0;
	return e->read_max ? 1 + sim_below(&s->rng, e->read_max) : UINT64_MAX;
}

static void app_read(struct sim *s, struct sim_end *e, const struct sim_end *peer)
{
	uint64_t want = reader_wants(s, e), sum = 0;
	struct iovec iov[2];
	int n;

	if (!want)
		return;
	n = rdt_read_vec(e->conn, iov);
	for (int i = 0; i < n && want; i++) {
		uint64_t k = iov[i].iov_len < want ? iov[i].iov_len : want;

		check_bytes(s, e, peer, iov[i].iov_base, k);
		want -= k;
		sum += k;
	}
	rdt_consume(e->conn, s->now, sum);
	if (e->app_unread_max && sim_chance(&s->rng, 0.3))
		rdt_set_window(e->conn, s->now,
			       e->cfg.recv_buffer - sim_below(&s->rng, e->app_unread_max));
	if (sum && e->read_pause)
		e->read_at = s->now + sim_below(&s->rng, e->read_pause);
	read_done(s, e);
}

static void direct_flush(struct sim *s, struct sim_end *e, const struct sim_end *peer,
			 struct iovec *iov, int n)
{
	uint64_t want, done = 0;

	if (!n)
		return;
	want = reader_wants(s, e);
	for (int i = 0; i < n && want; i++) {
		uint64_t k = iov[i].iov_len < want ? iov[i].iov_len : want;

		check_bytes(s, e, peer, iov[i].iov_base, k);
		want -= k;
		done += k;
	}
	rdt_direct_done(e->conn, s->now, iov, n, done);
	if (done && e->read_pause)
		e->read_at = s->now + sim_below(&s->rng, e->read_pause);
	read_done(s, e);
}

/* What a daemon does with a batch from its socket. */
static void take_batch(struct sim *s, struct sim_end *e, const struct sim_end *peer)
{
	struct iovec iov[SIM_BATCH];
	struct sim_packet *used[SIM_BATCH];
	struct rdt_frame f;
	int n = 0, k = 0, ev;

	while (e->in_head && k < SIM_BATCH) {
		struct sim_packet *p = e->in_head;

		e->in_head = p->next;
		if (!e->in_head)
			e->in_tail = &e->in_head;
		used[k++] = p;
		expect(s, !rdt_frame_parse(p->buf, p->len, &f), "frame refused by the parser");
		ev = rdt_input(e->conn, s->now, &f, e->use_direct ? &iov[n] : NULL);
		expect(s, ev >= 0 || ev == -ENOMEM, "frame refused");
		if (ev < 0)
			continue;
		if (ev & RDT_EV_DIRECT)
			n++;
		if (ev & RDT_EV_RESET)
			e->reset_seen = true, e->got_reset = rdt_reset_code(e->conn);
		expect(s, !(ev & RDT_EV_END) || rdt_received_all(e->conn), "END before its bytes");
	}
	direct_flush(s, e, peer, iov, n);
	while (k)
		sim_packet_put(s, used[--k]);
}

/* A connection that is gone: what the daemon answers then. */
static void take_unknown(struct sim *s, int flow, int who)
{
	struct sim_end *e = &s->flow[flow].end[who];
	struct rdt_datagram d;
	struct rdt_frame f;

	while (e->in_head) {
		struct sim_packet *p = e->in_head;

		e->in_head = p->next;
		expect(s, !rdt_frame_parse(p->buf, p->len, &f), "frame refused by the parser");
		if (rdt_stateless_reset(&f, &d))
			sim_send(s, flow, !who, &d);
		sim_packet_put(s, p);
	}
	e->in_tail = &e->in_head;
}

/* The daemon forgets a connection as soon as the library lets it. */
static void maybe_close(struct sim *s, struct sim_end *e)
{
	if (!all_in(e) || rdt_state(e->conn, s->now) != RDT_CLOSED)
		return;
	rdt_stats(e->conn, &e->last_stats);
	rdt_conn_destroy(e->conn);
	e->conn = NULL;
	e->closed = true;
}

void sim_end_work(struct sim *s, int flow, int who)
{
	struct sim_end *e = &s->flow[flow].end[who], *peer = &s->flow[flow].end[!who];
	struct rdt_datagram d;
	int guard = 0;

	if (e->closed) {
		take_unknown(s, flow, who);
		return;
	}

	while (e->in_head && s->now >= e->wake_at)
		take_batch(s, e, peer);
	app_read(s, e, peer);
	app_write(s, e);
	if (s->now >= rdt_next_timeout(e->conn))
		rdt_on_timeout(e->conn, s->now);
	while (rdt_output(e->conn, s->now, &d)) {
		expect(s, d.len <= e->cfg.max_datagram, "datagram too large");
		sim_send(s, flow, !who, &d);
		if (++guard > 100000) {
			expect(s, false, "endless output");
			break;
		}
	}
	if (e->trims)
		rdt_trim(e->conn);
	expect(s, rdt_next_timeout(e->conn) > s->now, "a timeout that is not worked off");
	check_promises(s, &s->flow[flow]);
	if (++s->steps % 512 == 0)
		check_books(s, e->conn);
	maybe_close(s, e);
}
