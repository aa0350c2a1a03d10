// SPDX-License-Identifier: GPL-2.0
/* hooker status: is it active? */
#include "hooker/command.h"

#include "hooker/control.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)key, (void)arg, (void)state;
	return ARGP_ERR_UNKNOWN;
}

const struct argp cmd_status_argp = {
	.parser = parse,
	.doc = "Shows where Hooker is attached, what it has deployed, how connections travel, why others "
	       "stayed on TCP, and what is wrong, with the remedy."
	       "\vEnds with 1 if no Hooker runs in this network namespace.",
};

int cmd_status(int argc, char **argv)
{
	json_t *reply;

	hk_parse(argc, argv, 0, NULL);
	if (hk_control_call(json_pack("{s:s}", "command", "status"), &reply))
		return HK_EXIT_FAILURE;
	return hk_print_json(reply);
}
