// SPDX-License-Identifier: GPL-2.0
#include "hooker/cli/deploy_args.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/wire.h"
#include "hooker/cli/command.h"

enum { OPT_MIN = 256, OPT_SOURCE, OPT_TIMING, OPT_SWAP, OPT_XDP, OPT_NO_CHECK6 };

static const struct argp_option options[] = {
	{ "interface", 'i', "IF", 0, "Attach to IF; may be repeated (default: all Ethernet ones)",
	  0 },
	{ "coverage", 'c', "N", 0, "Checksum coverage of sent datagrams; 0: all (default)", 0 },
	{ "min-coverage", OPT_MIN, "N", 0,
	  "Least coverage of received ones; 0: only fully covered (default: as --coverage). Bytes "
	  "outside it may be damaged",
	  0 },
	{ "port", 'p', "PORT[:N[:MIN]]", 0,
	  "UDP sockets bound to PORT speak the transport; may be repeated (default: 18507)", 0 },
	{ "no-check6", OPT_NO_CHECK6, NULL, 0,
	  "The sockets have UDP_NO_CHECK6_RX: deliver IPv6 without a UDP checksum", 0 },
	{ "from-source", OPT_SOURCE, NULL, 0,
	  "Compile with clang ($CLANG) now, instead of the built object", 0 },
	{ "swap", OPT_SWAP, "STEP[=OBJECT[:PROGRAM]]", 0,
	  "Replace a step of what is deployed, while traffic flows", 0 },
	{ "xdp", OPT_XDP, "MODE", 0, "auto, native or generic", 0 },
	{ "timing", OPT_TIMING, NULL, 0,
	  "Say what the verifier took; send one datagram, say when it had passed the chain", 0 },
	{ 0 },
};

static uint16_t parse_u16(const char *text, const char *what, struct argp_state *state)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || value > 0xffff)
		argp_error(state, "%s '%s' is not a number up to 65535", what, text);
	return value;
}

static uint16_t parse_coverage(const char *text, struct argp_state *state)
{
	uint16_t value = parse_u16(text, "coverage", state);

	if (value && value < 8)
		argp_error(state, "coverage %u: RFC 3828 has 0 (everything) or at least 8", value);
	return value;
}

static void parse_interface(struct hk_deploy_arguments *args, const char *name,
			    struct argp_state *state)
{
	int ifindex = if_nametoindex(name);

	if (!ifindex)
		argp_failure(state, HK_EXIT_FAILURE, 0, "no interface '%s' here: see `ip link`",
			     name);
	if (args->interface_count == HK_DEPLOY_LIST_MAX)
		argp_error(state, "more than %d interfaces", HK_DEPLOY_LIST_MAX);
	args->interfaces[args->interface_count++].ifindex = ifindex;
}

/* "PORT[:N[:MIN]]" */
static void parse_port(struct hk_deploy_arguments *args, char *text, struct argp_state *state)
{
	struct hk_deploy_port *port = &args->ports[args->port_count];
	char *word;

	if (args->port_count++ == HK_DEPLOY_LIST_MAX)
		argp_error(state, "more than %d ports", HK_DEPLOY_LIST_MAX);
	while ((word = strsep(&text, ":"))) {
		switch (port->given++) {
		case 0: port->port = parse_u16(word, "port", state); break;
		case 1: port->coverage = parse_coverage(word, state); break;
		case 2: port->min_coverage = parse_coverage(word, state); break;
		default: argp_error(state, "a port is PORT[:COVERAGE[:MINIMUM]]");
		}
	}
	if (!port->port)
		argp_error(state, "port 0 is none");
}

static void parse_xdp(struct hk_deploy_arguments *args, const char *mode, struct argp_state *state)
{
	static const char *const words[] = { "auto", "native", "generic" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(mode, words[i]))
			continue;
		args->xdp_mode = i;
		return;
	}
	argp_error(state, "XDP mode '%s' is none of auto, native, generic", mode);
}

static void fill_defaults(struct hk_deploy_arguments *args)
{
	for (size_t i = 0; i < args->port_count; i++) {
		struct hk_deploy_port *port = &args->ports[i];

		if (port->given < 2)
			port->coverage = args->coverage;
		if (port->given < 3)
			port->min_coverage = args->min_given ? args->min_coverage : port->coverage;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct hk_deploy_arguments *args = state->input;

	switch (key) {
	case 'i': parse_interface(args, arg, state); break;
	case 'c': args->coverage = parse_coverage(arg, state); break;
	case OPT_MIN:
		args->min_coverage = parse_coverage(arg, state);
		args->min_given = true;
		break;
	case 'p': parse_port(args, arg, state); break;
	case OPT_NO_CHECK6: args->no_check6 = true; break;
	case OPT_SOURCE: args->from_source = true; break;
	case OPT_SWAP:
		if (args->swap_count == HK_DEPLOY_LIST_MAX)
			argp_error(state, "more than %d steps", HK_DEPLOY_LIST_MAX);
		args->swaps[args->swap_count++] = arg;
		break;
	case OPT_XDP: parse_xdp(args, arg, state); break;
	case OPT_TIMING: args->timing = true; break;
	case ARGP_KEY_ARG:
		if (args->transport)
			argp_error(state, "one transport at a time, not also '%s'", arg);
		args->transport = arg;
		break;
	case ARGP_KEY_END:
		if (!args->transport)
			argp_error(state, "which transport? See `hooker transports`");
		fill_defaults(args);
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp cmd_deploy_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "TRANSPORT",
	.doc = "Deploys TRANSPORT into the running kernel, or changes what is deployed (--port, --swap), "
	       "also by `hooker run`. It stays until `hooker undeploy TRANSPORT`.",
};
