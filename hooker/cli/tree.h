/* SPDX-License-Identifier: GPL-2.0 */
/* A command's process tree in a cgroup of its own: whatever it starts is in there too. */
#ifndef HOOKER_TREE_H
#define HOOKER_TREE_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct hk_tree {
	char path[PATH_MAX]; /* of the cgroup */
	int events; /* its cgroup.events, which tells when the last process has gone; or -1 */
	pid_t pid;  /* of the command; 0 = not started, or waited for */
	bool started;
	sigset_t before; /* the signal mask of the caller's start */
	int ending;	 /* a signalfd of what would end the caller; or -1 */
};

/**
 * Makes the cgroup below @parent, or below the caller's own for NULL. Returns 0 or -errno, reported;
 * -EOPNOTSUPP: no cgroup v2. hk_tree_remove() afterwards, whatever it returns. In between SIGINT,
 * SIGTERM and SIGHUP are blocked, or they would leave the cgroup behind: wait with hk_tree_await().
 */
int hk_tree_create(struct hk_tree *tree, const char *parent);

/**
 * Waits until @fd can be read (-1: nothing), or for @timeout_ms (-1: for ever). Returns false as soon
 * as a signal is to end this process: hk_tree_remove() lets it.
 */
bool hk_tree_await(const struct hk_tree *tree, int fd, int timeout_ms);

/* In a child that is no command: signals are as they were before hk_tree_create(). */
void hk_tree_unblock(const struct hk_tree *tree);

/* Moves the calling process into the cgroup. Returns 0 or -errno. */
int hk_tree_enter(const struct hk_tree *tree);

/**
 * Starts @argv in the cgroup, with the signal mask and dispositions of the caller's start. A command
 * that can't be executed ends with 127 (not found) or 126, having said why. Returns 0 or -errno;
 * -EINTR: a signal is to end this process.
 */
int hk_tree_start(struct hk_tree *tree, char **argv);

/**
 * Waits until the command and all that it has started have ended; passes on signals that this process
 * gets from others. Returns the status of the command as waitpid() gives it.
 */
int hk_tree_wait(struct hk_tree *tree);

/**
 * Removes the cgroup if nothing is left in it. A signal that was to end this process does so now, unless
 * a command has run, whose end is the caller's.
 */
void hk_tree_remove(struct hk_tree *tree);

#endif
