// SPDX-License-Identifier: GPL-2.0
/* hooker deploy: a transport in the running kernel without a daemon, kept by pins. */
#include "hooker/cli/command.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/libbpf.h>

#include "bpf/wire.h"
#include "hooker/cli/deploy_args.h"
#include "hooker/cli/deployed.h"
#include "hooker/hooks/first_packet.h"
#include "hooker/base/log.h"
#include "hooker/base/privilege.h"

static void interfaces_default(struct hk_deploy_arguments *args)
{
	struct if_nameindex *names = if_nameindex();

	for (struct if_nameindex *i = names; i && i->if_index; i++)
		if (strcmp(i->if_name, "lo") && args->interface_count < HK_DEPLOY_LIST_MAX &&
		    hk_transport_interface_check(i->if_index) == 0)
			args->interfaces[args->interface_count++].ifindex = i->if_index;
	if_freenameindex(names);
}

static int add_port(struct hk_deployment *deployment, const struct hk_deploy_port *port,
		    bool no_check6)
{
	int err = hk_deployment_add_port(deployment, port->port, port->coverage, port->min_coverage,
					 no_check6 ? HK_LITE_NO_CHECK6 : 0);

	if (err)
		hk_error("can't register port %u: %s", port->port, strerror(-err));
	return err;
}

static const char *swap_problem(int err, char *text, size_t size)
{
	switch (-err) {
	case ESRCH: return "there is no such step; `hooker transports` lists them";
	case ENOENT: return "no such file, or no such program in it";
	case EINVAL: return "the kernel refuses the program, or it is of another hook";
	}
	libbpf_strerror(err, text, size); /* knows its own numbers, too */
	return text;
}

/* "STEP[=OBJECT[:PROGRAM]]" */
static int swap(struct hk_deployment *deployment, const char *text)
{
	char *step = strdup(text), *object, *program = NULL, problem[128];
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
			 swap_problem(err, problem, sizeof(problem)));
	free(step);
	return err;
}

static int configure(struct hk_deployment *deployment, const struct hk_deploy_arguments *args)
{
	int err = 0;

	for (size_t i = 0; !err && i < args->port_count; i++)
		err = add_port(deployment, &args->ports[i], args->no_check6);
	for (size_t i = 0; !err && i < args->swap_count; i++)
		err = swap(deployment, args->swaps[i]);
	return err;
}

static void report_failure(const struct hk_transport_desc *desc, int err)
{
	char problem[128];

	switch (-err) {
	case EBUSY:
		hk_error(
			"can't deploy %s: an interface already has an XDP program (`ip link` shows "
			"it; a running `hooker run` deploys transports itself)",
			desc->name);
		break;
	case EEXIST:
		hk_error("%s is deployed already: `hooker undeploy %s`", desc->name, desc->name);
		break;
	case EACCES:
	case EPERM:
		hk_error("can't deploy %s: needs root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)",
			 desc->name);
		break;
	case ENOEXEC: hk_error("can't deploy %s from source: clang failed", desc->name); break;
	case ENOPKG:
		hk_error(
			"can't deploy %s from source: there is no '%s'; install clang, or name one in "
			"$CLANG",
			desc->name, getenv("CLANG") ?: "clang");
		break;
	case ENOENT:
		hk_error("can't deploy %s: its source or a part of it is not there", desc->name);
		break;
	case EOPNOTSUPP:
		hk_error(
			"can't deploy %s: the interface is not Ethernet, or the kernel has no tc hook "
			"(CONFIG_NET_CLS_BPF, CONFIG_NET_SCH_INGRESS)",
			desc->name);
		break;
	default:
		libbpf_strerror(err, problem, sizeof(problem));
		hk_error("can't deploy %s: %s", desc->name, problem);
	}
}

