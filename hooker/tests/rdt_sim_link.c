// SPDX-License-Identifier: GPL-2.0
/* The simulated link: what it does to datagrams, and those on their way. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/tests/rdt_sim_parts.h"

/* ---- event heap ---- */

static bool before(const struct sim_packet *a, const struct sim_packet *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

void sim_push(struct sim *s, struct sim_packet *p)
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

struct sim_packet *sim_pop(struct sim *s)
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

struct sim_packet *sim_packet_get(struct sim *s)
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

void sim_packet_put(struct sim *s, struct sim_packet *p)
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
	sim_push(s, p);
}

void sim_send(struct sim *s, int flow, int to, const struct rdt_datagram *d)
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
	p = sim_packet_get(s);
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
			sim_packet_put(s, p);
			return;
		}
	}
	if (sim_chance(&s->rng, l->dup)) {
		struct sim_packet *q = sim_packet_get(s);

		*q = *p;
		deliver_later(s, l, q, out);
	}
	deliver_later(s, l, p, out);
}
