// SPDX-License-Identifier: GPL-2.0
#include "hooker/state/flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>

#include "hooker/base/flow_key.h"
#include "hooker/base/names.h"

#define BATCH 256

struct batch {
	struct hk_flow_key keys[BATCH];
	struct hk_flow flows[BATCH];
};

/* In batches: a visitor may delete the flow it is shown, and 64 Ki flows take 300 calls, not 130 000. */
int hk_flows_each(int map_fd,
		  int (*visit)(void *arg, const struct hk_flow_key *key,
			       const struct hk_flow *flow),
		  void *arg)
{
	struct batch *batch = malloc(sizeof(*batch));
	void *from = NULL;
	__u32 next, count, i;
	int ret = batch ? 0 : -ENOMEM, last = 0;

	while (!ret && !last) {
		count = BATCH;
		last = bpf_map_lookup_batch(map_fd, from, &next, batch->keys, batch->flows, &count,
					    NULL);
		if (last && errno != ENOENT) /* ENOENT: these were the last ones */
			ret = -errno;
		for (i = 0; i < count && !ret; i++)
			ret = visit(arg, &batch->keys[i], &batch->flows[i]);
		from = &next;
	}
	free(batch);
	return ret;
}

bool hk_flow_key_to_sock(const struct hk_flow_key *key, struct sock_key *out)
{
	if (!hk_flow_ip4(key->local_ip))
		return false;
	out->src_ip4 = key->local_ip[3];
	out->dst_ip4 = key->remote_ip[3];
	out->src_port = key->local_port;
	out->dst_port = key->remote_port;
	return true;
}

static json_t *address_json(const __u32 ip[4])
{
	char text[INET6_ADDRSTRLEN];

	if (hk_flow_ip4(ip))
		inet_ntop(AF_INET, &ip[3], text, sizeof(text));
	else
		inet_ntop(AF_INET6, ip, text, sizeof(text));
	return json_string(text);
}

enum hk_transport hk_flow_transport(const struct hk_flow *flow)
{
	return flow->datapath == HK_DATAPATH_KERNEL && !flow->rx_packets ? HK_TRANSPORT_TCP :
									   flow->transport;
}

json_t *hk_flow_json(const struct hk_flow_key *key, const struct hk_flow *flow)
{
	bool kernel = flow->datapath == HK_DATAPATH_KERNEL;
	struct timespec now;
	json_t *object;

	clock_gettime(CLOCK_MONOTONIC, &now);
	object = json_pack("{s:o, s:i, s:o, s:i, s:s, s:s, s:s, s:s, s:i, s:b, s:f, s:I, s:I}",
			   "local_address", address_json(key->local_ip), "local_port",
			   key->local_port, "remote_address", address_json(key->remote_ip),
			   "remote_port", key->remote_port, "state",
			   hk_flow_state_name(flow->state), "datapath",
			   hk_datapath_name(flow->datapath), "transport",
			   hk_transport_name(hk_flow_transport(flow)), "reason",
			   hk_reason_name(flow->reason), "coverage", flow->coverage, "client",
			   !!(flow->flags & HK_FLOW_CLIENT), "age_s",
			   now.tv_sec + now.tv_nsec / 1e9 - flow->since_ns / 1e9, "cookie",
			   (json_int_t)flow->cookie, "tx_bytes", (json_int_t)flow->tx_bytes);
	if (object && kernel) {
		json_object_set_new(object, "tx_packets", json_integer(flow->tx_packets));
		json_object_set_new(object, "rx_packets", json_integer(flow->rx_packets));
		json_object_set_new(object, "timeouts", json_integer(flow->rtos));
	}
	return object;
}

/* CLOCK_MONOTONIC as Unix time. */
static double wall_time(__u64 at_ns)
{
	struct timespec wall, monotonic;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	return (double)(wall.tv_sec - monotonic.tv_sec) + (wall.tv_nsec - monotonic.tv_nsec) / 1e9 +
	       at_ns / 1e9;
}

json_t *hk_note_json(const struct hk_note *note)
{
	static const char *const words[] = {
		[HK_NOTE_ESTABLISHED] = "established",
		[HK_NOTE_FELL_BACK] = "fell-back",
		[HK_NOTE_ENDED] = "ended",
	};
	bool known = note->what < sizeof(words) / sizeof(words[0]) && words[note->what];

	return json_pack("{s:f, s:s, s:o, s:i, s:o, s:i, s:s, s:s, s:s, s:b, s:f, s:I, s:I}",
			 "time", wall_time(note->at_ns), "event", known ? words[note->what] : "?",
			 "local_address", address_json(note->key.local_ip), "local_port",
			 note->key.local_port, "remote_address", address_json(note->key.remote_ip),
			 "remote_port", note->key.remote_port, "datapath",
			 hk_datapath_name(note->datapath), "transport",
			 hk_transport_name(note->transport), "reason", hk_reason_name(note->reason),
			 "client", !!(note->flags & HK_FLOW_CLIENT), "age_s",
			 (note->at_ns - note->since_ns) / 1e9, "cookie", (json_int_t)note->cookie,
			 "tx_bytes", (json_int_t)note->tx_bytes);
}
