// SPDX-License-Identifier: GPL-2.0
/* hooker doctor: examines the host, daemon or not. */
#include "hooker/cli/command.h"

#include <net/if.h>

#include "hooker/hooks/attach.h"
#include "hooker/doctor/doctor.h"
#include "hooker/hooks/interfaces.h"
#include "hooker/base/verdict.h"

static const struct argp_option doctor_options[] = {
	{ "interface", 'i', "NAME", 0,
	  "Examine this one, repeatable (default: every Ethernet one that is up)", 0 },
	{ "cgroup", 'c', "PATH", 0, "The cgroup that is to be redirected (default: the root)", 0 },
	{ 0 },
};

struct doctor_arguments {
	const char *interfaces[HK_INTERFACES_MAX];
	int interface_count;
	const char *cgroup;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct doctor_arguments *args = state->input;

	switch (key) {
	case 'i':
		if (args->interface_count == HK_INTERFACES_MAX)
			argp_error(state, "more than %d interfaces", HK_INTERFACES_MAX);
		args->interfaces[args->interface_count++] = arg;
		break;
	case 'c': args->cgroup = arg; break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp cmd_doctor_argp = {
	.options = doctor_options,
	.parser = parse,
	.doc = "Examines this host: kernel, privileges, cgroup, XDP, offloads, MTU, programs of others, "
	       "ports, limits. Says what is wrong and how to mend it; changes nothing."
	       "\vEnds with 1 if something would keep Hooker from working.",
};

static void examine_interfaces(json_t *list, const struct doctor_arguments *args)
{
	struct if_nameindex *names, *each;
	int i;

	for (i = 0; i < args->interface_count; i++)
		doctor_interface(list, args->interfaces[i]);
	if (args->interface_count)
		return;
	names = if_nameindex();
	for (each = names; each && each->if_index; each++) {
		if (!hk_interface_is_default(each->if_name))
			continue;
		doctor_interface(list, each->if_name);
		i++;
	}
	if (!i)
		hk_verdict(list, "interface", HK_FAIL, "ip link set one up: `ip link` shows them",
			   "no Ethernet interface is up here");
	if_freenameindex(names);
}

int cmd_doctor(int argc, char **argv)
{
	static const char *const words[] = { "ok", "warn", "fail" };
	struct doctor_arguments args = { 0 };
	enum hk_verdict_level worst;
	json_t *list = json_array();

	hk_parse(argc, argv, 0, &args);
	doctor_host(list, args.cgroup);
	examine_interfaces(list, &args);
	worst = hk_verdict_worst(list);
	if (hk_json()) {
		hk_print_json(json_pack("{s:i, s:s, s:O}", "schema", 1, "verdict", words[worst],
					"checks", list));
	} else {
		hk_verdict_print(list);
		printf("%s\n", worst == HK_FAIL ? "Hooker can't work here as it is" :
			       worst == HK_WARN ? "Hooker works here, with what is said above" :
						  "Hooker works here");
	}
	json_decref(list);
	return worst == HK_FAIL ? HK_EXIT_FAILURE : HK_EXIT_OK;
}
