/* SPDX-License-Identifier: GPL-2.0 */
/* What pair.c and pairs.c share: one loopback pair, and all of them. */
#ifndef HOOKER_PAIR_H
#define HOOKER_PAIR_H

#include <pthread.h>

#include "hooker/relay/internal.h"
#include "hooker/relay/loopback.h"

/*
 * A pair's window and SO_SNDBUF until the first full read. An application that has more to send waits, and the
 * daemon runs: on one processor it would else write all it has first, or not, as the scheduler pleases.
 */
#define PAIR_FIRST_BUFFER 32768

struct pair {
	int a, b;		/* -1: none */
	bool grown;		/* it holds pair_buffer bytes, not only PAIR_FIRST_BUFFER */
	struct event *readable; /* of A */
	struct event *writable; /* of B, edge-triggered; NULL until it may have been full */
	struct conn *conn;
};

/*
 * All that wait and all in use, of all loops: sock_ops takes the next one for a connection of any. Who waits is under the
 * lock, as is who is handed over; one in use is its loop's.
 */
struct pairs {
	struct hk_relay *relay;
	struct hk_room *room;
	pthread_mutex_t lock;
	/* Indices without sockets, first in first out: an index must rest, because a program that has
	 * read it from a flow may just be about to redirect to it. */
	uint32_t unused[HK_PAIRS_MAX];
	unsigned int unused_first, unused_count, target, alive;
	struct pair slots[HK_PAIRS_MAX];
};

/* By which a loop makes them. */
struct pair_maker {
	struct loop *loop;
	struct loopback loopback;
	struct event *refill, *decay; /* decay: NULL but in loop 0 */
};

/* Hands out the one at @slot, which waited: others are made soon, and more kept if they are running short. NULL: none. */
struct pair *pairs_use(struct loop *loop, uint32_t slot);
/* Closes that of @slot, whose index rests. */
void pairs_return(struct loop *loop, uint32_t slot);

#endif
