// SPDX-License-Identifier: GPL-2.0
/*
 * The carrier for paths that swallow datagrams: one TCP connection between two daemons, with the frames
 * of all their connections one after another (bpf/wire.h). Which connections travel on it is decided
 * in fallback.c, which links there are in links.c.
 *
 * A link is up once the accepting daemon's greeting has come: the kernel alone accepts connections for
 * a daemon that is stopped, and what answers on that port might be no daemon at all.
 */
#include "hooker/relay/link.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/bufferevent.h>
#include <utlist.h>

#include "hooker/base/log.h"

#define QUEUE_BYTES  (256 * 1024) /* that much may wait here, and as much in the kernel, unsent */
#define TURN_BYTES   (64 * 1024)  /* then another connection may send */
#define READ_BYTES   (256 * 1024)
#define CONNECT_S    3	  /* a SYN, its repetition, the greeting */
#define PEER_SILENCE 8000 /* ms without an acknowledgement from the peer's TCP */

void link_option(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		hk_debug("link: socket option %d: %s", option, strerror(errno));
}

static void detach(struct link *link)
{
	DL_DELETE(link->loop->links->all, link);
	link->loop->links->count--;
}

static void destroy(struct link *link)
{
	bufferevent_free(link->bev);
	free(link);
}

void link_release(struct link *link)
{
	detach(link);
	destroy(link);
}

void link_drop(struct link *link, int err)
{
	hk_debug("link: %s", strerror(err));
	detach(link); /* first: those on it look for another */
	fallback_link_down(link->loop, link, err);
	destroy(link);
}

static void down(struct link *link, int err)
{
	struct loop *loop = link->loop;

	if (!link->up)
		loop->links->failures++;
	link_drop(link, err);
	loop_settle(loop);
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
		link->loop->links->sent++;
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
		loop_settle(link->loop);
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
	link->loop->links->received++;
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
	fallback_link_up(link->loop, link);
	return 1;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct link *link = arg;
	struct loop *loop = link->loop;
	struct pending pending = { .loop = loop };
	struct evbuffer *in = bufferevent_get_input(bev);
	uint64_t now = relay_now();
	int ret;

	link->used_at = now;
	ret = take_greeting(link, in);
	while (ret > 0 && evbuffer_get_length(in))
		ret = take_frame(link, in, &pending, now);
	if (ret < 0) {
		loop->links->malformed++;
		down(link, -ret);
		return;
	}
	loop_settle(loop);
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

struct link *link_new(struct loop *loop, int fd, uint32_t local_ip4, uint32_t remote_ip4)
{
	struct link *link = calloc(1, sizeof(*link));

	link_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	link_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, QUEUE_BYTES);
	link_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, PEER_SILENCE);
	link_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, PEER_SILENCE / 1000);
	link_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	link_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (link)
		link->bev = bufferevent_socket_new(loop->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!link || !link->bev) {
		close(fd);
		free(link);
		return NULL;
	}
	link->loop = loop;
	link->local_ip4 = local_ip4;
	link->remote_ip4 = remote_ip4;
	link->opened_at = link->used_at = relay_now();
	bufferevent_setcb(link->bev, on_read, on_room, on_event, link);
	bufferevent_setwatermark(link->bev, EV_READ, 0, READ_BYTES);
	bufferevent_setwatermark(link->bev, EV_WRITE, QUEUE_BYTES / 2, 0);
	bufferevent_set_max_single_read(link->bev, READ_BYTES);
	bufferevent_set_max_single_write(link->bev, QUEUE_BYTES);
	bufferevent_enable(link->bev, EV_READ | EV_WRITE);
	DL_APPEND(loop->links->all, link);
	loop->links->count++;
	return link;
}

bool link_is_up(const struct link *link)
{
	return link->up;
}

void link_greet(struct link *link)
{
	const struct hk_link_greeting greeting = {
		.magic = htons(HK_OPT_EXID),
		.version = HK_WIRE_VERSION,
	};

	link->up = true;
	bufferevent_write(link->bev, &greeting, sizeof(greeting));
}

int link_await(struct link *link)
{
	static const struct timeval patience = { .tv_sec = CONNECT_S };

	bufferevent_set_timeouts(link->bev, &patience, &patience);
	/* Without an address: connect() has been called, what comes of it is reported. */
	return bufferevent_socket_connect(link->bev, NULL, 0) ? -ENOMEM : 0;
}

void link_flush(struct link *link)
{
	struct evbuffer *out = bufferevent_get_output(link->bev);

	evbuffer_unfreeze(out, 1);
	evbuffer_write(out, bufferevent_getfd(link->bev));
}
