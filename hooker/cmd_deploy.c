// SPDX-License-Identifier: GPL-2.0
/* hooker deploy, hooker undeploy: a transport in the running kernel without a daemon, kept by pins. */
#include "hooker/command.h"

#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/wire.h"
#include "hooker/first_packet.h"
#include "hooker/log.h"
#include "hooker/transport/transport.h"

#define LIST_MAX 64

struct deploy_arguments {
	const char *transport;
	struct hk_deploy_interface interfaces[LIST_MAX];
	size_t interface_count;
	const char *ports[LIST_MAX];
	size_t port_count;
	const char *swaps[LIST_MAX];
	size_t swap_count;
	uint16_t coverage, min_coverage;
	bool min_given, no_check6, from_source, timing;
	enum hk_xdp_mode xdp_mode;
};

enum { OPT_MIN = 256, OPT_SOURCE, OPT_TIMING, OPT_SWAP, OPT_XDP, OPT_NO_CHECK6 };

static const struct argp_option deploy_options[] = {
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
	{ "from-source", OPT_SOURCE, NULL, 0, "Compile with clang now, instead of the built object",
	  0 },
	{ "swap", OPT_SWAP, "STEP[=OBJECT[:PROGRAM]]", 0,
	  "Replace a step of what is deployed, while traffic flows", 0 },
	{ "xdp", OPT_XDP, "MODE", 0, "auto, native or generic", 0 },
	{ "timing", OPT_TIMING, NULL, 0, "Send one datagram, show when it had passed the chain",
	  0 },
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

static void parse_interface(struct deploy_arguments *args, const char *name,
			    struct argp_state *state)
{
	int ifindex = if_nametoindex(name);

	if (!ifindex)
		argp_failure(state, HK_EXIT_FAILURE, 0, "no interface '%s' here: see `ip link`",
			     name);
	if (args->interface_count < LIST_MAX)
		args->interfaces[args->interface_count++].ifindex = ifindex;
}

static void parse_xdp(struct deploy_arguments *args, const char *mode, struct argp_state *state)
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

static error_t parse_deploy(int key, char *arg, struct argp_state *state)
{
	struct deploy_arguments *args = state->input;

	switch (key) {
	case 'i': parse_interface(args, arg, state); break;
	case 'c': args->coverage = parse_coverage(arg, state); break;
	case OPT_MIN:
		args->min_coverage = parse_coverage(arg, state);
		args->min_given = true;
		break;
	case 'p':
		if (args->port_count < LIST_MAX)
			args->ports[args->port_count++] = arg;
		break;
	case OPT_NO_CHECK6: args->no_check6 = true; break;
	case OPT_SOURCE: args->from_source = true; break;
	case OPT_SWAP:
		if (args->swap_count < LIST_MAX)
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
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Reports what is not there. */
static const struct hk_transport_desc *find(const char *name, char *pin_dir, size_t size)
{
	const struct hk_transport_desc *desc = hk_transport_find(name);
	int err;

	if (!desc) {
		hk_error("no transport '%s': see `hooker transports`", name);
		return NULL;
	}
	err = hk_transport_pin_dir(desc, pin_dir, size);
	if (err) {
		hk_error("can't keep a deployment: no bpf file system is mounted here");
		hk_error(
			"hint: `mount -t bpf bpf /sys/fs/bpf`; in a namespace entered with `ip netns "
			"exec`, use `nsenter --net=` instead, which keeps the host's mounts");
		return NULL;
	}
	return desc;
}

static void interfaces_default(struct deploy_arguments *args)
{
	struct if_nameindex *names = if_nameindex();

	for (struct if_nameindex *i = names; i && i->if_index; i++)
		if (strcmp(i->if_name, "lo") && args->interface_count < LIST_MAX &&
		    hk_transport_interface_check(i->if_index) == 0)
			args->interfaces[args->interface_count++].ifindex = i->if_index;
	if_freenameindex(names);
}

/* "PORT[:N[:MIN]]" */
static int add_port(struct hk_deployment *deployment, const struct deploy_arguments *args,
		    const char *text)
{
	unsigned int port, coverage = args->coverage, min;
	int n, err;

	n = sscanf(text, "%u:%u:%u", &port, &coverage, &min);
	if (n < 3)
		min = args->min_given ? args->min_coverage : coverage;
	err = n < 1 || port > 0xffff || coverage > 0xffff || min > 0xffff ?
		      -EINVAL :
		      hk_deployment_add_port(deployment, port, coverage, min,
					     args->no_check6 ? HK_LITE_NO_CHECK6 : 0);
	if (err)
		hk_error("can't register port '%s': %s", text,
			 err == -EINVAL ? "want PORT[:COVERAGE[:MINIMUM]], coverages 0 or >= 8" :
					  strerror(-err));
	return err;
}

/* "STEP[=OBJECT[:PROGRAM]]" */
static int swap(struct hk_deployment *deployment, const char *text)
{
	char *step = strdup(text), *object, *program = NULL;
	int err;

	if (!step)
		return -ENOMEM;
	object = strchr(step, '=');
	if (object)
		*object++ = '\0';
	if (object)
		program = strrchr(object, ':');
	if (program)
		*program++ = '\0';
	err = hk_deployment_swap_step(deployment, step, object, program);
	if (err)
		hk_error("can't replace step '%s': %s", step,
			 err == -ENOENT ? "no such step or program" : strerror(-err));
	free(step);
	return err;
}

static int configure(struct hk_deployment *deployment, const struct deploy_arguments *args,
		     bool defaults)
{
	char port[8];
	int err = 0;

	for (size_t i = 0; !err && i < args->port_count; i++)
		err = add_port(deployment, args, args->ports[i]);
	if (!err && !args->port_count && defaults) {
		snprintf(port, sizeof(port), "%u", HK_RELAY_PORT);
		err = add_port(deployment, args, port);
	}
	for (size_t i = 0; !err && i < args->swap_count; i++)
		err = swap(deployment, args->swaps[i]);
	return err;
}

static void report_failure(const struct hk_transport_desc *desc, int err)
{
	switch (-err) {
	case EBUSY:
		hk_error(
			"can't deploy %s: an interface already has an XDP program (`ip link` shows it; "
			"a running `hooker run` deploys transports itself)",
			desc->name);
		break;
	case EEXIST:
		hk_error("%s is deployed already: `hooker undeploy %s`", desc->name, desc->name);
		break;
	case EPERM:
		hk_error("can't deploy %s: needs root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)",
			 desc->name);
		break;
	case ENOEXEC: hk_error("can't deploy %s from source: clang failed", desc->name); break;
	case ENOENT:
		hk_error("can't deploy %s: its source or a part of it is not there", desc->name);
		break;
	case EOPNOTSUPP:
		hk_error(
			"can't deploy %s: the interface is not Ethernet, or the kernel has no tc hook "
			"(CONFIG_NET_CLS_BPF, CONFIG_NET_SCH_INGRESS)",
			desc->name);
		break;
	default: hk_error("can't deploy %s: %s", desc->name, strerror(-err));
	}
}

static void print_times(const struct hk_deployment *deployment, double first)
{
	struct hk_deploy_times times;
	json_t *object;

	hk_deployment_times(deployment, &times);
	object = json_pack("{s:f, s:f, s:f, s:f, s:f}", "compile_ms", times.compile, "open_ms",
			   times.open, "load_ms", times.load, "attach_ms", times.attach, "total_ms",
			   times.total);
	if (first >= 0)
		json_object_set_new(object, "first_packet_ms", json_real(first));
	if (hk_json()) {
		json_t *status = hk_deployment_status(deployment);

		json_object_set_new(status, "schema", json_integer(1));
		json_object_set(status, "times", object);
		hk_print_json(status);
	} else {
		printf("compile %.1f ms, open %.1f ms, load %.1f ms, attach %.1f ms, total %.1f ms",
		       times.compile, times.open, times.load, times.attach, times.total);
		if (first >= 0)
			printf(", first packet after %.1f ms", first);
		putchar('\n');
	}
	json_decref(object);
}

static int deploy(const struct hk_transport_desc *desc, struct deploy_arguments *args,
		  const char *pin_dir)
{
	char source_dir[PATH_MAX];
	struct hk_deploy_options options = {
		.interfaces = args->interfaces,
		.xdp_mode = args->xdp_mode,
		.count_fd = -1,
		.pin_dir = pin_dir,
	};
	struct hk_deployment *deployment = NULL;
	double start = hk_first_packet_now(), first = -1;
	int err;

	if (!args->interface_count)
		interfaces_default(args);
	options.interface_count = args->interface_count;
	if (!args->interface_count) {
		hk_error("no Ethernet interface here to deploy %s on", desc->name);
		return -ENODEV;
	}
	if (args->from_source) {
		err = hk_transport_source_dir(source_dir, sizeof(source_dir));
		if (err) {
			hk_error("can't deploy from source: bpf/*.bpf.c is not installed");
			return err;
		}
		options.source_dir = source_dir;
	}
	err = hk_transport_deploy(desc, &options, &deployment);
	if (err) {
		report_failure(desc, err);
		return err;
	}
	err = configure(deployment, args, true);
	if (err) {
		hk_transport_undeploy(deployment);
		return err;
	}
	if (args->timing) {
		err = hk_first_packet(deployment, desc, args->interfaces[0].ifindex);
		if (err)
			hk_warn("can't time the first packet: %s", strerror(-err));
		else
			first = hk_first_packet_now() - start;
	}
	print_times(deployment, first);
	hk_deployment_close(deployment);
	return 0;
}

const struct argp cmd_deploy_argp = {
	.options = deploy_options,
	.parser = parse_deploy,
	.args_doc = "TRANSPORT",
	.doc = "Deploys TRANSPORT into the running kernel, or changes what is deployed (--port, --swap). "
	       "It stays until `hooker undeploy TRANSPORT`.",
};

int cmd_deploy(int argc, char **argv)
{
	struct deploy_arguments args = { 0 };
	const struct hk_transport_desc *desc;
	struct hk_deployment *deployment;
	char pin_dir[PATH_MAX];
	int err;

	hk_parse(argc, argv, 0, &args);
	desc = find(args.transport, pin_dir, sizeof(pin_dir));
	if (!desc)
		return HK_EXIT_FAILURE;
	if (args.port_count + args.swap_count && !args.interface_count &&
	    !hk_deployment_open(desc, pin_dir, &deployment)) {
		err = configure(deployment, &args, false);
		hk_deployment_close(deployment);
	} else {
		err = deploy(desc, &args, pin_dir);
	}
	return hk_exit_code(err);
}

static error_t parse_undeploy(int key, char *arg, struct argp_state *state)
{
	const char **transport = state->input;

	if (key == ARGP_KEY_ARG && !*transport)
		*transport = arg;
	else if (key == ARGP_KEY_END && !*transport)
		argp_error(state, "which transport? See `hooker transports`");
	else if (key == ARGP_KEY_ARG)
		argp_error(state, "one transport at a time, not also '%s'", arg);
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

const struct argp cmd_undeploy_argp = {
	.parser = parse_undeploy,
	.args_doc = "TRANSPORT",
	.doc = "Detaches what `hooker deploy TRANSPORT` has deployed and leaves nothing behind.",
};

int cmd_undeploy(int argc, char **argv)
{
	const struct hk_transport_desc *desc;
	const char *transport = NULL;
	char pin_dir[PATH_MAX];
	int err;

	hk_parse(argc, argv, 0, &transport);
	desc = find(transport, pin_dir, sizeof(pin_dir));
	if (!desc)
		return HK_EXIT_FAILURE;
	err = hk_transport_unpin(pin_dir);
	if (err)
		hk_error("can't undeploy %s: %s", transport,
			 err == -ENOENT ? "it is not deployed here" : strerror(-err));
	else if (hk_json())
		hk_print_json(json_pack("{s:i, s:s}", "schema", 1, "undeployed", transport));
	return hk_exit_code(err);
}
