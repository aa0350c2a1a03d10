/* SPDX-License-Identifier: GPL-2.0 */
/* A byte ring addressed by absolute stream offsets; grows by doubling, never beyond its bound. */
#ifndef HOOKER_RDT_RING_H
#define HOOKER_RDT_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct rdt_ring {
	uint8_t *buf;
	uint64_t cap;
};

/* By how many bytes it has to grow to hold @need, @most at most. */
uint64_t rdt_ring_growth(const struct rdt_ring *r, uint64_t need, uint64_t most);
/*
 * Room for [lo, hi_need), which is @most bytes at most: so large it may become. Bytes [lo, hi_used) are kept. 0 or -ENOMEM
 * with nothing changed.
 */
int rdt_ring_reserve(struct rdt_ring *r, uint64_t lo, uint64_t hi_used, uint64_t hi_need,
		     uint64_t most);
void rdt_ring_free(struct rdt_ring *r);
/* The stretch [off, off + len) as one or two iovecs. */
int rdt_ring_vec(const struct rdt_ring *r, uint64_t off, size_t len, struct iovec iov[2]);
void rdt_ring_put(struct rdt_ring *r, uint64_t off, const void *src, size_t len);

#endif
