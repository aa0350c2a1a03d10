// SPDX-License-Identifier: GPL-2.0
/* hooker events: connections as they are established, fall back and end. */
#include "hooker/command.h"

#include "hooker/control.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)key, (void)arg, (void)state;
	return ARGP_ERR_UNKNOWN;
}

const struct argp cmd_events_argp = {
	.parser = parse,
	.doc = "Follows the connections of this host: a line for each that is established, falls back to "
	       "TCP or ends, with the reason, until interrupted.",
};

int cmd_events(int argc, char **argv)
{
	json_t *reply;

	hk_parse(argc, argv, 0, NULL);
	if (hk_control_call(json_pack("{s:s}", "command", "events"), &reply))
		return HK_EXIT_FAILURE;
	return hk_print_json(reply);
}
