// SPDX-License-Identifier: GPL-2.0
/* hooker stats, hooker metrics, hooker reload: one question to the daemon each. */
#include "hooker/cli/command.h"

#include <string.h>

#include "hooker/state/control.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)key, (void)arg, (void)state;
	return ARGP_ERR_UNKNOWN;
}

static void print_tree(const json_t *object, const char *prefix)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value) {
		char name[128];

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", key);
		if (json_is_object(value))
			print_tree(value, name);
		else if (json_is_string(value))
			printf("%-40s %s\n", name, json_string_value(value));
		else
			printf("%-40s %lld\n", name,
			       json_is_boolean(value) ? (long long)json_is_true(value) :
							json_integer_value(value));
	}
}

const struct argp cmd_stats_argp = {
	.parser = parse,
	.doc = "Shows counters: packets, messages and connections by reason.",
};

int cmd_stats(int argc, char **argv)
{
	json_t *reply;

	hk_parse(argc, argv, 0, NULL);
	if (hk_control_call(json_pack("{s:s}", "command", "stats"), &reply))
		return HK_EXIT_FAILURE;
	if (hk_json())
		return hk_print_json(reply);
	print_tree(reply, "");
	json_decref(reply);
	return HK_EXIT_OK;
}

const struct argp cmd_metrics_argp = {
	.parser = parse,
	.doc = "Prints the daemon's counters in Prometheus' text exposition format, what `hooker run "
	       "--metrics` serves over HTTP.",
};

int cmd_metrics(int argc, char **argv)
{
	json_t *reply;

	hk_parse(argc, argv, 0, NULL);
	if (hk_control_call(json_pack("{s:s}", "command", "metrics"), &reply))
		return HK_EXIT_FAILURE;
	fputs(hk_text(reply, "text"), stdout);
	json_decref(reply);
	return HK_EXIT_OK;
}

const struct argp cmd_reload_argp = {
	.parser = parse,
	.doc = "Makes the daemon read its configuration again, as SIGHUP does. Live connections keep what "
	       "they have."
	       "\vA configuration with a fault changes nothing. What can't change while Hooker runs is "
	       "named.",
};

static void print_names(const char *what, const json_t *names)
{
	const json_t *name;
	size_t i;

	if (!json_array_size(names))
		return;
	fputs(what, stdout);
	json_array_foreach(names, i, name)
		printf(" %s", json_string_value(name));
	putchar('\n');
}

int cmd_reload(int argc, char **argv)
{
	json_t *reply;

	hk_parse(argc, argv, 0, NULL);
	if (hk_control_call(json_pack("{s:s}", "command", "reload"), &reply))
		return hk_control_exit_code();
	if (hk_json())
		return hk_print_json(reply);
	if (!json_array_size(json_object_get(reply, "changed")))
		printf("nothing changes\n");
	print_names("changed:", json_object_get(reply, "changed"));
	print_names("needs a restart:", json_object_get(reply, "needs_restart"));
	json_decref(reply);
	return HK_EXIT_OK;
}
