// SPDX-License-Identifier: GPL-2.0
#include "hooker/cli/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/base/log.h"

static const struct hk_command *current;
static bool json_wanted;

/* While options are parsed for --json: what argp would tell people. */
static FILE *usage_stream, *people;
static char *usage_text;
static size_t usage_size;

bool hk_json(void)
{
	return json_wanted;
}

int hk_print_json(json_t *object)
{
	json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	putchar('\n');
	json_decref(object);
	return HK_EXIT_OK;
}

int hk_exit_code(int err)
{
	switch (-err) {
	case 0: return HK_EXIT_OK;
	case EOPNOTSUPP:
	case ENOSYS:
	case EPROTONOSUPPORT: return HK_EXIT_UNSUPPORTED;
	default: return HK_EXIT_FAILURE;
	}
}

static void print_error(const char *error, json_t *details, int exit_code)
{
	json_t *object =
		json_pack("{s:i, s:s, s:i}", "schema", 1, "error", error, "exit_code", exit_code);

	if (details)
		json_object_set(object, "details", details);
	hk_print_json(object);
}

/* ---- options ---- */

static const struct argp_option json_options[] = {
	{ "json", 'j', NULL, 0, "Print JSON; errors too: an object with \"error\"", -1 },
	{ 0 },
};

static error_t parse_json(int key, char *arg, struct argp_state *state)
{
	(void)arg, (void)state;
	if (key != 'j')
		return ARGP_ERR_UNKNOWN;
	json_wanted = true;
	return 0;
}

static const struct argp json_argp = { .options = json_options, .parser = parse_json };

/* The examples of a command as the end of its help. */
static char *examples_text(const struct hk_command *command)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	int i;

	if (!to)
		return NULL;
	fputs("\vExamples:\n", to);
	for (i = 0; i < HK_EXAMPLES_MAX && command->examples[i].command; i++)
		fprintf(to, "  %s\n      to %s\n", command->examples[i].command,
			command->examples[i].purpose);
	fclose(to);
	return text;
}

/* An error in the options must be an object on stdout as well, and is known before --json is read. */
static bool json_ahead(char **argv)
{
	for (argv++; *argv && strcmp(*argv, "--"); argv++)
		if (!strcmp(*argv, "--json") || !strcmp(*argv, "-j"))
			return true;
	return false;
}

/* argp and getopt end the program themselves. */
static void on_usage_error(int status, void *arg)
{
	char *line;

	(void)arg;
	if (!usage_stream)
		return;
	stderr = people;
	fclose(usage_stream);
	usage_stream = NULL;
	fputs(usage_text ?: "", stderr);
	line = usage_text ? strchr(usage_text, ':') : NULL; /* after "hooker NAME: " */
	line = line ? strtok(line + 1, "\n") : NULL;
	if (status)
		print_error(line ? line + strspn(line, " ") : "bad usage", NULL, status);
	fflush(stdout);
}

static void watch_usage(char **argv)
{
	static bool registered;

	if (!current->json || !json_ahead(argv))
		return;
	usage_stream = open_memstream(&usage_text, &usage_size);
	if (!usage_stream)
		return;
	if (!registered)
		on_exit(on_usage_error, NULL);
	registered = true;
	/* In the GNU C library stderr is a variable like any other. */
	people = stderr;
	stderr = usage_stream;
}

static void unwatch_usage(void)
{
	if (!usage_stream)
		return;
	stderr = people;
	fclose(usage_stream);
	usage_stream = NULL;
	free(usage_text);
	usage_text = NULL;
}

void hk_parse(int argc, char **argv, unsigned int flags, void *input)
{
	struct argp_child children[8] = { 0 };
	struct argp examples = { .doc = examples_text(current) };
	struct argp argp = *current->argp;
	char name[64];
	int n = 0;

	while (argp.children && argp.children[n].argp && n < 5) {
		children[n] = argp.children[n];
		n++;
	}
	if (current->json)
		children[n++].argp = &json_argp;
	children[n++].argp = &examples;
	argp.children = children;
	snprintf(name, sizeof(name), "hooker %s", current->name);
	argv[0] = name;
	argp_err_exit_status = HK_EXIT_USAGE;
	watch_usage(argv);
	argp_parse(&argp, argc, argv, flags, NULL, input);
	unwatch_usage();
	argv[0] = (char *)current->name;
	free((char *)examples.doc);
	hk_log_setup(HK_LOG_INFO);
}

int hk_command_run(const struct hk_command *command, int argc, char **argv)
{
	json_t *errors;
	int code;

	current = command;
	code = command->run(argc, argv);
	errors = hk_log_errors();
	if (json_wanted && code && json_array_size(errors)) {
		json_t *first = json_incref(json_array_get(errors, 0));

		json_array_remove(errors, 0);
		print_error(json_string_value(first), json_array_size(errors) ? errors : NULL,
			    code);
		json_decref(first);
	}
	json_decref(errors);
	if (fflush(stdout) && !code)
		code = HK_EXIT_FAILURE;
	return code;
}
