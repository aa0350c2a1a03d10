// SPDX-License-Identifier: GPL-2.0
/* What the daemon answers the CLI: one JSON object for each command. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/sockops.skel.h"
#include "hooker/base/exit.h"
#include "hooker/base/json.h"
#include "hooker/daemon/internal.h"
#include "hooker/daemon/metrics.h"
#include "hooker/state/flows.h"
#include "hooker/hooks/lite.h"
#include "hooker/base/measure.h"
#include "hooker/base/names.h"
#include "hooker/relay/relay.h"

/* ---- counters ---- */

/* The sum over all processors of entry @index of a per-CPU array; @values: room for one of each. */
static bool sum_cpus(int map_fd, __u32 index, __u64 *values, __u64 *sum)
{
	int cpus = libbpf_num_possible_cpus(), cpu;

	*sum = 0;
	if (bpf_map_lookup_elem(map_fd, &index, values))
		return false;
	for (cpu = 0; cpu < cpus; cpu++)
		*sum += values[cpu];
	return true;
}

static __u64 *new_values(void)
{
	int cpus = libbpf_num_possible_cpus();

	return calloc(cpus > 0 ? cpus : 1, sizeof(__u64));
}

json_t *counters_json(const struct daemon *daemon)
{
	int fd = bpf_map__fd(daemon->attach->sockops->maps.hk_count);
	json_t *counters = json_object();
	__u64 *values = new_values(), sum;
	__u32 i;

	for (i = 0; values && i < HK_COUNT_MAX; i++)
		if (hk_counter_name(i) && sum_cpus(fd, i, values, &sum))
			json_object_set_new(counters, hk_counter_name(i), json_integer(sum));
	free(values);
	return counters;
}

/* Relayed connections fall back in userspace. */
static void add_relay_fallbacks(const struct daemon *daemon, json_t *reasons)
{
	json_t *stats = hk_relay_stats_json(daemon->relay), *value;
	const char *reason;

	json_object_foreach(json_object_get(stats, "fallbacks"), reason, value) {
		if (strcmp(reason, "stall_max_ms"))
			json_object_set_new(reasons, reason,
					    json_integer(hk_number(reasons, reason) +
							 json_integer_value(value)));
	}
	json_decref(stats);
}

json_t *reasons_json(const struct daemon *daemon, bool fell_back)
{
	int fd = bpf_map__fd(daemon->attach->sockops->maps.hk_reasons);
	__u32 first = fell_back ? HK_REASONS_ROOM : 0, i;
	json_t *reasons = json_object();
	__u64 *values = new_values(), sum;

	for (i = 0; values && i < HK_REASON_MAX; i++)
		if (sum_cpus(fd, first + i, values, &sum) && sum)
			json_object_set_new(reasons, hk_reason_name(i), json_integer(sum));
	free(values);
	if (fell_back && daemon->relay)
		add_relay_fallbacks(daemon, reasons);
	return reasons;
}

/* ---- flows ---- */

/* The relay stands still meanwhile, which is asked about each. */
static void each_flow(const struct daemon *daemon,
		      int (*act)(void *, const struct hk_flow_key *, const struct hk_flow *),
		      void *arg)
{
	if (daemon->relay)
		hk_relay_pause(daemon->relay);
	hk_flows_each(bpf_map__fd(daemon->attach->sockops->maps.hk_flows), act, arg);
	if (daemon->relay)
		hk_relay_resume(daemon->relay);
}

struct flows_reply {
	const struct daemon *daemon;
	__u64 cookie; /* only this one; 0 = all */
	json_t *list;
};

static int add_flow(void *arg, const struct hk_flow_key *key, const struct hk_flow *flow)
{
	struct flows_reply *reply = arg;
	json_t *object, *more = NULL;
	struct sock_key sock;

	if (reply->cookie && flow->cookie != reply->cookie)
		return 0;
	object = hk_flow_json(key, flow);
	if (reply->daemon->relay && flow->state != HK_FLOW_TCP && hk_flow_key_to_sock(key, &sock))
		more = hk_relay_flow_json(reply->daemon->relay, &sock, flow->local_isn);
	if (more)
		json_object_update(object, more);
	json_decref(more);
	return json_array_append_new(reply->list, object);
}

static json_t *flows_reply(const struct daemon *daemon, const json_t *request)
{
	struct flows_reply reply = {
		.daemon = daemon,
		.cookie = json_integer_value(json_object_get(request, "cookie")),
		.list = json_array(),
	};

	each_flow(daemon, add_flow, &reply);
	return json_pack("{s:i, s:o}", "schema", 1, "flows", reply.list);
}

static void count_word(json_t *object, const char *word)
{
	json_object_set_new(object, word,
			    json_integer(json_integer_value(json_object_get(object, word)) + 1));
}

struct summary {
	struct hk_relay *relay;
	json_t *transports, *reasons;
	int total, closing;
};

