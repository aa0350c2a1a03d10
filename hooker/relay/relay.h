/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hooker userspace of the relay datapath: takes what applications send off the redirection socket,
 * carries it to the peer daemon in datagrams (hooker/rdt/), hands what arrives to the applications.
 * An event loop a processor: the first is the caller's, each other one has a thread of its own. All that
 * is declared here is for the caller's thread alone.
 */
#ifndef HOOKER_RELAY_H
#define HOOKER_RELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "bpf/abi.h"

struct event_base;
struct hk_attach;
struct hk_relay;

struct hk_relay_options {
	uint32_t max_datagram;	    /* UDP payload that fits the path MTU: 1472 for IPv4 and 1500 */
	uint32_t connection_memory; /* bytes one connection may hold: HK_CONNECTION_MEMORY_MIN to _MAX */
	uint64_t memory;	    /* bytes all connections may hold */
	bool paper;		    /* as published: each byte is sent once; no fallback */
	unsigned int busy_poll_us; /* before a loop sleeps, while messages are small; 0 = not */
	/* A connection goes on over TCP, for enum hk_reason; in the caller's thread. NULL = nobody wants to know. */
	void (*on_fallback)(void *arg, const struct sock_key *key, int reason);
	void *arg;
};

/* Half of it must hold the credit each connection starts with, and a half is a buffer of the transport's: 1 GiB at most. */
#define HK_CONNECTION_MEMORY_MIN     (4u << 20)
#define HK_CONNECTION_MEMORY_MAX     (2u << 30)
#define HK_CONNECTION_MEMORY_DEFAULT (16u << 20)

void hk_relay_options_default(struct hk_relay_options *options);

/**
 * Opens the redirection sockets and the transport sockets, and serves them in attach->loops event loops, of which the
 * first is @base. @attach must have the relay loaded; call before hk_attach_start(). Reports errors by hk_error().
 * Returns 0 or -errno.
 */
int hk_relay_open(struct hk_relay **out, struct hk_attach *attach, struct event_base *base,
		  const struct hk_relay_options *options);

/* Serves @base until event_base_loopbreak(). */
void hk_relay_serve(struct hk_relay *relay);

/*
 * Stops the other loops from here to hk_relay_resume(). What is declared below does so itself; who calls it for each of many
 * connections had better do it once. They nest.
 */
void hk_relay_pause(struct hk_relay *relay);
void hk_relay_resume(struct hk_relay *relay);

/* Resets every live connection at both ends; the applications see ECONNRESET, never a silent hole. */
void hk_relay_abort_all(struct hk_relay *relay);

/* UDP-Lite is about to be undeployed: its connections go on in UDP, and their peers follow. */
void hk_relay_leave_udplite(struct hk_relay *relay);

/*
 * What carries connection @key now and why, where that is not what was agreed on: it has moved to a
 * link (TCP) or to UDP. False: as agreed, or not the relay's. @local_isn in host byte order.
 */
bool hk_relay_flow_moved(struct hk_relay *relay, const struct sock_key *key, uint32_t local_isn,
			 enum hk_transport *transport, enum hk_reason *reason);

/*
 * What the relay knows of connection @key beyond its hk_flow: bytes, RTT, window. A new object or
 * NULL. @local_isn in host byte order.
 */
json_t *hk_relay_flow_json(struct hk_relay *relay, const struct sock_key *key, uint32_t local_isn);

/* Counters of the whole relay, a new object. */
json_t *hk_relay_stats_json(struct hk_relay *relay);

/* Frees everything; connections that are still there are forgotten, not reset. NULL is fine. */
void hk_relay_close(struct hk_relay *relay);

#endif
