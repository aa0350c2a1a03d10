// SPDX-License-Identifier: GPL-2.0
/*
 * The carrier for paths that swallow datagrams: one TCP connection between two daemons, with the frames
 * of all their connections one after another (bpf/wire.h). Which connections travel on it is decided
 * in fallback.c.
 *
 * A link is up once the accepting daemon's greeting has come: the kernel alone accepts connections for
 * a daemon that is stopped, and what answers on that port might be no daemon at all.
 */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/bufferevent.h>
#include <jansson.h>
#include <utlist.h>

#include "hooker/base/log.h"

#define QUEUE_BYTES  (256 * 1024) /* that much may wait here, and as much in the kernel, unsent */
#define TURN_BYTES   (64 * 1024)  /* then another connection may send */
#define READ_BYTES   (256 * 1024)
#define CONNECT_S    3	  /* a SYN, its repetition, the greeting */
#define PEER_SILENCE 8000 /* ms without an acknowledgement from the peer's TCP */
#define LINKS_MAX    4096
#define LINKS_EACH   8 /* accepted from one address; what has proven nothing makes room */
#define NS_PER_S     1000000000ull
#define IDLE_NS	     (30 * NS_PER_S) /* without a connection on it */
#define PROVE_NS     (10 * NS_PER_S) /* accepted, and not one frame of a connection of ours */

struct link {
	struct hk_relay *relay;
	uint32_t local_ip4, remote_ip4;
	struct bufferevent *bev;
	bool up;
	bool ours;	      /* connected by this end, which also closes it when idle */
	bool proven;	      /* a frame for a connection of ours has come */
	struct conn *waiting; /* for room to send, in turn */
	uint64_t opened_at, used_at;
	struct link *prev, *next;
};

struct links {
	struct hk_relay *relay;
	int listener;
	struct event *acceptable, *tick;
	struct link *all;
	unsigned int count;
	uint64_t connects, failures, accepted, strangers, sent, received, malformed;
};

static void set_int(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		hk_debug("link: socket option %d: %s", option, strerror(errno));
}

static void detach(struct link *link)
{
	DL_DELETE(link->relay->links->all, link);
	link->relay->links->count--;
}

static void release(struct link *link)
{
	bufferevent_free(link->bev);
	free(link);
}

/* Settle afterwards. */
static void drop(struct link *link, int err)
{
	hk_debug("link: %s", strerror(err));
	detach(link); /* first: those on it look for another */
	fallback_link_down(link->relay, link, err);
	release(link);
}

static void down(struct link *link, int err)
{
	struct hk_relay *relay = link->relay;

	if (!link->up)
		relay->links->failures++;
	drop(link, err);
	relay_settle(relay);
}

/* ---- sending ---- */

static size_t queued(const struct link *link)
{
	return evbuffer_get_length(bufferevent_get_output(link->bev));
}

static void wait_for_room(struct conn *conn)
{
	if (conn->in_queue)
		return;
	conn->in_queue = true;
	DL_APPEND2(conn->link->waiting, conn, queue_prev, queue_next);
}

void link_forget(struct conn *conn)
{
	if (!conn->in_queue)
		return;
	conn->in_queue = false;
	DL_DELETE2(conn->link->waiting, conn, queue_prev, queue_next);
}

void link_send(struct conn *conn, uint64_t now)
{
	struct link *link = conn->link;
	struct rdt_datagram out;
	size_t sent = 0;
	int i;

	link->used_at = now;
	for (;;) {
		if (queued(link) >= QUEUE_BYTES || sent >= TURN_BYTES) {
			wait_for_room(conn);
			return;
		}
		if (rdt_output(conn->rdt, now, &out) <= 0)
			break;
		for (i = 0; i < out.niov; i++)
			bufferevent_write(link->bev, out.iov[i].iov_base, out.iov[i].iov_len);
		sent += out.len;
		link->relay->links->sent++;
	}
	link_forget(conn);
}

