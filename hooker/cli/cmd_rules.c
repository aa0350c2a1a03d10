// SPDX-License-Identifier: GPL-2.0
/* `hooker rules`: shows the rules in force, or puts others in force without touching live flows. */
#include "hooker/cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/state/control.h"
#include "hooker/base/file.h"
#include "hooker/base/log.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	const char **file = state->input;

	if (key != ARGP_KEY_ARG || *file)
		return ARGP_ERR_UNKNOWN;
	*file = arg;
	return 0;
}

const struct argp cmd_rules_argp = {
	.parser = parse,
	.args_doc = "[FILE]",
	.doc = "Shows the rules in force, or puts those of FILE in force for new connections.\v"
	       "One rule a line, the first that matches decides:\n"
	       "  [remote PREFIX] [remote-port N] [local-port N] [cgroup PATH]\n"
	       "      use tcp|udp|udplite [accept-damage] [coverage BYTES]\n"
	       "Where none matches, what `hooker run` was told. # begins a comment. For example:\n"
	       "  remote 10.0.0.0/8 remote-port 443 use udplite\n"
	       "  local-port 22 use tcp\n",
};

/* Without the empty lines that stand for the settings of a configuration. */
static void print_rules(const char *text)
{
	size_t length;

	for (; *text; text += length + (text[length] == '\n')) {
		length = strcspn(text, "\n");
		if (length)
			printf("%.*s\n", (int)length, text);
	}
}

int cmd_rules(int argc, char **argv)
{
	const char *file = NULL;
	json_t *reply, *request;
	char *text = NULL;

	hk_parse(argc, argv, 0, &file);
	if (file) {
		text = hk_file_read(file);
		if (!text) {
			hk_error("can't read the rules '%s': %s", file, strerror(errno));
			return HK_EXIT_FAILURE;
		}
		request = json_pack("{s:s, s:s, s:s}", "command", "rules", "text", text, "name",
				    file);
	} else {
		request = json_pack("{s:s}", "command", "rules");
	}
	free(text);
	if (hk_control_call(request, &reply))
		return hk_control_exit_code();
	if (hk_json())
		return hk_print_json(reply);
	if (!file)
		print_rules(json_string_value(json_object_get(reply, "text")) ?: "");
	json_decref(reply);
	return HK_EXIT_OK;
}
