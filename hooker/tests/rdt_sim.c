// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/tests/rdt_sim_parts.h"

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

/* ---- the clock ---- */

static void earlier(uint64_t *t, uint64_t other)
{
	if (other < *t)
		*t = other;
}

static uint64_t sim_end_next(const struct sim *s, const struct sim_end *e)
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
		sim_end_work(s, i, e);
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
		sim_end_work(s, p->flow, p->to);
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
				earlier(&next, sim_end_next(s, &s->flow[i].end[e]));
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
			arrive(s, sim_pop(s));
		for (int i = 0; i < s->nflows; i++) {
			if (!s->flow[i].started && s->flow[i].start_at <= s->now)
				flow_start(s, i);
			for (int e = 0; s->flow[i].started && e < 2; e++)
				if (sim_end_next(s, &s->flow[i].end[e]) <= s->now ||
				    s->flow[i].end[e].read_at == s->now ||
				    s->flow[i].end[e].write_at == s->now)
					sim_end_work(s, i, e);
		}
	}
}

void sim_kick(struct sim *s, int flow, int who)
{
	sim_end_work(s, flow, who);
}

void sim_drop_all(struct sim *s)
{
	while (s->nheap)
		sim_packet_put(s, s->heap[--s->nheap]);
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
