/* SPDX-License-Identifier: GPL-2.0 */
/* A small sorted set of half-open ranges of 64-bit numbers; cheap at its upper end and its front. */
#ifndef HOOKER_RDT_RANGES_H
#define HOOKER_RDT_RANGES_H

#include <stdint.h>

struct rdt_range {
	uint64_t first, end;
};

struct rdt_ranges {
	struct rdt_range
		*r; /* ascending, disjoint, not touching; the set is r[head .. head + n - 1] */
	int head, n, cap, max;
};

/* Told each part of an inserted range that was not in the set before, ascending. */
typedef void (*rdt_fresh_fn)(void *ctx, uint64_t first, uint64_t end);

void rdt_ranges_init(struct rdt_ranges *s, int max);
void rdt_ranges_free(struct rdt_ranges *s);
/* Adds [first, end). 0; -ENOSPC (needs range number max + 1) or -ENOMEM with nothing changed. */
int rdt_ranges_insert(struct rdt_ranges *s, uint64_t first, uint64_t end, rdt_fresh_fn fresh,
		      void *ctx);
void rdt_ranges_pop_front(struct rdt_ranges *s);
/* Forgets everything below `floor`. */
void rdt_ranges_prune(struct rdt_ranges *s, uint64_t floor);
int rdt_ranges_contains(const struct rdt_ranges *s, uint64_t v);

static inline struct rdt_range *rdt_ranges_at(const struct rdt_ranges *s, int i)
{
	return &s->r[s->head + i];
}

static inline struct rdt_range *rdt_ranges_last(const struct rdt_ranges *s)
{
	return &s->r[s->head + s->n - 1];
}

#endif
