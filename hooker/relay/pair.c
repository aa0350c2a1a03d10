// SPDX-License-Identifier: GPL-2.0
/*
 * Loopback pairs, one a connection: SK_MSG redirects what the application sends to side B, and this
 * end reads it at side A. TCP's own flow control between the two is the bound of what an application
 * may have sent without our having taken it, and its writers wait in it as they would in theirs.
 */
#include "hooker/relay/pair.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>

#include "hooker/base/log.h"

#define READ_SIZE_MIN 16384
/*
 * An application is told EAGAIN once the pair is full, and that takes at least this many bytes, since
 * the kernel allows twice SO_SNDBUF and charges no byte with more than about 1 KiB.
 */
#define BLOCKING_BYTES (2 * PAIR_FIRST_BUFFER / 1024)

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pair *pair = arg;
	struct loop *loop = pair->conn->loop;

	(void)fd, (void)what;
	pair->conn->want_read = true;
	conn_touch(pair->conn);
	loop_settle(loop);
}

/*
 * Does its writer wait in poll()? Those of blocking sockets wait in B, and a reader would be woken for nothing. @unknown:
 * the answer if the kernel does not tell.
 */
static bool may_wait(const struct pair *pair, bool unknown)
{
	struct hk_look look;

	return look_at(pair->conn->loop, &pair->conn->id.key, &look) ? unknown : look.nonblock;
}

/* B was full and has room now, so whoever was told EAGAIN may write again. */
static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct pair *pair = arg;

	(void)fd, (void)what;
	/* Where it cannot be told rather a reader woken for nothing than a writer that waits for ever. */
	if (!may_wait(pair, true))
		return;
	pair->conn->loop->stats.kicks++;
	if (!brake_use(pair->conn))
		inject_kick(pair->conn);
}

int pair_take(struct conn *conn, uint32_t slot)
{
	struct pair *pair = pairs_use(conn->loop, slot);

	if (!pair)
		return -EINVAL;
	pair->readable =
		event_new(conn->loop->base, pair->a, EV_READ | EV_PERSIST, on_readable, pair);
	if (!pair->readable || event_add(pair->readable, NULL)) {
		pairs_return(conn->loop, slot);
		return -ENOMEM;
	}
	pair->conn = conn;
	conn->slot = slot;
	conn->reading = true;
	conn->read_size = READ_SIZE_MIN;
	return 0;
}

static void watch_writable(struct pair *pair)
{
	if (pair->writable)
		return;
	pair->writable = event_new(pair->conn->loop->base, pair->b, EV_WRITE | EV_ET | EV_PERSIST,
				   on_writable, pair);
	if (pair->writable)
		event_add(pair->writable, NULL);
}

static void set_reading(struct conn *conn, struct pair *pair, bool on)
{
	if (conn->reading == on)
		return;
	conn->reading = on;
	if (on)
		event_add(pair->readable, NULL);
	else
		event_del(pair->readable);
}

uint32_t pair_room(const struct conn *conn)
{
	const struct loop *loop = conn->loop;

	if (conn->slot == HK_SLOT_NONE)
		return 0;
	return 2 * (loop->pairs->slots[conn->slot].grown ? memory_pair_buffer(&loop->options) :
							   PAIR_FIRST_BUFFER);
}

