// SPDX-License-Identifier: GPL-2.0
/* hooker undeploy: takes a transport out of the kernel again, whoever put it there. */
#include "hooker/cli/command.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "hooker/state/control.h"
#include "hooker/hooks/first_packet.h"
#include "hooker/base/log.h"
#include "hooker/transport/transport.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	const char **transport = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (*transport)
			argp_error(state, "one transport at a time, not also '%s'", arg);
		*transport = arg;
		break;
	case ARGP_KEY_END:
		if (!*transport)
			argp_error(state, "which transport? See `hooker transports`");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int ask_daemon(const char *transport)
{
	json_t *reply;
	int err = hk_control_call(
		json_pack("{s:s, s:s}", "command", "undeploy", "transport", transport), &reply);

	json_decref(reply);
	return err;
}

/* Reports what goes wrong. */
static int undeploy(const struct hk_transport_desc *desc)
{
	char pin_dir[PATH_MAX];
	int err;

	/* No bpffs: nothing is pinned, but a daemon may have it. */
	err = hk_transport_pin_dir(desc, pin_dir, sizeof(pin_dir));
	err = err ?: hk_transport_unpin(pin_dir);
	if (err == -ENOENT && hk_control_is_served())
		return ask_daemon(desc->name);
	if (err)
		hk_error("can't undeploy %s: %s", desc->name,
			 err == -ENOENT			 ? "it is not deployed here; see "
							   "`hooker transports`" :
			 err == -EACCES || err == -EPERM ? "needs root" :
							   strerror(-err));
	return err;
}

const struct argp cmd_undeploy_argp = {
	.parser = parse,
	.args_doc = "TRANSPORT",
	.doc = "Detaches what `hooker deploy TRANSPORT` has deployed and leaves nothing behind. What a "
	       "running `hooker run` has deployed goes, too: its connections go on without.",
};

int cmd_undeploy(int argc, char **argv)
{
	const struct hk_transport_desc *desc;
	const char *transport = NULL;
	double start;
	int err;

	hk_parse(argc, argv, 0, &transport);
	desc = hk_transport_find(transport);
	if (!desc) {
		hk_error("no transport '%s': see `hooker transports`", transport);
		return HK_EXIT_USAGE;
	}
	start = hk_first_packet_now();
	err = undeploy(desc);
	if (!err && hk_json())
		hk_print_json(json_pack("{s:i, s:s, s:{s:f}}", "schema", 1, "undeployed", transport,
					"times", "detach_ms", hk_first_packet_now() - start));
	return hk_exit_code(err);
}
