// SPDX-License-Identifier: GPL-2.0
/* hooker doctor: examines the host, daemon or not. */
#include "hooker/command.h"

#include "hooker/attach.h"
#include "hooker/log.h"

static const struct argp_option doctor_options[] = {
	{ "interface", 'i', "NAME", 0, "Examine this one, repeatable (default: all but lo)", 0 },
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

int cmd_doctor(int argc, char **argv)
{
	struct doctor_arguments args = { 0 };

	hk_parse(argc, argv, 0, &args);
	hk_error("not in this version yet");
	return HK_EXIT_UNSUPPORTED;
}
