// SPDX-License-Identifier: GPL-2.0
#include "hooker/daemon/metrics.h"

#include <stdio.h>

#include "hooker/base/json.h"
#include "hooker/daemon/internal.h"
#include "hooker/base/names.h"
#include "hooker/relay/relay.h"
#include "hooker/transport/transport.h"

/* HELP and TYPE: the format wants them once, before the samples of that name. */
static void family(FILE *to, const char *name, const char *type, const char *help)
{
	fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* One sample for each member of @object, the member's name as the value of @label. */
static void labelled(FILE *to, const char *name, const char *label, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		fprintf(to, "%s{%s=\"%s\"} %lld\n", name, label, key, json_integer_value(value));
	}
	json_decref(object);
}

static void write_flows(FILE *to, const struct daemon *daemon)
{
	json_t *summary = flow_summary_json(daemon);

	family(to, "hooker_flows", "gauge", "Open connections by what they travel on.");
	labelled(to, "hooker_flows", "transport",
		 json_incref(json_object_get(summary, "by_transport")));
	json_decref(summary);
}

static void write_connections(FILE *to, const struct daemon *daemon, json_t *counters)
{
	family(to, "hooker_connections_redirected_total", "counter",
	       "Connections both ends agreed to redirect.");
	fprintf(to, "hooker_connections_redirected_total %lld\n",
		hk_number(counters, "established"));
	family(to, "hooker_connections_plain_total", "counter",
	       "Connections left on TCP from the beginning, by reason.");
	labelled(to, "hooker_connections_plain_total", "reason", reasons_json(daemon, false));
	family(to, "hooker_fallbacks_total", "counter",
	       "Redirected connections that went back to TCP, by reason.");
	labelled(to, "hooker_fallbacks_total", "reason", reasons_json(daemon, true));
	family(to, "hooker_events_total", "counter",
	       "What the programs in the kernel counted; `hooker stats` has the same words.");
	labelled(to, "hooker_events_total", "event", json_incref(counters));
}

static void write_relay(FILE *to, const struct daemon *daemon)
{
	static const struct {
		const char *member, *name, *type, *help;
	} samples[] = {
		{ "open", "hooker_relay_connections", "gauge", "Connections being relayed." },
		{ "failed", "hooker_relay_failed_total", "counter",
		  "Relayed connections that ended with an error." },
		{ "taken_bytes", "hooker_relay_taken_bytes_total", "counter",
		  "Payload taken from applications." },
		{ "delivered_bytes", "hooker_relay_delivered_bytes_total", "counter",
		  "Payload delivered to applications." },
		{ "memory_bytes", "hooker_relay_memory_bytes", "gauge",
		  "What all relayed connections hold." },
		{ "memory_limit_bytes", "hooker_relay_memory_limit_bytes", "gauge",
		  "What they may hold; beyond it new connections stay on TCP." },
	};
	json_t *stats;
	size_t i;

	if (!daemon->relay)
		return;
	stats = hk_relay_stats_json(daemon->relay);
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		family(to, samples[i].name, samples[i].type, samples[i].help);
		fprintf(to, "%s %lld\n", samples[i].name, hk_number(stats, samples[i].member));
	}
	json_decref(stats);
}

static void write_steps(FILE *to, const char *transport, const json_t *status)
{
	const json_t *step;
	size_t i;

	family(to, "hooker_transport_step_packets_total", "counter",
	       "Packets a step of a deployed transport handed on.");
	json_array_foreach(json_object_get(status, "steps"), i, step)
		fprintf(to,
			"hooker_transport_step_packets_total{transport=\"%s\",step=\"%s\"} %lld\n",
			transport, hk_text(step, "name"), hk_number(step, "packets"));
}

char *hk_metrics_text(const struct daemon *daemon)
{
	const struct hk_options *options = daemon->attach->options;
	json_t *counters = counters_json(daemon), *status;
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to) {
		json_decref(counters);
		return NULL;
	}
	family(to, "hooker_info", "gauge", "Always 1; what runs.");
	fprintf(to, "hooker_info{version=\"%s\",datapath=\"%s\",transport=\"%s\"} 1\n",
		HOOKER_VERSION, hk_datapath_name(options->datapath),
		hk_transport_name(options->transport));
	family(to, "hooker_start_time_seconds", "gauge", "When Hooker started, in Unix time.");
	fprintf(to, "hooker_start_time_seconds %lld\n", (long long)daemon->since);
	write_flows(to, daemon);
	write_connections(to, daemon, counters);
	write_relay(to, daemon);
	if (daemon->attach->udplite) {
		status = hk_deployment_status(daemon->attach->udplite);
		write_steps(to, "udplite", status);
		json_decref(status);
	}
	json_decref(counters);
	fclose(to);
	return text;
}