static int add_to_summary(void *arg, const struct hk_flow_key *key, const struct hk_flow *flow)
{
	enum hk_transport transport = hk_flow_transport(flow);
	enum hk_reason reason = flow->reason;
	struct summary *summary = arg;
	struct sock_key sock;

	if (flow->state == HK_FLOW_CLOSING) {
		summary->closing++;
		return 0;
	}
	summary->total++;
	if (summary->relay && flow->state != HK_FLOW_TCP && hk_flow_key_to_sock(key, &sock))
		hk_relay_flow_moved(summary->relay, &sock, flow->local_isn, &transport, &reason);
	count_word(summary->transports, hk_transport_name(transport));
	count_word(summary->reasons, hk_reason_name(reason));
	return 0;
}

json_t *flow_summary_json(const struct daemon *daemon)
{
	struct summary summary = {
		.relay = daemon->relay,
		.transports = json_pack("{s:i, s:i, s:i}", "tcp", 0, "udp", 0, "udplite", 0),
		.reasons = json_object(),
	};

	each_flow(daemon, add_to_summary, &summary);
	return json_pack("{s:i, s:i, s:o, s:o}", "open", summary.total, "closing", summary.closing,
			 "by_transport", summary.transports, "by_reason", summary.reasons);
}

/* ---- the rest ---- */

static json_t *receive_json(const struct hk_attach *attach)
{
	json_t *object = json_object();
	int i;

	for (i = 0; i < attach->options->interface_count; i++)
		json_object_set_new(object, attach->options->interfaces[i],
				    json_string(hk_attach_receives(attach, i)));
	return object;
}

static json_t *stats_reply(const struct daemon *daemon)
{
	const struct hk_options *options = daemon->attach->options;
	json_t *reply = json_pack("{s:i, s:s, s:s, s:i, s:o, s:o, s:o}", "schema", 1, "datapath",
				  hk_datapath_name(options->datapath), "transport",
				  hk_transport_name(options->transport), "coverage",
				  options->coverage, "counters", counters_json(daemon), "plain",
				  reasons_json(daemon, false), "fallbacks",
				  reasons_json(daemon, true));

	json_object_set_new(reply, "receive", receive_json(daemon->attach));
	json_object_set_new(
		reply, "memory",
		json_pack("{s:I, s:I}", "flow_table_bytes",
			  hk_map_bytes(bpf_map__fd(daemon->attach->sockops->maps.hk_flows)),
			  "userspace_bytes", hk_resident_bytes()));
	if (daemon->relay)
		json_object_set_new(reply, "relay", hk_relay_stats_json(daemon->relay));
	return reply;
}

static json_t *rules_reply(struct daemon *daemon, const json_t *request)
{
	const char *text = json_string_value(json_object_get(request, "text"));
	const char *name = json_string_value(json_object_get(request, "name"));
	char error[256];

	if (text && use_rules(daemon, text, name ?: "rules", error, sizeof(error)))
		return json_pack("{s:s, s:i}", "error", error, "exit_code", HK_EXIT_USAGE);
	return json_pack("{s:i, s:s}", "schema", 1, "text", daemon->rules_text ?: "");
}

static json_t *metrics_reply(const struct daemon *daemon)
{
	char *text = hk_metrics_text(daemon);
	json_t *reply = json_pack("{s:i, s:s}", "schema", 1, "text", text ?: "");

	free(text);
	return reply;
}

static json_t *undeploy_reply(struct daemon *daemon, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "transport"));
	int err = name && !strcmp(name, hk_transport_name(HK_TRANSPORT_UDPLITE)) ?
			  hk_lite_undeploy(daemon->attach, daemon->relay) :
			  -ENOENT;

	if (!err)
		return json_pack("{s:i}", "schema", 1);
	return json_pack("{s:o}", "error",
			 json_sprintf("can't undeploy %s: %s", name ?: "(nothing)",
				      err == -ENOENT ? "it is not deployed here" : strerror(-err)));
}

json_t *answer_command(void *arg, const char *command, const json_t *request)
{
	struct daemon *daemon = arg;

	if (!strcmp(command, "status"))
		return status_json(daemon);
	if (!strcmp(command, "flows"))
		return flows_reply(daemon, request);
	if (!strcmp(command, "stats"))
		return stats_reply(daemon);
	if (!strcmp(command, "rules"))
		return rules_reply(daemon, request);
	if (!strcmp(command, "reload"))
		return reload(daemon);
	if (!strcmp(command, "metrics"))
		return metrics_reply(daemon);
	if (!strcmp(command, "transports"))
		return json_pack("{s:i, s:[o*]}", "schema", 1, "transports",
				 hk_lite_json(daemon->attach));
	if (!strcmp(command, "undeploy"))
		return undeploy_reply(daemon, request);
	if (!strcmp(command, "events"))
		return json_pack("{s:i}", "schema", 1);
	return json_pack("{s:o}", "error", json_sprintf("unknown command '%s'", command));
}