static void print_times(const struct hk_deployment *deployment,
			const struct hk_deploy_arguments *args, double first)
{
	struct hk_deploy_times times;
	json_t *object, *status;

	hk_deployment_times(deployment, &times);
	if (!hk_json()) {
		printf("compile %.1f ms, open %.1f ms, load %.1f ms", times.compile, times.open,
		       times.load);
		if (args->timing)
			printf(" (verify %.1f ms)", times.verify);
		printf(", attach %.1f ms, total %.1f ms", times.attach, times.total);
		if (first >= 0)
			printf(", first packet after %.1f ms", first);
		putchar('\n');
		return;
	}
	object = json_pack("{s:f, s:f, s:f, s:f, s:f}", "compile_ms", times.compile, "open_ms",
			   times.open, "load_ms", times.load, "attach_ms", times.attach, "total_ms",
			   times.total);
	if (args->timing)
		json_object_set_new(object, "verify_ms", json_real(times.verify));
	if (first >= 0)
		json_object_set_new(object, "first_packet_ms", json_real(first));
	status = hk_deployment_status(deployment);
	json_object_set_new(status, "schema", json_integer(1));
	json_object_set_new(status, "times", object);
	hk_print_json(status);
}

/* Reports what is not there. */
static int pin_dir_find(const struct hk_transport_desc *desc, char *pin_dir, size_t size)
{
	int err = hk_transport_pin_dir(desc, pin_dir, size);

	if (!err)
		return 0;
	hk_error("can't keep a deployment: no bpf file system is mounted here");
	hk_hint("`mount -t bpf bpf /sys/fs/bpf`; in a namespace entered with `ip netns exec`, "
		"use `nsenter --net=` instead, which keeps the host's mounts");
	return err;
}

static int options_fill(struct hk_deploy_options *options, struct hk_deploy_arguments *args,
			char *source_dir, size_t size)
{
	int err;

	if (!args->interface_count)
		interfaces_default(args);
	if (!args->interface_count) {
		hk_error("no Ethernet interface here to deploy %s on", args->transport);
		return -ENODEV;
	}
	options->interfaces = args->interfaces;
	options->interface_count = args->interface_count;
	options->xdp_mode = args->xdp_mode;
	options->count_fd = -1;
	options->time_verifier = args->timing;
	if (!args->from_source)
		return 0;
	err = hk_transport_source_dir(source_dir, size);
	if (err)
		hk_error("can't deploy from source: bpf/*.bpf.c is not installed");
	options->source_dir = source_dir;
	return err;
}

static int deploy(const struct hk_transport_desc *desc, struct hk_deploy_arguments *args)
{
	char source_dir[PATH_MAX], pin_dir[PATH_MAX];
	struct hk_deploy_options options = { .pin_dir = pin_dir };
	struct hk_deployment *deployment = NULL;
	double start = hk_first_packet_now(), first = -1;
	int err;

	err = pin_dir_find(desc, pin_dir, sizeof(pin_dir));
	err = err ?: options_fill(&options, args, source_dir, sizeof(source_dir));
	if (err)
		return err;
	err = hk_transport_deploy(desc, &options, &deployment);
	if (err) {
		report_failure(desc, err);
		return err;
	}
	if (!args->port_count)
		args->ports[args->port_count++] = (struct hk_deploy_port){
			.port = HK_RELAY_PORT,
			.coverage = args->coverage,
			.min_coverage = args->min_given ? args->min_coverage : args->coverage,
		};
	err = configure(deployment, args);
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
	print_times(deployment, args, first);
	hk_deployment_close(deployment);
	return 0;
}

int cmd_deploy(int argc, char **argv)
{
	const struct hk_transport_desc *desc;
	struct hk_deploy_arguments args = { 0 };
	struct hk_deployment *deployment;
	int err;

	hk_parse(argc, argv, 0, &args);
	desc = hk_transport_find(args.transport);
	if (!desc) {
		hk_error("no transport '%s': see `hooker transports`", args.transport);
		return HK_EXIT_USAGE;
	}
	if (hk_privilege_check())
		return HK_EXIT_FAILURE;
	if (args.port_count + args.swap_count && !args.interface_count &&
	    !hk_deployed_open(desc, &deployment)) {
		err = configure(deployment, &args);
		hk_deployment_close(deployment);
	} else {
		err = deploy(desc, &args);
	}
	return hk_exit_code(err);
}