/* Raising SO_SNDBUF wakes who waits in B. While memory is short it stays as it is. */
static void grow(struct pair *pair, uint32_t size)
{
	uint32_t more = 2 * (size - PAIR_FIRST_BUFFER);

	if (pair->grown || !memory_reserve(pair->conn->loop, more))
		return;
	pair->grown = true;
	memory_unreserve(pair->conn->loop, more);
	memory_update(pair->conn);
	setsockopt(pair->a, IPPROTO_TCP, TCP_WINDOW_CLAMP, &size, sizeof(size));
	setsockopt(pair->b, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (may_wait(pair, false))
		brake_use(pair->conn);
}

/*
 * One read into rdt's own buffer. Returns bytes, 0 = EOF, -EAGAIN, -ENOBUFS = rdt is full, -errno. *filled: there
 * may be more.
 */
static ssize_t read_once(struct conn *conn, struct pair *pair, size_t most, bool *filled)
{
	struct iovec iov[2];
	ssize_t got;
	int n;

	n = rdt_reserve(conn->rdt, most, iov);
	if (n <= 0)
		return n ? n : -ENOBUFS;
	got = readv(pair->a, iov, n);
	if (got > 0)
		rdt_commit(conn->rdt, got);
	*filled = got == (ssize_t)(iov[0].iov_len + (n > 1 ? iov[1].iov_len : 0));
	return got < 0 ? -errno : got;
}

uint32_t pair_holds(const struct conn *conn, uint32_t *unread)
{
	const struct pair *pair = &conn->loop->pairs->slots[conn->slot];
	int in = 0, out = 0;

	if (ioctl(pair->a, SIOCINQ, &in) || ioctl(pair->b, SIOCOUTQ, &out))
		in = out = 0;
	*unread = in;
	return in + out;
}

int pair_read(struct conn *conn)
{
	struct pair *pair = &conn->loop->pairs->slots[conn->slot];
	/* Nothing is under way: a burst's worth shall leave before the rest is read. */
	size_t turn = rdt_idle(conn->rdt) ? READ_SIZE_MIN :
					    memory_pair_buffer(&conn->loop->options);
	uint32_t growth = rdt_write_growth(conn->rdt, turn);
	bool roomy = memory_reserve(conn->loop, growth);
	size_t total = 0, most;
	bool filled;
	ssize_t got;

	conn->paused = false;
	for (;;) {
		if (!roomy && !memory_has_floor(conn)) {
			conn->paused = true;
			got = -ENOBUFS;
			break;
		}
		/* EOF needs no room, and is only seen by reading. */
		if (!rdt_write_space(conn->rdt)) {
			got = -ENOBUFS;
			break;
		}
		most = roomy ? turn - total : READ_SIZE_MIN;
		got = read_once(conn, pair, conn->read_size < most ? conn->read_size : most,
				&filled);
		if (got <= 0)
			break;
		total += got;
		/* That was all; if not, the event comes again. */
		if (!filled) {
			got = -EAGAIN;
			break;
		}
		/* Grow with the need: the send buffer grows to what is asked for. */
		if ((size_t)got == conn->read_size && conn->read_size < turn)
			conn->read_size *= 2;
		if (total >= turn) { /* B had room again and again: others must have their turn */
			got = -EAGAIN;
			break;
		}
	}
	if (roomy && growth) {
		memory_unreserve(conn->loop, growth);
		memory_update(conn);
	}
	if (total >= READ_SIZE_MIN)
		grow(pair, memory_pair_buffer(&conn->loop->options));
	conn->from_app += total;
	conn->loop->stats.taken_bytes += total;
	brake_taken(conn, total);
	brake_read(conn, relay_now());
	if (total >= BLOCKING_BYTES || got == -ENOBUFS)
		watch_writable(pair);
	set_reading(conn, pair, got == -EAGAIN);
	if (got == 0)
		conn->drained = true;
	return got > 0 || got == 0 || got == -EAGAIN || got == -ENOBUFS ? 0 : got;
}

void pair_shut(struct conn *conn)
{
	struct pair *pair = &conn->loop->pairs->slots[conn->slot];

	if (shutdown(pair->b, SHUT_WR) && errno != ENOTCONN)
		hk_debug("can't shut a loopback pair: %s", strerror(errno));
}

void pair_release(struct conn *conn)
{
	if (conn->slot == HK_SLOT_NONE)
		return;
	pairs_return(conn->loop, conn->slot);
	conn->slot = HK_SLOT_NONE;
}
