// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/tests/rdt_sim.h"

static uint8_t pattern[2 * SIM_PATTERN];

uint64_t sim_rand(struct sim_rng *r) /* splitmix64 */
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t sim_below(struct sim_rng *r, uint64_t n)
{
	return n ? sim_rand(r) % n : 0;
}

bool sim_chance(struct sim_rng *r, double p)
{
	return p > 0.0 && (double)(sim_rand(r) >> 11) * 0x1p-53 < p;
}

const uint8_t *sim_pattern(uint64_t offset)
{
	return pattern + offset % SIM_PATTERN;
}

void sim_init(struct sim *s, uint64_t seed)
{
	struct sim_rng fixed = { 42 };

	if (!pattern[0])
		for (int i = 0; i < SIM_PATTERN; i++)
			pattern[i] = pattern[i + SIM_PATTERN] = sim_rand(&fixed) | (i == 0);
	memset(s, 0, sizeof(*s));
	s->rng.s = seed;
	s->now = SIM_SEC;
	for (int d = 0; d < 2; d++)
		s->link[d].queue = UINT64_MAX;
}

struct sim_flow *sim_add_flow(struct sim *s)
{
	struct sim_flow *f = &s->flow[s->nflows++];

	f->start_at = s->now;
	for (int e = 0; e < 2; e++) {
		struct sim_end *end = &f->end[e];

		rdt_config_default(&end->cfg);
		end->in_tail = &end->in_head;
		end->pattern = sim_below(&s->rng, SIM_PATTERN);
		end->write_max = UINT64_MAX;
		end->use_direct = true;
	}
	return f;
}

/* ---- event heap ---- */

