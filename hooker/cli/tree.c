// SPDX-License-Identifier: GPL-2.0
#include "hooker/cli/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hooker/hooks/cgroup.h"
#include "hooker/base/log.h"

/* Those that somebody may mean for the command. */
static const int passed_on[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
				 SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH };

#define PASSED_ON_COUNT (sizeof(passed_on) / sizeof(passed_on[0]))

static void handled_signals(sigset_t *set)
{
	size_t i;

	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (i = 0; i < PASSED_ON_COUNT; i++)
		sigaddset(set, passed_on[i]);
}

/* What ends this process by itself, unless it was told to ignore that. */
static void block_ending(struct hk_tree *tree)
{
	static const int ending[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction action;
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		if (!sigaction(ending[i], NULL, &action) && action.sa_handler == SIG_DFL)
			sigaddset(&set, ending[i]);
	sigprocmask(SIG_BLOCK, &set, &tree->before);
	tree->ending = signalfd(-1, &set, SFD_CLOEXEC);
}

void hk_tree_unblock(const struct hk_tree *tree)
{
	sigprocmask(SIG_SETMASK, &tree->before, NULL);
}

bool hk_tree_await(const struct hk_tree *tree, int fd, int timeout_ms)
{
	struct pollfd fds[2] = { { .fd = tree->ending, .events = POLLIN },
				 { .fd = fd, .events = POLLIN } };

	while (poll(fds, 2, timeout_ms) < 0 && errno == EINTR)
		;
	return !fds[0].revents;
}

/* Those of processes that were killed. One that is in use can't be removed. */
static void sweep(const char *parent)
{
	DIR *folder = opendir(parent);
	struct dirent *entry;
	int pid, end;

	while (folder && (entry = readdir(folder))) {
		end = 0;
		if (sscanf(entry->d_name, "hooker-run-%d%n", &pid, &end) == 1 && pid > 0 &&
		    !entry->d_name[end] && kill(pid, 0) && errno == ESRCH)
			unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
	}
	if (folder)
		closedir(folder);
}

/* The caller's cgroup in the v2 hierarchy: "0::/path" relative to its root. */
static int own_cgroup(char *path, size_t size)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char root[PATH_MAX], line[PATH_MAX];
	int err = -EOPNOTSUPP;

	if (!hk_cgroup_root(root, sizeof(root))) {
		hk_error("no cgroup v2 is mounted; mount one: mount -t cgroup2 none /mnt");
		goto out;
	}
	while (file && err && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "0::", 3))
			continue;
		if (snprintf(path, size, "%s%s", root, strcmp(line + 3, "/") ? line + 3 : "") <
		    (int)size)
			err = 0;
	}
	if (err)
		hk_error("this process is in no cgroup v2");
out:
	if (file)
		fclose(file);
	return err;
}

int hk_tree_create(struct hk_tree *tree, const char *parent)
{
	char own[PATH_MAX - 64], name[PATH_MAX + 16];
	int err;

	memset(tree, 0, sizeof(*tree));
	tree->events = -1;
	block_ending(tree);
	if (!parent) {
		err = own_cgroup(own, sizeof(own));
		if (err)
			return err;
		parent = own;
	}
	sweep(parent);
	snprintf(tree->path, sizeof(tree->path), "%.4000s/hooker-run-%d", parent, getpid());
	if (mkdir(tree->path, 0755) && errno != EEXIST) {
		err = -errno;
		hk_error("can't make the cgroup '%s': %s", tree->path, strerror(-err));
		if (err == -EACCES || err == -EPERM)
			hk_hint("Hooker needs root");
		tree->path[0] = 0;
		return err;
	}
	snprintf(name, sizeof(name), "%s/cgroup.events", tree->path);
	tree->events = open(name, O_RDONLY | O_CLOEXEC);
	return tree->events < 0 ? -errno : 0;
}

int hk_tree_enter(const struct hk_tree *tree)
{
	char name[PATH_MAX + 16];
	int fd, err;

	snprintf(name, sizeof(name), "%s/cgroup.procs", tree->path);
	fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = write(fd, "0", 1) == 1 ? 0 : -errno;
	close(fd);
	return err;
}

int hk_tree_start(struct hk_tree *tree, char **argv)
{
	sigset_t handled;
	int err;

	if (!hk_tree_await(tree, -1, 0))
		return -EINTR;
	/* Blocked before the command can end, so that no SIGCHLD is missed. */
	handled_signals(&handled);
	sigprocmask(SIG_BLOCK, &handled, NULL);
	tree->pid = fork();
	if (tree->pid < 0) {
		tree->pid = 0;
		return -errno;
	}
	if (tree->pid) {
		tree->started = true;
		return 0;
	}
	hk_tree_unblock(tree);
	err = hk_tree_enter(tree);
	if (err) {
		hk_error("can't enter the cgroup '%s': %s", tree->path, strerror(-err));
		_exit(126);
	}
	execvp(argv[0], argv);
	hk_error("can't run '%s': %s", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static bool is_empty(const struct hk_tree *tree)
{
	char text[256];
	ssize_t n = pread(tree->events, text, sizeof(text) - 1, 0);

	if (n < 0)
		return true; /* the cgroup is gone */
	text[n] = 0;
	return strstr(text, "populated 0") != NULL;
}

/* The command, or once that has ended, what it left behind. */
static void pass_on(const struct hk_tree *tree, int signo)
{
	char name[PATH_MAX + 16];
	FILE *procs;
	int pid;

	if (tree->pid) {
		kill(tree->pid, signo);
		return;
	}
	snprintf(name, sizeof(name), "%s/cgroup.procs", tree->path);
	procs = fopen(name, "re");
	while (procs && fscanf(procs, "%d", &pid) == 1)
		kill(pid, signo);
	if (procs)
		fclose(procs);
}

static void take_signal(struct hk_tree *tree, int fd, int *status)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGCHLD) {
		/* The terminal's go to the command itself as well. */
		if (info.ssi_code != SI_KERNEL)
			pass_on(tree, info.ssi_signo);
		return;
	}
	if (tree->pid && waitpid(tree->pid, status, WNOHANG) == tree->pid) {
		tree->pid = 0;
		if (!is_empty(tree))
			hk_info("the command has ended, processes that it left have not: Hooker "
				"stays until they do");
	}
}

int hk_tree_wait(struct hk_tree *tree)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .fd = tree->events, .events = POLLPRI } };
	sigset_t handled;
	int status = 0;

	handled_signals(&handled);
	fds[0].fd = signalfd(-1, &handled, SFD_CLOEXEC);
	while (tree->pid || !is_empty(tree)) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			take_signal(tree, fds[0].fd, &status);
	}
	close(fds[0].fd);
	return status;
}

void hk_tree_remove(struct hk_tree *tree)
{
	if (tree->events >= 0)
		close(tree->events);
	tree->events = -1;
	if (tree->path[0] && rmdir(tree->path))
		hk_debug("can't remove the cgroup '%s': %s", tree->path, strerror(errno));
	close(tree->ending);
	if (!tree->started)
		hk_tree_unblock(tree);
}
