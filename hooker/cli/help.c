// SPDX-License-Identifier: GPL-2.0
/* hooker help, hooker version: the table of commands, for people and for programs. */
#include "hooker/cli/command.h"

#include <ctype.h>
#include <string.h>
#include <sys/utsname.h>
#include <bpf/libbpf.h>

#include "hooker/config/settings.h"
#include "hooker/base/log.h"

static const struct {
	int code;
	const char *meaning;
} exit_codes[] = {
	{ HK_EXIT_OK, "as asked" },
	{ HK_EXIT_FAILURE, "it failed, or what was asked about is not so" },
	{ HK_EXIT_USAGE, "wrong option, argument or configuration" },
	{ HK_EXIT_UNSUPPORTED, "this kernel or machine lacks something" },
};

#define EXIT_CODE_COUNT (sizeof(exit_codes) / sizeof(exit_codes[0]))

void hk_help(FILE *to)
{
	const struct hk_command *command;
	const char *group = "";
	size_t i;

	fprintf(to, "Usage: hooker COMMAND [OPTION...]\n"
		    "Moves the TCP connections of unmodified applications onto UDP or UDP-Lite.\n");
	for (command = hk_commands; command->name; command++) {
		if (strcmp(group, command->group))
			fprintf(to, "\n%s:\n", command->group);
		group = command->group;
		fprintf(to, "  %-11s %s\n", command->name, command->summary);
	}
	fprintf(to, "\nExit codes:\n");
	for (i = 0; i < EXIT_CODE_COUNT; i++)
		fprintf(to, "  %-11d %s\n", exit_codes[i].code, exit_codes[i].meaning);
	fprintf(to, "\n`hooker COMMAND --help` explains each.\n");
}

/* ---- as data ---- */

/* What hooker.conf(5) says besides. */
static json_t *setting_json(int key)
{
	return json_pack("{s:b, s:b, s:b}", "setting", true, "live", hk_setting_is_live(key),
			 "repeatable", hk_setting_repeats(key));
}

static void add_options(json_t *list, const struct argp *argp)
{
	const struct argp_option *option = argp->options;
	const struct argp_child *child;
	json_t *object;

	for (; option && (option->name || option->doc || option->key); option++) {
		if (!option->name || option->flags & OPTION_HIDDEN)
			continue;
		object = json_pack("{s:s, s:s}", "name", option->name, "description",
				   option->doc ?: "");
		if (option->key > 0 && option->key < 256 && isprint(option->key))
			json_object_set_new(object, "short", json_sprintf("%c", option->key));
		if (option->arg) {
			json_object_set_new(object, "argument", json_string(option->arg));
			json_object_set_new(object, "argument_optional",
					    json_boolean(option->flags & OPTION_ARG_OPTIONAL));
		}
		if (argp->options == hk_setting_options)
			json_object_update_new(object, setting_json(option->key));
		json_array_append_new(list, object);
	}
	for (child = argp->children; child && child->argp; child++)
		add_options(list, child->argp);
}

static json_t *examples_json(const struct hk_command *command)
{
	json_t *list = json_array();
	int i;

	for (i = 0; i < HK_EXAMPLES_MAX && command->examples[i].command; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "command",
						      command->examples[i].command, "purpose",
						      command->examples[i].purpose));
	return list;
}

static json_t *command_json(const struct hk_command *command)
{
	json_t *options = json_array();
	const char *doc = command->argp->doc ?: "", *after = strchr(doc, '\v');

	add_options(options, command->argp);
	if (command->json)
		json_array_append_new(
			options,
			json_pack("{s:s, s:s, s:s}", "name", "json", "short", "j", "description",
				  "Print JSON; errors too: an object with \"error\""));
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:b, s:o, s:o}", "name", command->name,
			 "group", command->group, "summary", command->summary, "arguments",
			 command->argp->args_doc ?: "", "description",
			 json_stringn(doc, after ? (size_t)(after - doc) : strlen(doc)), "details",
			 after ? after + 1 : "", "json", command->json, "options", options,
			 "examples", examples_json(command));
}

static json_t *help_json(void)
{
	json_t *commands = json_array(), *codes = json_array();
	const struct hk_command *command;
	size_t i;

	for (command = hk_commands; command->name; command++)
		json_array_append_new(commands, command_json(command));
	for (i = 0; i < EXIT_CODE_COUNT; i++)
		json_array_append_new(codes, json_pack("{s:i, s:s}", "code", exit_codes[i].code,
						       "meaning", exit_codes[i].meaning));
	return json_pack("{s:i, s:s, s:o, s:o}", "schema", 1, "version", HOOKER_VERSION, "commands",
			 commands, "exit_codes", codes);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	const char **name = state->input;

	if (key != ARGP_KEY_ARG || *name)
		return ARGP_ERR_UNKNOWN;
	*name = arg;
	return 0;
}

const struct argp cmd_help_argp = {
	.parser = parse,
	.args_doc = "[COMMAND]",
	.doc = "Shows all commands, or the help of COMMAND.",
};

int cmd_help(int argc, char **argv)
{
	const struct hk_command *command;
	const char *name = NULL;

	hk_parse(argc, argv, 0, &name);
	if (hk_json())
		return hk_print_json(help_json());
	if (!name) {
		hk_help(stdout);
		return HK_EXIT_OK;
	}
	for (command = hk_commands; command->name; command++)
		if (!strcmp(name, command->name))
			return hk_command_run(command, 2,
					      (char *[]){ (char *)name, "--help", NULL });
	hk_error("no command '%s': see `hooker help`", name);
	return HK_EXIT_USAGE;
}

static error_t parse_nothing(int key, char *arg, struct argp_state *state)
{
	(void)key, (void)arg, (void)state;
	return ARGP_ERR_UNKNOWN;
}

const struct argp cmd_version_argp = {
	.parser = parse_nothing,
	.doc = "Shows the versions of Hooker and of what it runs on.",
};

int cmd_version(int argc, char **argv)
{
	struct utsname kernel;

	hk_parse(argc, argv, 0, NULL);
	uname(&kernel);
	if (hk_json())
		return hk_print_json(json_pack("{s:i, s:s, s:s, s:s, s:s}", "schema", 1, "hooker",
					       HOOKER_VERSION, "libbpf", libbpf_version_string(),
					       "kernel", kernel.release, "machine",
					       kernel.machine));
	printf("hooker %s\nlibbpf %s\nLinux %s %s\n", HOOKER_VERSION, libbpf_version_string(),
	       kernel.release, kernel.machine);
	return HK_EXIT_OK;
}
