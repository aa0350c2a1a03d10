// SPDX-License-Identifier: GPL-2.0
/* What is known about remote hosts, shared by the connections to each and kept a while without any. */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <stdlib.h>

#define TICK_S 60

struct path *path_get(struct loop *loop, uint32_t remote_ip4)
{
	struct path *path;

	HASH_FIND(hh, loop->paths, &remote_ip4, sizeof(remote_ip4), path);
	if (!path) {
		path = calloc(1, sizeof(*path));
		if (!path)
			return NULL; /* a connection without memory of its path works, too */
		path->remote_ip4 = remote_ip4;
		HASH_ADD(hh, loop->paths, remote_ip4, sizeof(path->remote_ip4), path);
	}
	path->users++;
	return path;
}

void path_put(struct path *path)
{
	if (path)
		path->users--;
}

bool path_known(const struct loop *loop, uint32_t remote_ip4)
{
	struct path *path;

	HASH_FIND(hh, loop->paths, &remote_ip4, sizeof(remote_ip4), path);
	return path && path->users;
}

static void forget(struct loop *loop, struct path *path)
{
	HASH_DEL(loop->paths, path);
	free(path);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	struct path *path, *next;
	uint64_t now = relay_now();

	(void)fd, (void)what;
	HASH_ITER(hh, loop->paths, path, next) {
		if (!rdt_path_age(&path->rdt, now) && !path->users)
			forget(loop, path);
	}
}

int paths_open(struct loop *loop)
{
	static const struct timeval period = { .tv_sec = TICK_S };

	loop->paths_tick = event_new(loop->base, -1, EV_PERSIST, on_tick, loop);
	return loop->paths_tick && !event_add(loop->paths_tick, &period) ? 0 : -ENOMEM;
}

void paths_close(struct loop *loop)
{
	struct path *path, *next;

	if (loop->paths_tick)
		event_free(loop->paths_tick);
	HASH_ITER(hh, loop->paths, path, next) {
		forget(loop, path);
	}
}
