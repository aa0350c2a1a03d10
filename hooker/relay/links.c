// SPDX-License-Identifier: GPL-2.0
/*
 * Which links there are: made for who needs one, accepted from who may have frames for us, ended when nobody
 * needs them. What travels on one is in link.c.
 */
#include "hooker/relay/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <jansson.h>
#include <utlist.h>

#include "hooker/base/log.h"

#define LINKS_MAX  4096
#define LINKS_EACH 8 /* accepted from one address; what has proven nothing makes room */
#define NS_PER_S   1000000000ull
#define IDLE_NS	   (30 * NS_PER_S) /* without a connection on it */
#define PROVE_NS   (10 * NS_PER_S) /* accepted, and not one frame of a connection of ours */

/* Any process of the peer's host may have connected to us: nobody is there before a frame says so. */
static bool is_stranger(const struct link *link)
{
	return !link->ours && !link->proven;
}

static struct link *find(const struct links *links, uint32_t local_ip4, uint32_t remote_ip4)
{
	struct link *link, *found = NULL;

	DL_FOREACH(links->all, link)
	if (link->local_ip4 == local_ip4 && link->remote_ip4 == remote_ip4 && !is_stranger(link) &&
	    (!found || link->up))
		found = link;
	return found;
}

static int connect_to(uint32_t local_ip4, uint32_t remote_ip4)
{
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = local_ip4 };
	struct sockaddr_in remote = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = remote_ip4,
		.sin_port = htons(HK_RELAY_PORT),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return -errno;
	link_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	/* The peer takes frames from the connection's own address only. */
	if (!bind(fd, (struct sockaddr *)&local, sizeof(local)) &&
	    (!connect(fd, (struct sockaddr *)&remote, sizeof(remote)) || errno == EINPROGRESS))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int link_get(struct link **out, struct loop *loop, uint32_t local_ip4, uint32_t remote_ip4)
{
	struct link *link = find(loop->links, local_ip4, remote_ip4);
	int fd;

	*out = link;
	if (link)
		return 0;
	loop->links->connects++;
	fd = connect_to(local_ip4, remote_ip4);
	if (fd < 0) {
		loop->links->failures++;
		return fd;
	}
	*out = link = link_new(loop, fd, local_ip4, remote_ip4);
	if (!link)
		return -ENOMEM;
	link->ours = true;
	if (!link_await(link))
		return 0;
	link_release(link);
	*out = NULL;
	return -ENOMEM;
}

/* May one more be accepted from there? The oldest stranger leaves if need be: eight must not keep the daemon out. */
static bool make_room(struct links *links, uint32_t remote_ip4)
{
	struct link *link, *stranger = NULL;
	unsigned int count = 0;

	DL_FOREACH(links->all, link)
	if (!link->ours && link->remote_ip4 == remote_ip4) {
		count++;
		if (is_stranger(link) && !stranger)
			stranger = link;
	}
	if (count < LINKS_EACH)
		return links->count < LINKS_MAX;
	if (!stranger)
		return false;
	links->strangers++;
	link_drop(stranger, ECONNABORTED);
	return true;
}

/* Only who may have frames for us is let in: a host with a connection here. */
static void take_link(struct links *links, int fd, uint32_t remote_ip4)
{
	struct sockaddr_in local;
	socklen_t len = sizeof(local);
	struct link *link;

	loop_consume_events(links->loop);
	if (getsockname(fd, (struct sockaddr *)&local, &len) ||
	    !path_known(links->loop, remote_ip4) || !make_room(links, remote_ip4)) {
		links->strangers++;
		close(fd);
		return;
	}
	link = link_new(links->loop, fd, local.sin_addr.s_addr, remote_ip4);
	if (!link)
		return;
	links->accepted++;
	link_greet(link);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct links *links = arg;
	struct sockaddr_in remote;
	socklen_t len = sizeof(remote);
	int peer;

	(void)what;
	while ((peer = accept4(fd, (struct sockaddr *)&remote, &len,
			       SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		take_link(links, peer, remote.sin_addr.s_addr);
		len = sizeof(remote);
	}
	loop_settle(links->loop);
}

static bool is_useless(const struct link *link, uint64_t now)
{
	if (!link->ours)
		return is_stranger(link) && now - link->opened_at > PROVE_NS;
	return link->up && now - link->used_at > IDLE_NS && !fallback_uses(link->loop, link);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct links *links = arg;
	struct link *link, *next;
	uint64_t now = relay_now();

	(void)fd, (void)what;
	DL_FOREACH_SAFE(links->all, link, next)
	if (is_useless(link, now))
		link_drop(link, ETIMEDOUT);
	loop_settle(links->loop);
}

json_t *links_stats_json(const struct links *links)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "open",
			 (json_int_t)links->count, "connects", (json_int_t)links->connects,
			 "failures", (json_int_t)links->failures, "accepted",
			 (json_int_t)links->accepted, "strangers", (json_int_t)links->strangers,
			 "sent", (json_int_t)links->sent, "received", (json_int_t)links->received,
			 "malformed", (json_int_t)links->malformed);
}

void links_close(struct links *links)
{
	struct link *link, *next;

	if (!links)
		return;
	DL_FOREACH_SAFE(links->all, link, next)
	{
		link_flush(link);
		link_release(link);
	}
	if (links->acceptable)
		event_free(links->acceptable);
	if (links->tick)
		event_free(links->tick);
	if (links->listener >= 0)
		close(links->listener);
	free(links);
}

static int open_listener(struct links *links)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	links->listener = fd;
	if (fd < 0)
		return -errno;
	link_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	err = loop_bind(links->loop, fd, HK_RELAY_PORT);
	if (!err && listen(fd, 64))
		err = -errno;
	err = err ?: loop_share(links->loop, fd);
	if (err)
		hk_error("can't listen on TCP port %u: %s%s", HK_RELAY_PORT, strerror(-err),
			 err == -EADDRINUSE ? "; is another Hooker running here?" : "");
	return err;
}

int links_open(struct links **out, struct loop *loop)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct links *links = calloc(1, sizeof(*links));
	int err;

	if (!links)
		return -ENOMEM;
	links->loop = loop;
	err = open_listener(links);
	if (!err) {
		links->acceptable = event_new(loop->base, links->listener, EV_READ | EV_PERSIST,
					      on_acceptable, links);
		links->tick = event_new(loop->base, -1, EV_PERSIST, on_tick, links);
		if (!links->acceptable || !links->tick || event_add(links->acceptable, NULL) ||
		    event_add(links->tick, &second))
			err = -ENOMEM;
	}
	if (err) {
		links_close(links);
		return err;
	}
	*out = links;
	return 0;
}
