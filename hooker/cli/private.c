// SPDX-License-Identifier: GPL-2.0
#include "hooker/cli/private.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hooker/cli/tree.h"
#include "hooker/daemon/daemon.h"

int hk_private_start(pid_t *pid, const struct hk_tree *tree, struct hk_settings *settings,
		     const struct hk_config_source *source)
{
	pid_t parent = getpid();
	int ready[2], status = 0, err = 0;
	ssize_t got;
	char byte;

	if (pipe(ready))
		return -errno;
	fflush(NULL);
	*pid = fork();
	if (*pid < 0)
		return -errno;
	if (!*pid) {
		close(ready[0]);
		hk_tree_unblock(tree);
		/* Not in the terminal's foreground: Ctrl-C is for the command, which may survive it. */
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(1);
		err = -hk_daemon_run(settings, source, ready[1]);
		fflush(NULL);
		_exit(err > 0 && err < 256 ? err : 0);
	}
	close(ready[1]);
	if (!hk_tree_await(tree, ready[0], -1)) {
		close(ready[0]);
		hk_private_stop(*pid);
		return -EINTR;
	}
	got = read(ready[0], &byte, 1);
	close(ready[0]);
	if (got == 1)
		return 0;
	/* It has ended, or is about to, and has said why. */
	while (waitpid(*pid, &status, 0) < 0 && errno == EINTR)
		;
	err = WIFEXITED(status) ? -WEXITSTATUS(status) : 0;
	return err ?: -ECHILD;
}

void hk_private_stop(pid_t pid)
{
	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
