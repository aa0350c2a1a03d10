// SPDX-License-Identifier: GPL-2.0
#include "hooker/command.h"

#include <argp.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/daemon.h"
#include "hooker/kernel/segmenter.h"
#include "hooker/log.h"
#include "hooker/relay/relay.h"
#include "hooker/rules/rules.h"

enum {
	OPT_XDP = 256,
	OPT_RULES,
	OPT_REMEMBER,
	OPT_DAMAGE,
	OPT_COVERAGE,
	OPT_PAPER,
	OPT_CONNECTION_MEMORY,
	OPT_MEMORY
};

struct run_arguments {
	struct hk_options options;
	enum hk_log_level log_level;
};

static const struct argp_option run_options[] = {
	{ "interface", 'i', "NAME", 0,
	  "Network interface to receive on, repeatable (default: every one that is up, but lo)",
	  0 },
	{ "datapath", 'd', "relay|kernel|none", 0,
	  "How payload travels inside this host (default: relay; none: attached, nothing redirected)",
	  0 },
	{ "transport", 't', "udp|udplite", 0, "What new connections use on the wire (default: udp)",
	  0 },
	{ "coverage", OPT_COVERAGE, "BYTES", 0,
	  "UDP-Lite checksum coverage, 0 or 8-65535 (default: 0, the whole datagram)", 0 },
	{ "rules", OPT_RULES, "FILE", 0,
	  "Which transport for which connection; `hooker rules --help` says how they are written",
	  0 },
	{ "remember", OPT_REMEMBER, "SECONDS", 0,
	  "kernel: leave a path alone that refused the transport (default: 60; 0: always try)", 0 },
	{ "accept-damage", OPT_DAMAGE, NULL, 0,
	  "kernel, UDP-Lite: hand over payload damaged outside the checksum coverage", 0 },
	{ "cgroup", 'c', "PATH", 0,
	  "cgroup v2 whose processes are redirected (default: the root, every process)", 0 },
	{ "xdp-mode", OPT_XDP, "auto|native|generic", 0, "How to attach XDP (default: auto)", 0 },
	{ "connection-memory", OPT_CONNECTION_MEMORY, "BYTES", 0,
	  "Relay: what one connection may hold, at least 4M; K, M and G are understood (default: 10M)",
	  0 },
	{ "memory", OPT_MEMORY, "BYTES", 0,
	  "Relay: what all connections may hold; beyond it new ones stay plain TCP (default: a "
	  "quarter of the RAM)",
	  0 },
	{ "paper", OPT_PAPER, NULL, 0,
	  "The relay's path inside the host as published: one redirection socket for all and no bound on "
	  "what applications send ahead. For comparison only",
	  0 },
	{ "verbose", 'v', NULL, 0, "Say more", 0 },
	{ "quiet", 'q', NULL, 0, "Only errors", 0 },
	{ 0 },
};

static int choose(const char *arg, const char *const *words, const int *values, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (!strcmp(arg, words[i]))
			return values[i];
	return -1;
}

static int parse_datapath(const char *arg)
{
	static const char *const words[] = { "none", "relay", "kernel" };
	static const int values[] = { HK_DATAPATH_NONE, HK_DATAPATH_RELAY, HK_DATAPATH_KERNEL };

	return choose(arg, words, values, 3);
}

static int parse_transport(const char *arg)
{
	static const char *const words[] = { "udp", "udplite" };
	static const int values[] = { HK_TRANSPORT_UDP, HK_TRANSPORT_UDPLITE };

	return choose(arg, words, values, 2);
}

static int parse_xdp_mode(const char *arg)
{
	static const char *const words[] = { "auto", "native", "generic" };
	static const int values[] = { HK_XDP_AUTO, HK_XDP_NATIVE, HK_XDP_GENERIC };

	return choose(arg, words, values, 3);
}

/* RFC 3828: 0 covers everything, 1 to 7 would not even cover the header. */
static int parse_coverage(const char *arg)
{
	char *end;
	long value = strtol(arg, &end, 10);

	if (!*arg || *end || value < 0 || value > 65535 || (value > 0 && value < 8))
		return -1;
	return value;
}

static int parse_seconds(const char *arg)
{
	char *end;
	long value = strtol(arg, &end, 10);

	return !*arg || *end || value < 0 || value > 86400 ? -1 : value;
}

