// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/rdt/ranges.h"

void rdt_ranges_init(struct rdt_ranges *s, int max)
{
	memset(s, 0, sizeof(*s));
	s->max = max;
}

void rdt_ranges_free(struct rdt_ranges *s)
{
	free(s->r);
	s->r = NULL;
	s->n = s->cap = s->head = 0;
}

/* One more slot behind the last range: shift to the front of the array, or grow it. */
static int prepare(struct rdt_ranges *s)
{
	struct rdt_range *r;
	int cap;

	if (s->head + s->n < s->cap)
		return 0;
	if (s->n >= s->max)
		return -ENOSPC;
	if (s->head > 0) {
		memmove(s->r, s->r + s->head, s->n * sizeof(*s->r));
		s->head = 0;
		return 0;
	}
	cap = s->cap ? s->cap * 2 : 8;
	if (cap > s->max)
		cap = s->max;
	r = realloc(s->r, cap * sizeof(*r));
	if (!r)
		return -ENOMEM;
	s->r = r;
	s->cap = cap;
	return 0;
}

int rdt_ranges_insert(struct rdt_ranges *s, uint64_t first, uint64_t end, rdt_fresh_fn fresh,
		      void *ctx)
{
	struct rdt_range *r;
	uint64_t at = first;
	int i = s->n, j, err;

	while (i > 0 && rdt_ranges_at(s, i - 1)->end >= first)
		i--;
	for (j = i; j < s->n && rdt_ranges_at(s, j)->first <= end; j++)
		;
	if (i == j) {
		if (s->n >= s->max)
			return -ENOSPC;
		err = prepare(s);
		if (err)
			return err;
		r = rdt_ranges_at(s, i);
		memmove(r + 1, r, (s->n - i) * sizeof(*r));
		r->first = first;
		r->end = end;
		s->n++;
		if (fresh)
			fresh(ctx, first, end);
		return 0;
	}
	r = rdt_ranges_at(s, i);
	if (fresh) {
		for (int k = i; k < j; k++) {
			if (at < rdt_ranges_at(s, k)->first)
				fresh(ctx, at, rdt_ranges_at(s, k)->first);
			if (at < rdt_ranges_at(s, k)->end)
				at = rdt_ranges_at(s, k)->end;
		}
		if (at < end)
			fresh(ctx, at, end);
	}
	if (r->first > first)
		r->first = first;
	if (rdt_ranges_at(s, j - 1)->end > end)
		end = rdt_ranges_at(s, j - 1)->end;
	r->end = end;
	if (j - i > 1) {
		memmove(r + 1, rdt_ranges_at(s, j), (s->n - j) * sizeof(*r));
		s->n -= j - i - 1;
	}
	return 0;
}

void rdt_ranges_pop_front(struct rdt_ranges *s)
{
	s->n--;
	s->head = s->n ? s->head + 1 : 0;
}

void rdt_ranges_prune(struct rdt_ranges *s, uint64_t floor)
{
	while (s->n && rdt_ranges_at(s, 0)->end <= floor)
		rdt_ranges_pop_front(s);
	if (s->n && rdt_ranges_at(s, 0)->first < floor)
		rdt_ranges_at(s, 0)->first = floor;
}

int rdt_ranges_contains(const struct rdt_ranges *s, uint64_t v)
{
	for (int i = s->n - 1; i >= 0; i--) {
		if (v >= rdt_ranges_at(s, i)->end)
			return 0;
		if (v >= rdt_ranges_at(s, i)->first)
			return 1;
	}
	return 0;
}