static bool before(const struct sim_packet *a, const struct sim_packet *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void heap_push(struct sim *s, struct sim_packet *p)
{
	int i = s->nheap++;

	if (s->nheap > s->heap_cap) {
		s->heap_cap = s->heap_cap ? s->heap_cap * 2 : 256;
		s->heap = realloc(s->heap, s->heap_cap * sizeof(*s->heap));
		if (!s->heap)
			abort();
	}
	for (; i > 0 && before(p, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = p;
}

static struct sim_packet *heap_pop(struct sim *s)
{
	struct sim_packet *top = s->heap[0], *last = s->heap[--s->nheap];
	int i = 0;

	for (;;) {
		int k = 2 * i + 1;

		if (k >= s->nheap)
			break;
		if (k + 1 < s->nheap && before(s->heap[k + 1], s->heap[k]))
			k++;
		if (!before(s->heap[k], last))
			break;
		s->heap[i] = s->heap[k];
		i = k;
	}
	s->heap[i] = last;
	return top;
}

static struct sim_packet *packet_get(struct sim *s)
{
	struct sim_packet *p = s->pool;

	if (p) {
		s->pool = p->next;
		return p;
	}
	p = malloc(sizeof(*p));
	if (!p)
		abort();
	return p;
}

static void packet_put(struct sim *s, struct sim_packet *p)
{
	p->next = s->pool;
	s->pool = p;
}

/* ---- link ---- */

static uint16_t checksum(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Damage as a wire does it; true if UDP's checksum finds it, which it does for any burst <= 15 bits. */
static bool damage(struct sim *s, struct sim_packet *p)
{
	uint16_t was = checksum(p->buf, p->len);
	int bits = 1 + sim_below(&s->rng, 4);
	uint64_t at = sim_below(&s->rng, p->len * 8ull - bits);

	for (int i = 0; i < bits; i++)
		if (i == 0 || sim_chance(&s->rng, 0.5))
			p->buf[(at + i) / 8] ^= 0x80 >> (at + i) % 8;
	return checksum(p->buf, p->len) != was;
}

static void deliver_later(struct sim *s, struct sim_link *l, struct sim_packet *p, uint64_t out)
{
	p->at = out + (sim_chance(&s->rng, l->reorder) ? 0 : l->delay);
	if (l->jitter)
		p->at += sim_below(&s->rng, l->jitter);
	p->order = s->order++;
	heap_push(s, p);
}

static void link_send(struct sim *s, int flow, int to, const struct rdt_datagram *d)
{
	struct sim_link *l = &s->link[to];
	struct sim_packet *p;
	uint64_t start = l->busy_until > s->now ? l->busy_until : s->now, out = s->now;

	l->sent++;
	l->reset_frames += d->kind == HK_FRAME_RESET;
	l->bytes += d->len + 28;
	if (l->rate > 0.0) {
		if ((double)(start - s->now) * l->rate + d->len > (double)l->queue) {
			l->dropped_queue++;
			return;
		}
		out = l->busy_until = start + (uint64_t)((d->len + 28) / l->rate);
	}
	if (sim_chance(&s->rng, l->loss) || (s->now >= l->dark_from && s->now < l->dark_to)) {
		l->dropped_random++;
		return;
	}
	p = packet_get(s);
	p->flow = flow;
	p->to = to;
	p->len = 0;
	for (int i = 0; i < d->niov; i++) {
		memcpy(p->buf + p->len, d->iov[i].iov_base, d->iov[i].iov_len);
		p->len += d->iov[i].iov_len;
	}
	if (p->len != d->len)
		s->error = "datagram length differs from its parts";
	if (sim_chance(&s->rng, l->corrupt)) {
		l->damaged++;
		if (damage(s, p)) {
			packet_put(s, p);
			return;
		}
	}
	if (sim_chance(&s->rng, l->dup)) {
		struct sim_packet *q = packet_get(s);

		*q = *p;
		deliver_later(s, l, q, out);
	}
	deliver_later(s, l, p, out);
}

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
		took = rdt_write(e->conn, sim_pattern(e->written + e->pattern), n);
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
		packet_put(s, used[--k]);
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
			link_send(s, flow, !who, &d);
		packet_put(s, p);
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

static void end_work(struct sim *s, int flow, int who)
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
		link_send(s, flow, !who, &d);
		if (++guard > 100000) {
			expect(s, false, "endless output");
			break;
		}
	}
	expect(s, rdt_next_timeout(e->conn) > s->now, "a timeout that is not worked off");
	check_promises(s, &s->flow[flow]);
	if (++s->steps % 512 == 0)
		check_books(s, e->conn);
	maybe_close(s, e);
}

/* ---- the clock ---- */

static void earlier(uint64_t *t, uint64_t other)
{
	if (other < *t)
		*t = other;
}

static uint64_t end_next(const struct sim *s, const struct sim_end *e)
{
	uint64_t t = e->closed ? RDT_NEVER : rdt_next_timeout(e->conn);

	if (e->in_head)
		earlier(&t, e->wake_at);
	if (e->closed)
		return t;
	if (!e->finished && !e->aborted && e->write_at > s->now)
		earlier(&t, e->write_at);
	if (e->read_at > s->now && (rdt_readable(e->conn) || rdt_delivered_all(e->conn)))
		earlier(&t, e->read_at);
	return t;
}

static void flow_start(struct sim *s, int i)
{
	struct sim_flow *f = &s->flow[i];

	for (int e = 0; e < 2; e++) {
		struct rdt_identity id = { .key = { e ? 0x0200000a : 0x0100000a,
						    e ? 0x0100000a : 0x0200000a, 1000u + e,
						    1001u - e },
					   .local_isn = 77 + e,
					   .remote_isn = 78 - e };

		f->end[e].conn = rdt_conn_create(&f->end[e].cfg, &id, &s->path[e], s->now);
		if (!f->end[e].conn)
			abort();
	}
	f->started = true;
	for (int e = 0; e < 2; e++)
		end_work(s, i, e);
}

static bool flow_over(const struct sim_flow *f)
{
	return f->end[0].closed && f->end[1].closed;
}

static void arrive(struct sim *s, struct sim_packet *p)
{
	struct sim_end *e = &s->flow[p->flow].end[p->to];

	if (!e->in_head)
		e->wake_at = s->now + sim_below(&s->rng, e->wake_delay);
	p->next = NULL;
	*e->in_tail = p;
	e->in_tail = &p->next;
	if (s->now >= e->wake_at)
		end_work(s, p->flow, p->to);
}

int sim_run(struct sim *s, uint64_t until)
{
	for (;;) {
		uint64_t next = RDT_NEVER;
		bool over = true;

		if (s->error)
			return -1;
		for (int i = 0; i < s->nflows; i++) {
			over = over && flow_over(&s->flow[i]);
			if (!s->flow[i].started)
				earlier(&next, s->flow[i].start_at);
			for (int e = 0; s->flow[i].started && e < 2; e++)
				earlier(&next, end_next(s, &s->flow[i].end[e]));
		}
		if (over)
			return 0;
		if (s->nheap)
			earlier(&next, s->heap[0]->at);
		if (next > until)
			return 1;
		if (next > s->now)
			s->now = next;
		while (s->nheap && s->heap[0]->at <= s->now)
			arrive(s, heap_pop(s));
		for (int i = 0; i < s->nflows; i++) {
			if (!s->flow[i].started && s->flow[i].start_at <= s->now)
				flow_start(s, i);
			for (int e = 0; s->flow[i].started && e < 2; e++)
				if (end_next(s, &s->flow[i].end[e]) <= s->now ||
				    s->flow[i].end[e].read_at == s->now ||
				    s->flow[i].end[e].write_at == s->now)
					end_work(s, i, e);
		}
	}
}

void sim_kick(struct sim *s, int flow, int who)
{
	end_work(s, flow, who);
}

void sim_drop_all(struct sim *s)
{
	while (s->nheap)
		packet_put(s, s->heap[--s->nheap]);
}

void sim_free(struct sim *s)
{
	for (int i = 0; i < s->nflows; i++)
		for (int e = 0; e < 2; e++) {
			struct sim_end *end = &s->flow[i].end[e];

			while (end->in_head) {
				struct sim_packet *p = end->in_head;

				end->in_head = p->next;
				free(p);
			}
			rdt_conn_destroy(end->conn);
		}
	while (s->nheap)
		free(s->heap[--s->nheap]);
	while (s->pool) {
		struct sim_packet *p = s->pool;

		s->pool = p->next;
		free(p);
	}
	free(s->heap);
}
