// SPDX-License-Identifier: GPL-2.0
/* hooker run -- COMMAND: one command and whatever it starts, nothing else on the host. */
#include "hooker/cli/run_command.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hooker/cli/command.h"
#include "hooker/config/config.h"
#include "hooker/state/control.h"
#include "hooker/base/log.h"
#include "hooker/cli/private.h"
#include "hooker/cli/tree.h"

/* As the command ended, so do we: a shell must see the same. */
static int end_like(int status)
{
	static const struct rlimit no_core = { 0 };
	sigset_t set;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	setrlimit(RLIMIT_CORE, &no_core);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, WTERMSIG(status));
	kill(getpid(), WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return HK_EXIT_FAILURE;
}

static int run_private(char **argv, struct hk_settings *settings,
		       const struct hk_config_source *source)
{
	struct hk_tree tree;
	pid_t daemon;
	int status, err;

	err = hk_tree_create(&tree, settings->options.cgroup);
	if (err)
		goto out;
	settings->options.cgroup = tree.path;
	settings->options.fresh_cgroup = true;
	err = hk_private_start(&daemon, &tree, settings, source);
	if (err)
		goto out;
	err = hk_tree_start(&tree, argv);
	status = err ? 0 : hk_tree_wait(&tree);
	hk_private_stop(daemon);
	hk_tree_remove(&tree);
	return err ? hk_exit_code(err) : end_like(status);
out:
	hk_tree_remove(&tree);
	return hk_exit_code(err);
}

/* Two can't be attached to the same interfaces: the one that is there does it, by its rules. */
static int run_joined(char **argv, const struct hk_config_source *source)
{
	struct hk_tree tree;
	int err, status = 0;
	json_t *reply;

	if (source->given_count || source->path || source->rules_path) {
		hk_error("a Hooker runs in this network namespace already, and would redirect the "
			 "command by its own settings: leave out the options, or stop it");
		return HK_EXIT_USAGE;
	}
	if (hk_control_call(json_pack("{s:s}", "command", "status"), &reply))
		return HK_EXIT_FAILURE;
	err = hk_tree_create(&tree, hk_text(json_object_get(reply, "cgroup"), "path"));
	json_decref(reply);
	if (!err)
		err = hk_tree_start(&tree, argv);
	if (!err)
		status = hk_tree_wait(&tree);
	hk_tree_remove(&tree);
	return err ? hk_exit_code(err) : end_like(status);
}

int hk_run_command(char **argv, struct hk_settings *settings, const struct hk_config_source *source)
{
	if (hk_control_is_served())
		return run_joined(argv, source);
	return run_private(argv, settings, source);
}
