// SPDX-License-Identifier: GPL-2.0
/* hooker run: reads the configuration and the command line, and hands over to the daemon. */
#include "hooker/cli/command.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooker/hooks/cgroup.h"
#include "hooker/config/config.h"
#include "hooker/config/settings.h"
#include "hooker/daemon/daemon.h"
#include "hooker/hooks/interfaces.h"
#include "hooker/base/log.h"
#include "hooker/cli/run_command.h"

enum { OPT_CONFIG = 1024, OPT_RULES, OPT_CHECK, OPT_TIMING };

struct run_arguments {
	struct hk_config_source source;
	bool check, timing;
	char **command; /* NULL = redirect as a daemon */
};

static const struct argp_option run_options[] = {
	{ "config", OPT_CONFIG, "FILE", 0,
	  "Settings and rules, see hooker.conf(5) (default: " HK_CONFIG_DEFAULT " if it is there)",
	  0 },
	{ "rules", OPT_RULES, "FILE", 0,
	  "Which transport for which connection, instead of the configuration's rules; `hooker rules "
	  "--help` says how they are written",
	  0 },
	{ "check", OPT_CHECK, NULL, 0, "Check configuration and options, name every fault, and end",
	  0 },
	{ "timing", OPT_TIMING, NULL, 0,
	  "Print a line of JSON before `ready`, and one at the end: what starting and stopping took",
	  0 },
	{ "verbose", 'v', NULL, 0, "Say more, as --log-level debug", 0 },
	{ "quiet", 'q', NULL, 0, "Only errors, as --log-level error", 0 },
	{ 0 },
};

static void give(struct run_arguments *args, int key, const char *value, struct argp_state *state)
{
	struct hk_config_source *source = &args->source;
	struct hk_options scratch = { 0 };
	char error[256];

	if (source->given_count == HK_GIVEN_MAX)
		argp_error(state, "too many options");
	if (hk_setting_set(&scratch, key, value, error, sizeof(error)))
		argp_error(state, "%s", error);
	source->given[source->given_count++] = (struct hk_given){ key, value };
}

static error_t parse_setting(int key, char *arg, struct argp_state *state)
{
	if (!hk_setting_by_key(key))
		return ARGP_ERR_UNKNOWN;
	give(state->input, key, arg, state);
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct run_arguments *args = state->input;
	int log_level = hk_setting_find("log-level")->key;

	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = args; break;
	case OPT_CONFIG: args->source.path = arg; break;
	case OPT_RULES: args->source.rules_path = arg; break;
	case OPT_CHECK: args->check = true; break;
	case OPT_TIMING: args->timing = true; break;
	case 'v': give(args, log_level, "debug", state); break;
	case 'q': give(args, log_level, "error", state); break;
	case ARGP_KEY_ARGS:
		args->command = state->argv + state->next;
		state->next = state->argc;
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp settings_argp = { .options = hk_setting_options, .parser = parse_setting };
static const struct argp_child run_children[] = { { &settings_argp, 0, "Settings:", 1 }, { 0 } };

const struct argp cmd_run_argp = {
	.options = run_options,
	.parser = parse,
	.args_doc = "[-- COMMAND ARG...]",
	.doc = "Redirects the TCP connections of this host to another transport, as long as it runs. "
	       "Prints `ready` when attached; SIGINT or SIGTERM detaches, SIGHUP reads the "
	       "configuration again."
	       "\vWith a COMMAND: redirects that and whatever it starts, in a cgroup of its own, and ends as "
	       "it ends, when the last of its processes has. Needs no configuration, and reads none unless "
	       "told. Where a Hooker runs in this network namespace already, the command joins it and "
	       "settings can't be given.\n\n"
	       "Each setting can be a line of the configuration, without the dashes.",
	.children = run_children,
};

static void report(json_t *errors)
{
	const json_t *error;
	size_t i;

	json_array_foreach(errors, i, error)
		hk_error("%s", json_string_value(error));
	json_decref(errors);
}

/* What can be seen without attaching: the interfaces and the cgroup are there. */
static int check_places(const struct hk_options *options)
{
	int i, fd, bad = 0;

	for (i = 0; i < options->interface_count; i++) {
		if (if_nametoindex(options->interfaces[i]))
			continue;
		hk_error("no interface '%s' here: see `ip link`", options->interfaces[i]);
		bad = 1;
	}
	fd = hk_cgroup_open(options->cgroup);
	if (fd >= 0)
		close(fd);
	return bad || fd < 0 ? HK_EXIT_FAILURE : HK_EXIT_OK;
}

int cmd_run(int argc, char **argv)
{
	struct run_arguments args = { 0 };
	struct hk_settings *settings;
	json_t *errors;
	int err, code;

	hk_parse(argc, argv, ARGP_IN_ORDER, &args);
	if (!args.source.path && !args.command && !access(HK_CONFIG_DEFAULT, F_OK))
		args.source.path = HK_CONFIG_DEFAULT;
	err = hk_config_read(&settings, &args.source, &errors);
	report(errors);
	if (err)
		return err == -EINVAL ? HK_EXIT_USAGE : HK_EXIT_FAILURE;
	settings->options.timing = args.timing;
	hk_log_setup(settings->options.log_level);
	if (args.check) {
		err = check_places(&settings->options);
		hk_config_free(settings);
		if (!err && hk_json())
			hk_print_json(json_pack("{s:i, s:b}", "schema", 1, "sound", 1));
		else if (!err)
			printf("the configuration is sound\n");
		return err;
	}
	err = settings->options.interface_count ? 0 : hk_interfaces_default(&settings->options);
	if (err)
		code = hk_exit_code(err);
	else if (args.command)
		code = hk_run_command(args.command, settings, &args.source);
	else
		code = hk_exit_code(hk_daemon_run(settings, &args.source, -1));
	hk_config_free(settings);
	return code;
}
