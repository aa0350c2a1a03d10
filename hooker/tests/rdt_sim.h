/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Deterministic simulation in virtual time: pairs of transport endpoints over one emulated link.
 * Everything random comes from one seed. Used by the unit_rdt_* tests.
 */
#ifndef RDT_SIM_H
#define RDT_SIM_H

#include "hooker/rdt/conn.h"

#define SIM_MS	    RDT_NS_PER_MS
#define SIM_SEC	    (1000 * SIM_MS)
#define SIM_PATTERN 65521 /* prime: a shifted stream never looks right */
#define SIM_FLOWS   8
#define SIM_BATCH   16

struct sim_rng {
	uint64_t s;
};
uint64_t sim_rand(struct sim_rng *r);
uint64_t sim_below(struct sim_rng *r, uint64_t n); /* 0 .. n-1 */
bool sim_chance(struct sim_rng *r, double p);

struct sim_link {	/* one direction */
	double rate;	/* bytes per ns, 0 = infinite */
	uint64_t queue; /* bytes that may wait */
	uint64_t delay, jitter;
	double loss, dup, corrupt, reorder; /* reorder: probability of skipping the delay */
	uint64_t dark_from, dark_to;	    /* blackout */
	/* state */
	uint64_t busy_until;
	uint64_t sent, dropped_queue, dropped_random, bytes, damaged, reset_frames;
	uint64_t last_arrival;
};

struct sim_packet {
	struct sim_packet *next;
	uint64_t at, order;
	int flow, to;
	uint32_t len;
	uint8_t buf[2048];
};

struct sim_end {
	struct rdt_conn *conn;
	struct rdt_config cfg;
	/* writer */
	uint64_t to_write, written, write_max, write_pause, write_at;
	uint64_t abort_at_byte;		/* 0 = never */
	bool finished, aborted, closed; /* closed: conn destroyed, last_stats kept */
	struct rdt_stats last_stats;
	uint8_t got_code, got_reset;
	uint8_t finish_code;
	/* reader */
	bool use_direct;
	bool trims;				/* gives back empty buffers whenever it may */
	uint64_t read_max, read_pause, read_at; /* per tick; 0 = unlimited, at once */
	uint64_t app_unread_max; /* for the window the reader announces; 0 = default */
	uint64_t got, done_at;	 /* when the last byte and END were delivered */
	bool end_seen, reset_seen;
	/* the daemon's socket */
	uint64_t wake_delay, wake_at;
	struct sim_packet *in_head, **in_tail;
	uint32_t pattern; /* shift of what this end writes */
};

struct sim_flow {
	struct sim_end end[2];
	uint64_t start_at;
	bool started;
};

struct sim {
	struct sim_rng rng;
	uint64_t now, order;
	struct sim_link link[2]; /* link[d]: towards end d */
	struct sim_flow flow[SIM_FLOWS];
	int nflows;
	struct sim_packet **heap;
	int nheap, heap_cap;
	struct sim_packet *pool;
	struct rdt_path path[2]; /* of end 0, of end 1 */
	const char *error;	 /* first broken promise */
	uint64_t steps;
};

void sim_init(struct sim *s, uint64_t seed);
/* Adds a flow; the caller then sets writer, reader and configuration of both ends. */
struct sim_flow *sim_add_flow(struct sim *s);
/* Runs until every flow is complete or reset (0), a promise is broken (-1, s->error), or until (1). */
int sim_run(struct sim *s, uint64_t until);
/* Lets an end look round after the test called its connection directly. */
void sim_kick(struct sim *s, int flow, int who);
/* The carrier broke: everything on the wire is gone. */
void sim_drop_all(struct sim *s);
void sim_free(struct sim *s);
const uint8_t *sim_pattern(uint64_t offset); /* at least SIM_PATTERN valid bytes behind it */

#endif
