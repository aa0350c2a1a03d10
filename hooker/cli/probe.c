// SPDX-License-Identifier: GPL-2.0
#include "hooker/cli/probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hooker/base/log.h"
#include "hooker/cli/tree.h"

struct result {
	int error;
	double connect_ms;
	uint64_t cookie;
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static int connect_within(int fd, const struct sockaddr *to, socklen_t length, double timeout_s)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(int);
	int error = 0;

	if (!connect(fd, to, length))
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (poll(&wait, 1, timeout_s * 1000) <= 0)
		return ETIMEDOUT;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error;
}

/* The process in the cgroup: connects, tells, does as told. */
static void probe(const struct hk_tree *tree, const struct sockaddr *to, socklen_t length,
		  double timeout_s, int results, int orders)
{
	struct result result = { 0 };
	socklen_t size = sizeof(result.cookie);
	int fd;
	char byte;

	result.error = -hk_tree_enter(tree);
	fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (!result.error && fd < 0)
		result.error = errno;
	result.connect_ms = now_ms();
	if (!result.error)
		result.error = connect_within(fd, to, length, timeout_s);
	result.connect_ms = now_ms() - result.connect_ms;
	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &result.cookie, &size);
	if (write(results, &result, sizeof(result)) != sizeof(result))
		return;
	while (read(orders, &byte, 1) == 1)
		shutdown(fd, SHUT_WR);
}

int hk_probe_start(struct hk_probe *out, const struct hk_tree *tree, const struct sockaddr *to,
		   socklen_t length, double timeout_s)
{
	int results[2], orders[2];
	struct result result;
	ssize_t got;

	memset(out, 0, sizeof(*out));
	if (pipe(results) || pipe(orders))
		return -errno;
	out->pid = fork();
	if (out->pid < 0)
		return -errno;
	if (!out->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		hk_tree_unblock(tree);
		close(results[0]);
		close(orders[1]);
		probe(tree, to, length, timeout_s, results[1], orders[0]);
		_exit(0);
	}
	close(results[1]);
	close(orders[0]);
	out->orders = orders[1];
	if (!hk_tree_await(tree, results[0], -1)) {
		close(results[0]);
		kill(out->pid, SIGKILL);
		hk_probe_end(out);
		return -EINTR;
	}
	got = read(results[0], &result, sizeof(result));
	close(results[0]);
	if (got != sizeof(result)) {
		hk_error("the probing process has ended");
		hk_probe_end(out);
		return -ECHILD;
	}
	out->error = result.error;
	out->connect_ms = result.connect_ms;
	out->cookie = result.cookie;
	return 0;
}

void hk_probe_shut(struct hk_probe *probe)
{
	(void)!write(probe->orders, "", 1);
}

void hk_probe_end(struct hk_probe *probe)
{
	close(probe->orders);
	while (waitpid(probe->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
