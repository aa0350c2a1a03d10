/* SPDX-License-Identifier: GPL-2.0 */
/* The subcommands of `hooker`. Each gets argv[0] = its own name and returns the exit code. */
#ifndef HOOKER_COMMAND_H
#define HOOKER_COMMAND_H

#include <jansson.h>

#define HK_EXIT_OK	    0
#define HK_EXIT_FAILURE	    1
#define HK_EXIT_USAGE	    2
#define HK_EXIT_UNSUPPORTED 4

int cmd_run(int argc, char **argv);
int cmd_flows(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_rules(int argc, char **argv);
int cmd_deploy(int argc, char **argv);
int cmd_undeploy(int argc, char **argv);
int cmd_transports(int argc, char **argv);
int cmd_version(int argc, char **argv);

/* Exit code for a -errno: 4 where kernel or machine lack something, else 1. */
int hk_exit_code(int err);

#endif
