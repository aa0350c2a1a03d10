// SPDX-License-Identifier: GPL-2.0
/* hooker: moves the traffic of unmodified TCP applications onto another transport. */
#include "hooker/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{ "run", cmd_run, "attach to this host and redirect its TCP connections" },
	{ "flows", cmd_flows, "show each connection's transport and the reason for it" },
	{ "stats", cmd_stats, "show counters" },
	{ "rules", cmd_rules, "show which connections use what, or change it" },
	{ "deploy", cmd_deploy,
	  "put a transport into the running kernel, or replace a step of it" },
	{ "undeploy", cmd_undeploy, "take it out again" },
	{ "transports", cmd_transports,
	  "show what is native, what is deployed, what its steps did" },
	{ "version", cmd_version, "show versions" },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	size_t i;

	fprintf(to, "Usage: hooker COMMAND [OPTION...]\n\nCommands:\n");
	for (i = 0; i < COMMAND_COUNT; i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fprintf(to, "  %-10s %s\n\n`hooker COMMAND --help` explains each.\n", "help",
		"show this help");
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

int cmd_version(int argc, char **argv)
{
	(void)argc, (void)argv;
	printf("hooker %s\n", HOOKER_VERSION);
	return HK_EXIT_OK;
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc < 2) {
		usage(stderr);
		return HK_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		usage(stdout);
		return HK_EXIT_OK;
	}
	for (i = 0; i < COMMAND_COUNT; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "hooker: no command '%s'\n", argv[1]);
	usage(stderr);
	return HK_EXIT_USAGE;
}
