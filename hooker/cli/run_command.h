/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOOKER_RUN_COMMAND_H
#define HOOKER_RUN_COMMAND_H

struct hk_config_source;
struct hk_settings;

/**
 * Runs @argv in a cgroup of its own, redirected: by the Hooker that runs in this network namespace if
 * one does, else by one for this cgroup only. Returns the command's exit code; ends by its signal if it
 * ended by one.
 */
int hk_run_command(char **argv, struct hk_settings *settings,
		   const struct hk_config_source *source);

#endif
