// SPDX-License-Identifier: GPL-2.0
/* Commands that ask the daemon and print its answer: as a table for people, or as it is (--json). */
#include "hooker/command.h"

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "hooker/control.h"
#include "hooker/log.h"

static const struct argp_option show_options[] = {
	{ "json", 'j', NULL, 0, "Print JSON", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	bool *json = state->input;

	(void)arg;
	if (key != 'j')
		return ARGP_ERR_UNKNOWN;
	*json = true;
	return 0;
}

/* Parses --json, asks for @command. Returns the reply or NULL. */
static json_t *ask(const char *command, const char *doc, int argc, char **argv, bool *json)
{
	struct argp argp = { .options = show_options, .parser = parse, .doc = doc };
	json_t *reply;

	argp_err_exit_status = HK_EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, json);
	hk_log_setup(HK_LOG_INFO);
	hk_control_call(json_pack("{s:s}", "command", command), &reply);
	return reply;
}

static int print_json(json_t *reply)
{
	json_dumpf(reply, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(reply);
	return HK_EXIT_OK;
}

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "-";
}

static long long number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void print_flow(const json_t *flow)
{
	char local[64], remote[64], rtt[32] = "-";
	const json_t *ms = json_object_get(flow, "rtt_ms");

	snprintf(local, sizeof(local), "%s:%lld", text(flow, "local_address"),
		 number(flow, "local_port"));
	snprintf(remote, sizeof(remote), "%s:%lld", text(flow, "remote_address"),
		 number(flow, "remote_port"));
	if (ms && json_real_value(ms) > 0)
		snprintf(rtt, sizeof(rtt), "%.1f", json_real_value(ms));
	printf("%-24s %-24s %-9s %-8s %-8s %-20s %8s %12lld %12lld\n", local, remote,
	       text(flow, "transport"), text(flow, "datapath"), text(flow, "state"),
	       text(flow, "reason"), rtt, number(flow, "tx_bytes"), number(flow, "rx_bytes"));
}

int cmd_flows(int argc, char **argv)
{
	const json_t *flow;
	bool json = false;
	json_t *reply;
	size_t i;

	argv[0] = "hooker flows";
	reply = ask("flows", "Shows each connection, its transport, and the reason for it.", argc,
		    argv, &json);
	if (!reply)
		return HK_EXIT_FAILURE;
	if (json)
		return print_json(reply);
	printf("%-24s %-24s %-9s %-8s %-8s %-20s %8s %12s %12s\n", "LOCAL", "REMOTE", "TRANSPORT",
	       "DATAPATH", "STATE", "REASON", "RTT ms", "TX bytes", "RX bytes");
	json_array_foreach(json_object_get(reply, "flows"), i, flow)
		print_flow(flow);
	json_decref(reply);
	return HK_EXIT_OK;
}

static void print_tree(const json_t *object, const char *prefix)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value) {
		char name[128];

		snprintf(name, sizeof(name), "%s%s", prefix, key);
		if (json_is_object(value)) {
			strcat(name, ".");
			print_tree(value, name);
		} else if (json_is_string(value)) {
			printf("%-40s %s\n", name, json_string_value(value));
		} else {
			printf("%-40s %lld\n", name,
			       json_is_boolean(value) ? (long long)json_is_true(value) :
							json_integer_value(value));
		}
	}
}

int cmd_stats(int argc, char **argv)
{
	bool json = false;
	json_t *reply;

	argv[0] = "hooker stats";
	reply = ask("stats", "Shows counters: packets, messages and connections by reason.", argc,
		    argv, &json);
	if (!reply)
		return HK_EXIT_FAILURE;
	if (json)
		return print_json(reply);
	print_tree(reply, "");
	json_decref(reply);
	return HK_EXIT_OK;
}
