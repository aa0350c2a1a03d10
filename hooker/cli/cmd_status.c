// SPDX-License-Identifier: GPL-2.0
/* hooker status: is it active? */
#include "hooker/cli/command.h"

#include <string.h>
#include <time.h>

#include "hooker/state/control.h"
#include "hooker/base/log.h"
#include "hooker/base/verdict.h"

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

static void print_uptime(const json_t *status)
{
	long long s = hk_number(status, "uptime_s");

	if (s >= 86400)
		printf("%lld d %lld h", s / 86400, s % 86400 / 3600);
	else if (s >= 3600)
		printf("%lld h %lld min", s / 3600, s % 3600 / 60);
	else if (s >= 60)
		printf("%lld min %lld s", s / 60, s % 60);
	else
		printf("%lld s", s);
}

static void print_head(const json_t *status)
{
	const char *configuration = hk_text(status, "configuration");
	const json_t *cgroup = json_object_get(status, "cgroup"), *interface;
	size_t i;

	printf("Hooker %s is active: pid %lld, up ", hk_text(status, "version"),
	       hk_number(status, "pid"));
	print_uptime(status);
	printf("\n\n  %-14s %s, %s by default", "redirects by", hk_text(status, "datapath"),
	       hk_text(status, "transport"));
	if (hk_number(status, "coverage"))
		printf(", coverage %lld", hk_number(status, "coverage"));
	printf("\n  %-14s %lld, from %s\n", "rules", hk_number(status, "rules"),
	       strcmp(configuration, "-") ? configuration : "the command line");
	printf("  %-14s %s\n", "cgroup", hk_text(cgroup, "path"));
	json_array_foreach(json_object_get(status, "interfaces"), i, interface)
		printf("  %-14s %s: %s, MTU %lld\n", i ? "" : "interfaces",
		       hk_text(interface, "name"), hk_text(interface, "receive"),
		       hk_number(interface, "mtu"));
}

static void print_programs(const json_t *status)
{
	const json_t *item;
	size_t i;

	printf("  %-14s", "programs");
	json_array_foreach(json_object_get(status, "programs"), i, item)
		printf("%s %s (%lld)", i ? "," : "", hk_text(item, "name"), hk_number(item, "id"));
	json_array_foreach(json_object_get(status, "deployed"), i, item)
		printf("\n  %-14s %s, since %s", i ? "" : "deployed", hk_text(item, "name"),
		       hk_text(item, "since"));
	putchar('\n');
}

/* "udp 3, tcp 1" */
static void print_counts(const char *name, const json_t *counts)
{
	const char *key, *comma = "";
	json_t *value;

	printf("  %-14s ", name);
	json_object_foreach((json_t *)counts, key, value) {
		if (!json_integer_value(value))
			continue;
		printf("%s%s %lld", comma, key, json_integer_value(value));
		comma = ", ";
	}
	printf("%s\n", *comma ? "" : "none");
}

static void print_connections(const json_t *status)
{
	const json_t *flows = json_object_get(status, "flows");

	printf("\nConnections\n  %-14s %lld\n", "open", hk_number(flows, "open"));
	print_counts("they use", json_object_get(flows, "by_transport"));
	print_counts("because of", json_object_get(flows, "by_reason"));
	printf("\nSince the start\n  %-14s %lld\n", "redirected", hk_number(status, "redirected"));
	print_counts("left on TCP", json_object_get(status, "plain"));
	print_counts("fell back", json_object_get(status, "fallbacks"));
}

/* Without a daemon that is the answer, not an error. */
static int not_running(void)
{
	static const char remedy[] =
		"start it with `hooker run`; `hooker doctor` says whether it can";

	if (hk_json())
		hk_print_json(
			json_pack("{s:i, s:b, s:s}", "schema", 1, "running", 0, "remedy", remedy));
	else
		printf("Hooker is not active in this network namespace\n  %s\n", remedy);
	return HK_EXIT_FAILURE;
}

int cmd_status(int argc, char **argv)
{
	json_t *status;

	hk_parse(argc, argv, 0, NULL);
	if (!hk_control_is_served())
		return not_running();
	if (hk_control_call(json_pack("{s:s}", "command", "status"), &status))
		return HK_EXIT_FAILURE;
	if (hk_json())
		return hk_print_json(status);
	print_head(status);
	print_programs(status);
	print_connections(status);
	printf("\nHealth\n");
	hk_verdict_print(json_object_get(status, "health"));
	json_decref(status);
	return HK_EXIT_OK;
}
