// SPDX-License-Identifier: GPL-2.0
/* Many clients of one program: a process each, held at a gate until the last one is prepared. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenarios/stream/stream.h"

/* Who is prepared writes a byte to @ready; @go ends, for all of them at once, when it is closed. */
struct st_gate {
	int ready[2];
	int go[2];
};

void st_gate_wait(struct st_gate *gate)
{
	char byte = 0;

	if (!gate || write(gate->ready[1], &byte, 1) != 1)
		return;
	close(gate->ready[1]);
	while (read(gate->go[0], &byte, 1) < 0 && errno == EINTR)
		;
}

/* Until @n are prepared, or those that are left have ended without. */
static void wait_prepared(const struct st_gate *gate, unsigned int n)
{
	char bytes[256];

	while (n) {
		ssize_t got = read(gate->ready[0], bytes, n < sizeof(bytes) ? n : sizeof(bytes));

		if (got == 0 || (got < 0 && errno != EINTR))
			return;
		n -= got > 0 ? got : 0;
	}
}

/* All children, until none is left. */
static int worst_status(void)
{
	int worst = STREAM_OK;
	int status;

	while (wait(&status) > 0 || errno == EINTR) {
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : STREAM_FAILED;

		worst = code > worst ? code : worst;
	}
	return worst;
}

int st_crowd(unsigned int n, int (*client)(void *arg, struct st_gate *gate), void *arg)
{
	struct st_gate gate = { .ready = { -1, -1 }, .go = { -1, -1 } };
	unsigned int made = 0;
	int status;

	if (pipe(gate.ready) < 0 || pipe(gate.go) < 0) {
		fprintf(stderr, "stream fetch: pipe: %s\n", strerror(errno));
		return STREAM_FAILED; /* the process ends: nothing is left open */
	}
	for (; made < n; made++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			close(gate.go[1]);
			_exit(client(arg, &gate));
		}
	}
	if (made < n)
		fprintf(stderr, "stream fetch: client %u of %u: fork: %s\n", made + 1, n,
			strerror(errno));
	close(gate.ready[1]);
	close(gate.go[0]);
	wait_prepared(&gate, made);
	close(gate.go[1]);
	close(gate.ready[0]);
	status = worst_status();
	return made < n ? STREAM_FAILED : status;
}
