// SPDX-License-Identifier: GPL-2.0
/* `stream`: serve, fetch and generate files over plain TCP. Each subcommand has --help. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "scenarios/stream/stream.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "serve", cmd_serve, "serve the files of a folder, and take what clients push" },
	{ "fetch", cmd_fetch, "fetch or push one file, print one line of JSON" },
	{ "generate", cmd_generate, "write a text, image or video file of a given size" },
};

static void usage(FILE *out)
{
	fprintf(out, "usage: stream COMMAND [OPTION...]\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "`stream COMMAND --help` says more.\n");
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		usage(stderr);
		return STREAM_USAGE;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return STREAM_OK;
	}
	fprintf(stderr, "stream: no command '%s'\n", argv[1]);
	usage(stderr);
	return STREAM_USAGE;
}
