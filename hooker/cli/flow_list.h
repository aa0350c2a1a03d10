/* SPDX-License-Identifier: GPL-2.0 */
/* The daemon's flows together with what the kernel knows of their sockets: rows of `hooker flows`. */
#ifndef HOOKER_FLOW_LIST_H
#define HOOKER_FLOW_LIST_H

#include <stdbool.h>
#include <jansson.h>

struct hk_flow_filter {
	const char *transport, *reason; /* NULL = any */
	unsigned char address[16];	/* of the remote end, IPv4 as ::ffff:a.b.c.d */
	int prefix;			/* bits of it that must match; 0 = any */
	int port;			/* 0 = any */
};

/* "ADDRESS[/LENGTH][:PORT]", an IPv6 address in brackets if a port follows. Returns 0 or -EINVAL. */
int hk_flow_filter_address(struct hk_flow_filter *filter, const char *text);

bool hk_flow_filter_match(const struct hk_flow_filter *filter, const json_t *flow);

/* Can rows be sorted by @column? */
bool hk_flow_column(const char *column);

/* Adds process, RTT, bytes and retransmissions to @flows, as far as they are not the relay's own. */
void hk_flows_add_sockets(json_t *flows);

/*
 * Adds goodput_bps, payload in both directions: since @before, the same list @seconds ago, or over the
 * connection's life where that does not have it or is NULL.
 */
void hk_flows_add_goodput(json_t *flows, const json_t *before, double seconds);

/* A new array of the flows that match, sorted by @column, the largest first. */
json_t *hk_flows_select(const json_t *flows, const struct hk_flow_filter *filter,
			const char *column);

#endif
