// SPDX-License-Identifier: GPL-2.0
/* hooker flows: every connection, once or again and again. */
#include "hooker/command.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/control.h"
#include "hooker/log.h"

enum { OPT_TRANSPORT = 256, OPT_REASON, OPT_SORT };

static const struct argp_option flows_options[] = {
	{ "watch", 'w', "SECONDS", OPTION_ARG_OPTIONAL,
	  "Again and again, until interrupted (default: every second)", 0 },
	{ "transport", OPT_TRANSPORT, "tcp|udp|udplite", 0, "Only connections that travel so", 0 },
	{ "reason", OPT_REASON, "WORD", 0, "Only connections that travel so for this reason", 0 },
	{ "sort", OPT_SORT, "COLUMN", 0,
	  "age (default: the newest first), process, rtt, goodput, bytes or retrans, the largest "
	  "first",
	  0 },
	{ 0 },
};

struct flows_arguments {
	double watch; /* seconds, 0 = once */
	const char *transport, *reason, *sort;
	const char *address;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct flows_arguments *args = state->input;
	char *end;

	switch (key) {
	case 'w':
		args->watch = arg ? strtod(arg, &end) : 1;
		if (arg && (*end || !(args->watch >= 0.1 && args->watch <= 3600)))
			argp_error(state, "--watch is a number of seconds, 0.1 to 3600, not '%s'",
				   arg);
		break;
	case OPT_TRANSPORT: args->transport = arg; break;
	case OPT_REASON: args->reason = arg; break;
	case OPT_SORT: args->sort = arg; break;
	case ARGP_KEY_ARG:
		if (args->address)
			argp_error(state, "one address at a time, not also '%s'", arg);
		args->address = arg;
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp cmd_flows_argp = {
	.options = flows_options,
	.parser = parse,
	.args_doc = "[ADDRESS[/LENGTH][:PORT]]",
	.doc = "Shows each connection, its transport, and the reason for it; with an address, those "
	       "with that remote end.",
};

static void print_flow(const json_t *flow)
{
	char local[64], remote[64], rtt[32] = "-";

	snprintf(local, sizeof(local), "%s:%lld", hk_text(flow, "local_address"),
		 hk_number(flow, "local_port"));
	snprintf(remote, sizeof(remote), "%s:%lld", hk_text(flow, "remote_address"),
		 hk_number(flow, "remote_port"));
	if (hk_real(flow, "rtt_ms") > 0)
		snprintf(rtt, sizeof(rtt), "%.1f", hk_real(flow, "rtt_ms"));
	printf("%-24s %-24s %-9s %-8s %-8s %-20s %8s %12lld %12lld\n", local, remote,
	       hk_text(flow, "transport"), hk_text(flow, "datapath"), hk_text(flow, "state"),
	       hk_text(flow, "reason"), rtt, hk_number(flow, "tx_bytes"),
	       hk_number(flow, "rx_bytes"));
}

int cmd_flows(int argc, char **argv)
{
	struct flows_arguments args = { 0 };
	const json_t *flow;
	json_t *reply;
	size_t i;

	hk_parse(argc, argv, 0, &args);
	if (hk_control_call(json_pack("{s:s}", "command", "flows"), &reply))
		return HK_EXIT_FAILURE;
	if (hk_json())
		return hk_print_json(reply);
	printf("%-24s %-24s %-9s %-8s %-8s %-20s %8s %12s %12s\n", "LOCAL", "REMOTE", "TRANSPORT",
	       "DATAPATH", "STATE", "REASON", "RTT ms", "TX bytes", "RX bytes");
	json_array_foreach(json_object_get(reply, "flows"), i, flow)
		print_flow(flow);
	json_decref(reply);
	return HK_EXIT_OK;
}
