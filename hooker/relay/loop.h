/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The relay as a whole, and its event loops. They share nothing that is written while they run, but: sums of
 * all, as of memory (atomic), the loopback pairs that wait (under a lock), and what is in the kernel.
 */
#ifndef HOOKER_RELAY_LOOP_H
#define HOOKER_RELAY_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "hooker/relay/relay.h"

struct carrier;
struct conn;
struct event;
struct icmp;
struct links;
struct look_bpf;
struct pair_maker;
struct pairs;
struct path;
struct redirect;
struct ring_buffer;
struct workers;

struct loop_stats {
	uint64_t rounds; /* of events */
	uint64_t connections, refused, failed, foreign, unknown, injected, delivered_bytes,
		taken_bytes, bounced, retries, kicks, completed, dropped_for_memory, icmp_errors;
	uint64_t fallbacks[HK_REASON_MAX]; /* connections that moved to a link, by why */
	uint64_t stall_max_ns;		   /* longest time without an answer before one did */
};

/* The link-layer address of an interface, for a while. */
struct relay_address {
	uint32_t ifindex; /* 0 = of none */
	uint8_t mac[6];
	uint64_t until; /* ns */
};

/*
 * One event loop: a thread with connections, carriers and links of its own. All connections with one remote host are in
 * one loop (loop_of()), so what is known about that host and travels to it concerns no other.
 */
struct loop {
	struct hk_relay *relay;
	unsigned int index; /* 0: the daemon's main thread */
	/* Of the whole relay, and constant while loops run: */
	struct hk_attach *attach;
	struct hk_relay_options options;
	uint64_t *bounds;      /* hk_bounds; NULL: writers cannot be braked */
	struct look_bpf *look; /* NULL: this kernel can't tell what an application has not read */
	struct pairs *pairs;   /* locks itself */
	/* Its own: */
	struct event_base *base;
	struct carrier *udp, *udplite; /* udplite: NULL where it is not deployed */
	struct links *links;
	struct icmp *icmp;
	struct redirect *redirect;
	struct pair_maker *maker;
	struct relay_address address;
	bool lite_left; /* UDP-Lite is deployed no longer */
	bool full;
	struct event *pressure, *memory_tick;
	struct ring_buffer *events;
	struct event *events_ready;
	struct conn *conns;
	struct path *paths;
	struct event *paths_tick;
	struct conn *dirty;
	struct loop_stats stats;
};

struct hk_relay {
	struct hk_attach *attach;
	struct hk_relay_options options;
	uint64_t *bounds;
	struct look_bpf *look;
	struct pairs *pairs;
	struct workers *workers;
	/* Atomic: */
	uint64_t memory, memory_peak; /* bytes of all connections */
	unsigned int open;	      /* connections */
	unsigned int polling;	      /* loops that do, see spin.c */
	unsigned int loop_count;
	struct loop *loops[HK_LOOPS_MAX];
};

uint64_t relay_now(void); /* CLOCK_MONOTONIC, ns */

/* ---- loop.c ---- */

/* Which of @count loops has the connections with @remote_ip4, as the BPF programs choose (hk_loop_of()). */
unsigned int loop_of(uint32_t remote_ip4, unsigned int count);
/* @base: served by the caller; NULL: by a thread of its own, see workers.c. Returns 0 or -errno. */
int loop_open(struct loop **out, struct hk_relay *relay, unsigned int index,
	      struct event_base *base);
void loop_close(struct loop *loop);
/* Handles pending BPF events; call before concluding that a connection is unknown. */
void loop_consume_events(struct loop *loop);
/* Does what every touched connection now needs: send, deliver, finish, re-arm. Ends each callback. */
void loop_settle(struct loop *loop);
/*
 * Binds @fd to @port (host byte order), which every loop has, in order of index. Returns 0 or -errno; -EADDRINUSE: somebody
 * else has it.
 */
int loop_bind(const struct loop *loop, int fd, uint16_t port);
/* What a remote host sends there is for the socket of the loop that loop_of() gives it. Call once @fd receives. */
int loop_share(const struct loop *loop, int fd);

/* ---- workers.c: a thread for each loop but the first ---- */

/* Sets *@out even if it fails. Returns 0 or -errno. */
int workers_open(struct workers **out, struct hk_relay *relay);
/* Ends the threads; their loops stay. */
void workers_close(struct workers *workers);
/* No loop but the caller's, 0, runs between these two: the caller may read and change all of them. They nest. */
void workers_pause(struct workers *workers);
void workers_resume(struct workers *workers);
/* Tells the daemon's main thread, whose loop may be another one, of a fall-back. */
void workers_fell_back(struct loop *loop, const struct sock_key *key, int reason);

/* ---- spin.c: a loop while it runs ---- */

/*
 * Serves @loop until event_base_loopbreak(), polling instead of sleeping while small messages go to and fro. What an answer
 * waits for then is to be woken, three times each way, and a processor that has gone idle meanwhile: 20 us each in a virtual
 * machine. loop->options.busy_poll_us says how long; it needs more than one processor.
 */
void spin_loop(struct loop *loop);

#endif