/* "64M" and the like; 0 if it is none. */
static uint64_t parse_size(const char *arg)
{
	char *end;
	double value = strtod(arg, &end);
	int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

	if (end == arg || (*end && (!shift || end[1])) || !(value >= 1) || value > 1e12)
		return 0;
	return value * (1ull << shift);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct run_arguments *args = state->input;
	struct hk_options *options = &args->options;
	uint64_t size;
	int value = 0;

	switch (key) {
	case 'i':
		if (options->interface_count == HK_INTERFACES_MAX)
			argp_error(state, "more than %d interfaces", HK_INTERFACES_MAX);
		options->interfaces[options->interface_count++] = arg;
		break;
	case 'd': options->datapath = value = parse_datapath(arg); break;
	case 't': options->transport = value = parse_transport(arg); break;
	case OPT_XDP: options->xdp_mode = value = parse_xdp_mode(arg); break;
	case OPT_COVERAGE: options->coverage = value = parse_coverage(arg); break;
	case OPT_RULES: options->rules_name = arg; break;
	case OPT_REMEMBER: options->path_ttl_s = value = parse_seconds(arg); break;
	case OPT_DAMAGE: options->damage = true; break;
	case 'c': options->cgroup = arg; break;
	case OPT_PAPER: options->paper = true; break;
	case OPT_CONNECTION_MEMORY:
		size = parse_size(arg);
		value = size < HK_CONNECTION_MEMORY_MIN || size > UINT32_MAX ? -1 : 0;
		options->connection_memory = size;
		break;
	case OPT_MEMORY:
		options->memory = parse_size(arg);
		value = options->memory < HK_CONNECTION_MEMORY_MIN ? -1 : 0;
		break;
	case 'v': args->log_level = HK_LOG_DEBUG; break;
	case 'q': args->log_level = HK_LOG_ERROR; break;
	default: return ARGP_ERR_UNKNOWN;
	}
	if (value < 0)
		argp_error(state, "'%s' is not a value of this option; see --help", arg);
	return 0;
}

/* Every interface but loopback; their names stay allocated for the life of the process. */
static int default_interfaces(struct hk_options *options)
{
	struct if_nameindex *list = if_nameindex(), *each;

	for (each = list; each && each->if_index; each++)
		if (strcmp(each->if_name, "lo") && !hk_is_segmenter(each->if_name) &&
		    options->interface_count < HK_INTERFACES_MAX)
			options->interfaces[options->interface_count++] = each->if_name;
	if (options->interface_count)
		return 0;
	hk_error("no network interface here besides lo; name one with --interface");
	return -ENODEV;
}

/* Reads and checks the rules before anything is attached. */
static int read_rules(struct hk_options *options)
{
	struct hk_rules rules;
	char error[256];
	int err;

	options->rules_text = hk_rules_read(options->rules_name);
	if (!options->rules_text)
		return HK_EXIT_FAILURE;
	err = hk_rules_parse(&rules, options->rules_text, options->rules_name, options->datapath,
			     error, sizeof(error));
	if (err) {
		hk_error("%s", error);
		return HK_EXIT_USAGE;
	}
	options->damage_rules = hk_rules_want_damage(&rules);
	hk_rules_free(&rules);
	return HK_EXIT_OK;
}

int cmd_run(int argc, char **argv)
{
	static const struct argp argp = {
		run_options,
		parse,
		NULL,
		"Redirects the TCP connections of this host to another transport, as long as it runs."
		"\vPrints `ready` when attached. SIGINT or SIGTERM detaches. Example:\n"
		"  hooker run --interface eth0 --transport udp",
		NULL,
		NULL,
		NULL,
	};
	struct run_arguments args = {
		.options =
			{
				.datapath = HK_DATAPATH_RELAY,
				.transport = HK_TRANSPORT_UDP,
				.path_ttl_s = 60,
			},
		.log_level = HK_LOG_INFO,
	};
	int err;

	argp_err_exit_status = HK_EXIT_USAGE;
	argv[0] = "hooker run";
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	hk_log_setup(args.log_level);
	if (!args.options.interface_count) {
		err = default_interfaces(&args.options);
		if (err)
			return hk_exit_code(err);
	}
	if (args.options.rules_name) {
		err = read_rules(&args.options);
		if (err)
			return err;
	}
	return hk_exit_code(hk_daemon_run(&args.options));
}