/* There is room again: one turn each, in the order they came. */
static void on_room(struct bufferevent *bev, void *arg)
{
	struct link *link = arg;
	struct conn *conn;

	(void)bev;
	while (link->waiting && queued(link) < QUEUE_BYTES) {
		conn = link->waiting;
		link_forget(conn);
		conn_touch(conn);
		relay_settle(link->relay);
	}
}

/* ---- receiving ---- */

/* One frame at the head of @in. Returns its size, 0 = not all there, -EPROTO: close. */
static int take_frame(struct link *link, struct evbuffer *in, struct pending *pending, uint64_t now)
{
	size_t have = evbuffer_get_length(in), head = sizeof(struct hk_frame);
	struct rdt_datagram reply;
	struct rdt_frame frame;
	int size, ret;

	size = rdt_frame_size(evbuffer_pullup(in, have < head ? (ssize_t)have : (ssize_t)head),
			      have < head ? have : head);
	if (size <= 0 || (size_t)size > have)
		return size < 0 ? -EPROTO : 0;
	if (rdt_frame_parse(evbuffer_pullup(in, size), size, &frame))
		return -EPROTO;
	link->relay->links->received++;
	ret = input_frame(pending, now, &frame, link->remote_ip4, NULL, link, &reply);
	if (ret < 0)
		return -EPROTO;
	if (ret)
		bufferevent_write(link->bev, reply.hdr, reply.len);
	else
		link->proven = true;
	input_flush(pending, now); /* while the bytes are where they are */
	evbuffer_drain(in, size);
	return size;
}

/* Returns 0 = it is still to come, 1 = the link is up, -EPROTO. */
static int take_greeting(struct link *link, struct evbuffer *in)
{
	struct hk_link_greeting greeting;

	if (link->up)
		return 1;
	if (evbuffer_get_length(in) < sizeof(greeting))
		return 0;
	evbuffer_remove(in, &greeting, sizeof(greeting));
	if (greeting.magic != htons(HK_OPT_EXID) || greeting.version != HK_WIRE_VERSION)
		return -EPROTO;
	bufferevent_set_timeouts(link->bev, NULL, NULL);
	link->up = true;
	fallback_link_up(link->relay, link);
	return 1;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct link *link = arg;
	struct hk_relay *relay = link->relay;
	struct pending pending = { .relay = relay };
	struct evbuffer *in = bufferevent_get_input(bev);
	uint64_t now = relay_now();
	int ret;

	link->used_at = now;
	ret = take_greeting(link, in);
	while (ret > 0 && evbuffer_get_length(in))
		ret = take_frame(link, in, &pending, now);
	if (ret < 0) {
		relay->links->malformed++;
		down(link, -ret);
		return;
	}
	relay_settle(relay);
}

/* ---- life ---- */

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct link *link = arg;
	int err = errno;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED)
		return; /* the greeting is what counts */
	if (what & BEV_EVENT_TIMEOUT)
		err = ETIMEDOUT;
	else if (what & BEV_EVENT_EOF) /* instead of a greeting: the peer knows nothing of us */
		err = link->up ? ECONNRESET : ECONNREFUSED;
	down(link, err ?: EIO);
}

/* Takes @fd. NULL: no memory, @fd is closed. */
static struct link *new_link(struct hk_relay *relay, int fd, uint32_t local_ip4,
			     uint32_t remote_ip4)
{
	struct link *link = calloc(1, sizeof(*link));

	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, QUEUE_BYTES);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, PEER_SILENCE);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, PEER_SILENCE / 1000);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (link)
		link->bev = bufferevent_socket_new(relay->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!link || !link->bev) {
		close(fd);
		free(link);
		return NULL;
	}
	link->relay = relay;
	link->local_ip4 = local_ip4;
	link->remote_ip4 = remote_ip4;
	link->opened_at = link->used_at = relay_now();
	bufferevent_setcb(link->bev, on_read, on_room, on_event, link);
	bufferevent_setwatermark(link->bev, EV_READ, 0, READ_BYTES);
	bufferevent_setwatermark(link->bev, EV_WRITE, QUEUE_BYTES / 2, 0);
	bufferevent_set_max_single_read(link->bev, READ_BYTES);
	bufferevent_set_max_single_write(link->bev, QUEUE_BYTES);
	bufferevent_enable(link->bev, EV_READ | EV_WRITE);
	DL_APPEND(relay->links->all, link);
	relay->links->count++;
	return link;
}

