// SPDX-License-Identifier: GPL-2.0
#include "hooker/flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>

#include "hooker/names.h"

#define BATCH 256

int hk_flows_each(int map_fd,
		  int (*visit)(void *arg, const struct hk_flow_key *key,
			       const struct hk_flow *flow),
		  void *arg)
{
	struct hk_flow_key *keys = calloc(BATCH, sizeof(*keys)), next;
	struct hk_flow flow;
	bool more = true;
	int count, i, ret = 0;

	if (!keys)
		return -ENOMEM;
	more = !bpf_map_get_next_key(map_fd, NULL, &next);
	while (more && !ret) {
		/* Keys first: a visitor may delete the flow it is shown. */
		for (count = 0; more && count < BATCH; count++) {
			keys[count] = next;
			more = !bpf_map_get_next_key(map_fd, &keys[count], &next);
		}
		for (i = 0; i < count && !ret; i++)
			if (!bpf_map_lookup_elem(map_fd, &keys[i], &flow))
				ret = visit(arg, &keys[i], &flow);
	}
	free(keys);
	return ret;
}

bool hk_flow_key_to_sock(const struct hk_flow_key *key, struct sock_key *out)
{
	if (key->local_ip[0] || key->local_ip[1] || key->local_ip[2] != htonl(0xffff))
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

	if (!ip[0] && !ip[1] && ip[2] == htonl(0xffff))
		inet_ntop(AF_INET, &ip[3], text, sizeof(text));
	else
		inet_ntop(AF_INET6, ip, text, sizeof(text));
	return json_string(text);
}

json_t *hk_flow_json(const struct hk_flow_key *key, const struct hk_flow *flow)
{
	/* The kernel datapath stays in TCP until it has heard the peer on the transport. */
	bool kernel = flow->datapath == HK_DATAPATH_KERNEL;
	int transport = kernel && !flow->rx_packets ? HK_TRANSPORT_TCP : flow->transport;
	struct timespec now;
	json_t *object;

	clock_gettime(CLOCK_MONOTONIC, &now);
	object = json_pack("{s:o, s:i, s:o, s:i, s:s, s:s, s:s, s:s, s:i, s:b, s:f, s:I, s:I}",
			   "local_address", address_json(key->local_ip), "local_port",
			   key->local_port, "remote_address", address_json(key->remote_ip),
			   "remote_port", key->remote_port, "state",
			   hk_flow_state_name(flow->state), "datapath",
			   hk_datapath_name(flow->datapath), "transport",
			   hk_transport_name(transport), "reason", hk_reason_name(flow->reason),
			   "coverage", flow->coverage, "client", !!(flow->flags & HK_FLOW_CLIENT),
			   "age_s", now.tv_sec + now.tv_nsec / 1e9 - flow->since_ns / 1e9, "cookie",
			   (json_int_t)flow->cookie, "tx_bytes", (json_int_t)flow->tx_bytes);
	if (object && kernel) {
		json_object_set_new(object, "tx_packets", json_integer(flow->tx_packets));
		json_object_set_new(object, "rx_packets", json_integer(flow->rx_packets));
		json_object_set_new(object, "timeouts", json_integer(flow->rtos));
	}
	return object;
}
