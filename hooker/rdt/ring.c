// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/rdt/ring.h"

#define RING_MIN 4096

uint64_t rdt_ring_growth(const struct rdt_ring *r, uint64_t need, uint64_t most)
{
	uint64_t cap = r->cap ? r->cap * 2 : RING_MIN;

	if (need <= r->cap)
		return 0;
	while (cap < need)
		cap *= 2;
	return (cap < most ? cap : most) - r->cap;
}

int rdt_ring_reserve(struct rdt_ring *r, uint64_t lo, uint64_t hi_used, uint64_t hi_need,
		     uint64_t most)
{
	struct rdt_ring n;
	struct iovec iov[2];
	uint64_t at = lo;
	int niov;

	n.cap = r->cap + rdt_ring_growth(r, hi_need - lo, most);
	if (n.cap == r->cap)
		return 0;
	n.buf = malloc(n.cap);
	if (!n.buf)
		return -ENOMEM;
	niov = hi_used > lo ? rdt_ring_vec(r, lo, hi_used - lo, iov) : 0;
	for (int i = 0; i < niov; i++) {
		rdt_ring_put(&n, at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	free(r->buf);
	*r = n;
	return 0;
}

void rdt_ring_free(struct rdt_ring *r)
{
	free(r->buf);
	r->buf = NULL;
	r->cap = 0;
}

int rdt_ring_vec(const struct rdt_ring *r, uint64_t off, size_t len, struct iovec iov[2])
{
	uint64_t at = off % r->cap;

	iov[0].iov_base = r->buf + at;
	if (at + len <= r->cap) {
		iov[0].iov_len = len;
		return 1;
	}
	iov[0].iov_len = r->cap - at;
	iov[1].iov_base = r->buf;
	iov[1].iov_len = len - iov[0].iov_len;
	return 2;
}

void rdt_ring_put(struct rdt_ring *r, uint64_t off, const void *src, size_t len)
{
	struct iovec iov[2];
	int n;

	if (!len)
		return;
	n = rdt_ring_vec(r, off, len, iov);
	memcpy(iov[0].iov_base, src, iov[0].iov_len);
	if (n == 2)
		memcpy(iov[1].iov_base, (const uint8_t *)src + iov[0].iov_len, iov[1].iov_len);
}
