// SPDX-License-Identifier: GPL-2.0
/* hooker check: a real connection, looked at. */
#include "hooker/command.h"

#include <stdlib.h>

#include "hooker/log.h"

static const struct argp_option check_options[] = {
	{ "timeout", 'T', "SECONDS", 0, "Wait no longer than that for an answer (default: 5)", 0 },
	{ 0 },
};

struct check_arguments {
	const char *target;
	double timeout;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct check_arguments *args = state->input;
	char *end;

	switch (key) {
	case 'T':
		args->timeout = strtod(arg, &end);
		if (!*arg || *end || !(args->timeout > 0 && args->timeout <= 600))
			argp_error(state, "--timeout is a number of seconds, not '%s'", arg);
		break;
	case ARGP_KEY_ARG:
		if (args->target)
			argp_error(state, "one HOST:PORT at a time, not also '%s'", arg);
		args->target = arg;
		break;
	case ARGP_KEY_END:
		if (!args->target)
			argp_error(state, "which HOST:PORT?");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp cmd_check_argp = {
	.options = check_options,
	.parser = parse,
	.args_doc = "HOST:PORT",
	.doc = "Opens a TCP connection to HOST:PORT as an application would, says how it travels and why, "
	       "and closes it without having sent anything."
	       "\vUses the Hooker that runs in this network namespace, or attaches one for as long as "
	       "the check takes. Ends with 0 if the connection is redirected, with 1 if not.",
};

int cmd_check(int argc, char **argv)
{
	struct check_arguments args = { .timeout = 5 };

	hk_parse(argc, argv, 0, &args);
	hk_error("not in this version yet");
	return HK_EXIT_UNSUPPORTED;
}