bool link_is_up(const struct link *link)
{
	return link->up;
}

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
	set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	/* The peer takes frames from the connection's own address only. */
	if (!bind(fd, (struct sockaddr *)&local, sizeof(local)) &&
	    (!connect(fd, (struct sockaddr *)&remote, sizeof(remote)) || errno == EINPROGRESS))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int link_get(struct link **out, struct hk_relay *relay, uint32_t local_ip4, uint32_t remote_ip4)
{
	static const struct timeval patience = { .tv_sec = CONNECT_S };
	struct link *link = find(relay->links, local_ip4, remote_ip4);
	int fd;

	*out = link;
	if (link)
		return 0;
	relay->links->connects++;
	fd = connect_to(local_ip4, remote_ip4);
	if (fd < 0) {
		relay->links->failures++;
		return fd;
	}
	*out = link = new_link(relay, fd, local_ip4, remote_ip4);
	if (!link)
		return -ENOMEM;
	link->ours = true;
	bufferevent_set_timeouts(link->bev, &patience, &patience);
	/* Without an address: connect() has been called, what comes of it is reported. */
	if (!bufferevent_socket_connect(link->bev, NULL, 0))
		return 0;
	detach(link);
	release(link);
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
	drop(stranger, ECONNABORTED);
	return true;
}

/* Only who may have frames for us is let in: a host with a connection here. */
static void take_link(struct links *links, int fd, uint32_t remote_ip4)
{
	const struct hk_link_greeting greeting = {
		.magic = htons(HK_OPT_EXID),
		.version = HK_WIRE_VERSION,
	};
	struct sockaddr_in local;
	socklen_t len = sizeof(local);
	struct link *link;

	relay_consume_events(links->relay);
	if (getsockname(fd, (struct sockaddr *)&local, &len) ||
	    !path_known(links->relay, remote_ip4) || !make_room(links, remote_ip4)) {
		links->strangers++;
		close(fd);
		return;
	}
	link = new_link(links->relay, fd, local.sin_addr.s_addr, remote_ip4);
	if (!link)
		return;
	links->accepted++;
	link->up = true;
	bufferevent_write(link->bev, &greeting, sizeof(greeting));
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
	relay_settle(links->relay);
}

static bool is_useless(const struct link *link, uint64_t now)
{
	if (!link->ours)
		return !link->proven && now - link->opened_at > PROVE_NS;
	return link->up && now - link->used_at > IDLE_NS && !fallback_uses(link->relay, link);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct links *links = arg;
	struct link *link, *next;
	uint64_t now = relay_now();

	(void)fd, (void)what;
	DL_FOREACH_SAFE(links->all, link, next)
	if (is_useless(link, now))
		drop(link, ETIMEDOUT);
	relay_settle(links->relay);
}

/* The last resets, if the kernel takes them. */
static void flush(struct link *link)
{
	struct evbuffer *out = bufferevent_get_output(link->bev);

	evbuffer_unfreeze(out, 1);
	evbuffer_write(out, bufferevent_getfd(link->bev));
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
		flush(link);
		detach(link);
		release(link);
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
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(HK_RELAY_PORT) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	links->listener = fd;
	if (fd < 0)
		return -errno;
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!bind(fd, (struct sockaddr *)&addr, sizeof(addr)) && !listen(fd, 64))
		return 0;
	err = -errno;
	hk_error("can't listen on TCP port %u: %s", HK_RELAY_PORT, strerror(-err));
	return err;
}

int links_open(struct links **out, struct hk_relay *relay)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct links *links = calloc(1, sizeof(*links));
	int err;

	if (!links)
		return -ENOMEM;
	links->relay = relay;
	err = open_listener(links);
	if (!err) {
		links->acceptable = event_new(relay->base, links->listener, EV_READ | EV_PERSIST,
					      on_acceptable, links);
		links->tick = event_new(relay->base, -1, EV_PERSIST, on_tick, links);
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
