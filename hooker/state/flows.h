/* SPDX-License-Identifier: GPL-2.0 */
/* The flow table hk_flows, read from userspace. */
#ifndef HOOKER_FLOWS_H
#define HOOKER_FLOWS_H

#include <stdbool.h>
#include <jansson.h>

#include "bpf/abi.h"

/* Calls @visit for every flow until it returns other than 0. Returns that, 0, or -errno. */
int hk_flows_each(int map_fd,
		  int (*visit)(void *arg, const struct hk_flow_key *key,
			       const struct hk_flow *flow),
		  void *arg);

/* Fills @out if the flow is IPv4; returns whether it is. */
bool hk_flow_key_to_sock(const struct hk_flow_key *key, struct sock_key *out);

/* What the flow travels on now: the kernel datapath begins in TCP, until it has heard the peer. */
enum hk_transport hk_flow_transport(const struct hk_flow *flow);

/* A new JSON object that describes one flow; see `hooker flows --help`. */
json_t *hk_flow_json(const struct hk_flow_key *key, const struct hk_flow *flow);

/* One event of `hooker events`. */
json_t *hk_note_json(const struct hk_note *note);

#endif
