/* SPDX-License-Identifier: GPL-2.0 */
/* The subcommands of `hooker`: the table in main.c, and what all of them share. */
#ifndef HOOKER_COMMAND_H
#define HOOKER_COMMAND_H

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <jansson.h>

#include "hooker/base/exit.h"
#include "hooker/base/json.h"

#define HK_EXAMPLES_MAX 4

struct hk_example {
	const char *command;
	const char *purpose; /* completes "to …" */
};

/*
 * All that is known of a subcommand: --help, `hooker help --json`, and through it the man page and
 * the completion come from here. The description up to \v precedes the options, the rest follows.
 */
struct hk_command {
	const char *group;
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the name; returns the exit code */
	const struct argp *argp;
	const char *summary;
	bool json; /* knows --json */
	struct hk_example examples[HK_EXAMPLES_MAX];
};

/* Ends with an entry without a name. */
extern const struct hk_command hk_commands[];

/**
 * Parses the options of the command that runs, --json among them. Ends the program with
 * HK_EXIT_USAGE if they are wrong and after --help. @input is for the command's own parser;
 * @flags as for argp_parse().
 */
void hk_parse(int argc, char **argv, unsigned int flags, void *input);

/* Was --json given? Then stdout gets one JSON object, or one a line. */
bool hk_json(void);

/* Prints @object as JSON, indented, and releases it. Returns HK_EXIT_OK. */
int hk_print_json(json_t *object);

/* Exit code for a -errno: 4 where kernel or machine lack something, else 1. */
int hk_exit_code(int err);

/* Runs the command of the table that argv[1] names; returns the exit code. */
int hk_command_run(const struct hk_command *command, int argc, char **argv);

/* Every command for people. */
void hk_help(FILE *to);

int cmd_run(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_rules(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_flows(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_deploy(int argc, char **argv);
int cmd_undeploy(int argc, char **argv);
int cmd_transports(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_version(int argc, char **argv);

extern const struct argp cmd_run_argp, cmd_reload_argp, cmd_rules_argp, cmd_status_argp,
	cmd_flows_argp, cmd_check_argp, cmd_doctor_argp, cmd_stats_argp, cmd_metrics_argp,
	cmd_events_argp, cmd_deploy_argp, cmd_undeploy_argp, cmd_transports_argp, cmd_help_argp,
	cmd_version_argp;

#endif
