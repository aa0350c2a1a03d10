// SPDX-License-Identifier: GPL-2.0
/* hooker flows: every connection, once or again and again. */
#include "hooker/cli/command.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "hooker/state/control.h"
#include "hooker/cli/flow_list.h"
#include "hooker/base/log.h"

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
	struct hk_flow_filter filter;
	const char *sort;
	bool address;
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
	case OPT_TRANSPORT: args->filter.transport = arg; break;
	case OPT_REASON: args->filter.reason = arg; break;
	case OPT_SORT:
		if (!hk_flow_column(arg))
			argp_error(state, "no column '%s' to sort by; see --help", arg);
		args->sort = arg;
		break;
	case ARGP_KEY_ARG:
		if (args->address)
			argp_error(state, "one address at a time, not also '%s'", arg);
		if (hk_flow_filter_address(&args->filter, arg))
			argp_error(state, "'%s' is not ADDRESS[/LENGTH][:PORT]", arg);
		args->address = true;
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
	       "with that remote end."
	       "\vGoodput is payload in both directions: of the last interval with --watch, else over the "
	       "connection's life. Sent counts what has arrived.",
};

/* "12.3M": three digits say enough in a table. */
static const char *human(double value, char *text, size_t size)
{
	static const char units[] = " kMGTP";
	int unit = 0;

	while (value >= 999.5 && unit < 5) {
		value /= 1000;
		unit++;
	}
	if (!unit)
		snprintf(text, size, "%.0f", value);
	else
		snprintf(text, size, "%.*f%c", value < 9.95 ? 1 : 0, value, units[unit]);
	return text;
}

static const char row[] = "%-21s %-21s %-18s %-9s %-8s %-19s %8s %8s %7s %8s %7s\n";

static void print_flow(const json_t *flow)
{
	char local[64], remote[64], process[40] = "-", rtt[16] = "-", goodput[16], sent[16],
				    received[16], retrans[24] = "-", why[40];

	snprintf(local, sizeof(local), "%s:%lld", hk_text(flow, "local_address"),
		 hk_number(flow, "local_port"));
	snprintf(remote, sizeof(remote), "%s:%lld", hk_text(flow, "remote_address"),
		 hk_number(flow, "remote_port"));
	if (hk_number(flow, "pid"))
		snprintf(process, sizeof(process), "%lld/%s", hk_number(flow, "pid"),
			 hk_text(flow, "process"));
	if (hk_real(flow, "rtt_ms") > 0)
		snprintf(rtt, sizeof(rtt), "%.1f ms", hk_real(flow, "rtt_ms"));
	if (json_object_get(flow, "retransmissions"))
		snprintf(retrans, sizeof(retrans), "%lld", hk_number(flow, "retransmissions"));
	/* The kernel datapath keeps a connection as long as TIME_WAIT, to answer for it. */
	snprintf(why, sizeof(why), "%s%s", hk_text(flow, "reason"),
		 strcmp(hk_text(flow, "state"), "closing") ? "" : ", closing");
	printf(row, local, remote, process, hk_text(flow, "transport"), hk_text(flow, "datapath"),
	       why, rtt, human(hk_real(flow, "goodput_bps"), goodput, sizeof(goodput)),
	       human(hk_real(flow, "tx_bytes"), sent, sizeof(sent)),
	       human(hk_real(flow, "rx_bytes"), received, sizeof(received)), retrans);
}

/* @most: rows that fit, the rest is counted; 0 = all */
static void print_table(const json_t *flows, size_t most)
{
	const json_t *flow;
	size_t i;

	printf(row, "LOCAL", "REMOTE", "PROCESS", "TRANSPORT", "DATAPATH", "WHY", "RTT", "GOODPUT",
	       "SENT", "RECEIVED", "RETRANS");
	json_array_foreach(flows, i, flow) {
		if (most && i == most) {
			printf("... and %zu more\n", json_array_size(flows) - i);
			break;
		}
		print_flow(flow);
	}
}

/* A screen that is redrawn, or tables one below the other where stdout is no terminal. */
static void print_watched(const json_t *flows, double seconds)
{
	struct winsize window = { 0 };
	bool terminal = isatty(STDOUT_FILENO);
	time_t now = time(NULL);
	char clock[16];
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	if (terminal) {
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
		printf("\033[H\033[J");
	}
	printf("%s  %zu connections, every %g s\n", clock, json_array_size(flows), seconds);
	print_table(flows, window.ws_row > 5 ? window.ws_row - 4 : 0);
	if (!terminal)
		putchar('\n');
}

static int print_json_line(const json_t *flows)
{
	json_t *line = json_pack("{s:i, s:I, s:O}", "schema", 1, "time", (json_int_t)time(NULL),
				 "flows", flows);

	json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
	putchar('\n');
	json_decref(line);
	return 0;
}

/* All flows with everything that is known of them; NULL after saying why not. */
static json_t *read_flows(const json_t *before, double seconds)
{
	json_t *reply, *flows;

	if (hk_control_call(json_pack("{s:s}", "command", "flows"), &reply))
		return NULL;
	flows = json_incref(json_object_get(reply, "flows"));
	json_decref(reply);
	hk_flows_add_sockets(flows);
	hk_flows_add_goodput(flows, before, seconds);
	return flows;
}

static int watch(const struct flows_arguments *args)
{
	const struct timespec pause = { args->watch,
					(args->watch - (time_t)args->watch) * 1000000000 };
	json_t *before = NULL, *flows, *selected;

	while ((flows = read_flows(before, args->watch))) {
		json_decref(before);
		before = flows;
		selected = hk_flows_select(flows, &args->filter, args->sort);
		if (hk_json())
			print_json_line(selected);
		else
			print_watched(selected, args->watch);
		json_decref(selected);
		if (fflush(stdout))
			break;
		nanosleep(&pause, NULL);
	}
	json_decref(before);
	return HK_EXIT_FAILURE; /* the daemon or the reader has gone */
}

int cmd_flows(int argc, char **argv)
{
	struct flows_arguments args = { .sort = "age" };
	json_t *flows, *selected;

	hk_parse(argc, argv, 0, &args);
	if (args.watch)
		return watch(&args);
	flows = read_flows(NULL, 0);
	if (!flows)
		return HK_EXIT_FAILURE;
	selected = hk_flows_select(flows, &args.filter, args.sort);
	json_decref(flows);
	if (hk_json())
		return hk_print_json(json_pack("{s:i, s:o}", "schema", 1, "flows", selected));
	print_table(selected, 0);
	json_decref(selected);
	return HK_EXIT_OK;
}
