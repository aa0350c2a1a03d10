// SPDX-License-Identifier: GPL-2.0
/*
 * The redirection socket, one a loop: one end of a TCP connection to ourselves on loopback, in the SOCKMAP
 * hk_redir. What SK_MSG redirects to it is read here; what is written here SK_MSG redirects to
 * the application named in the message header. Messages that found no application come back on
 * the bounce socket.
 */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/relay.skel.h"
#include "hooker/base/log.h"
#include "hooker/relay/loopback.h"

#define READ_SIZE   (512 * 1024)
#define READ_ROUNDS 8 /* then let other sockets have their turn */
#define DELIVER_MAX (256 * 1024)
/* One run of hk_deliver is enough for so much, even where memory is so fragmented that its 17 elements have 4 KiB. */
#define DELIVER_ONCE (60 * 1024)

struct redirect {
	struct loop *loop;
	int app_side; /* in the map: redirected messages arrive here, deliveries leave here */
	int far_side; /* the other end of the loopback connection, kept open */
	int bounce, bounce_far;
	struct event *readable, *bounced;
	struct hk_msg_header header; /* of the message being read */
	uint32_t left;		     /* its payload bytes still to come */
	size_t have;		     /* bytes at the start of buffer: an incomplete header */
	uint8_t *buffer;
	uint64_t empty_at; /* when there was last nothing left to read */
	bool stale; /* the kernel may hold to what hk_deliver said of a message that failed */
};

static int loopback_pair(int pair[2])
{
	struct loopback loopback;
	int err = loopback_listen(&loopback, INADDR_LOOPBACK, 0);

	pair[0] = pair[1] = -1;
	if (err)
		return err;
	err = loopback_connect(&loopback, 0, &pair[0], &pair[1]);
	close(loopback.listener);
	return err;
}

static int map_socket(struct loop *loop, enum hk_redir_slot which, int fd)
{
	uint32_t slot = loop->index * HK_REDIR_SLOTS + which;
	int map = bpf_map__fd(loop->attach->relay->maps.hk_redir);
	uint64_t value = fd; /* the kernel reads 8 bytes: an int's neighbour would come along */

	return bpf_map_update_elem(map, &slot, &value, BPF_ANY) ? -errno : 0;
}

/* Payload of the current message; returns how many of @len bytes belong to it. */
static size_t take_payload(struct redirect *redirect, const uint8_t *bytes, size_t len)
{
	struct conn *conn =
		conn_find(redirect->loop, &redirect->header.key, redirect->header.local_isn);
	size_t take = len < redirect->left ? len : redirect->left;

	redirect->left -= take;
	/* Unknown: it failed meanwhile, and its application has been told. */
	if (conn)
		conn_take(conn, bytes, take);
	return take;
}

/*
 * Taken out of its map and put back, the redirection socket has forgotten what hk_deliver said of a message: the rest of
 * one that failed after its first run, for which the kernel would take the next one, or a refusal, which would be one of
 * all (tcp_bpf_send_verdict(): apply_bytes and eval stay). Where it is shared it has also forgotten what applications have
 * sent and nobody has read: all of them are told.
 */
static int begin_anew(struct redirect *redirect)
{
	uint32_t slot = redirect->loop->index * HK_REDIR_SLOTS + HK_REDIR_SOCKET;
	int map = bpf_map__fd(redirect->loop->attach->relay->maps.hk_redir), err;
	struct conn *conn, *next;

	/* Absent: the second step failed last time. */
	if (bpf_map_delete_elem(map, &slot) && errno != ENOENT && errno != EINVAL)
		return -errno;
	err = map_socket(redirect->loop, HK_REDIR_SOCKET, redirect->app_side);
	if (err)
		return err;
	redirect->stale = false;
	if (!redirect->loop->attach->shared)
		return 0;
	redirect->left = redirect->have = 0;
	HASH_ITER(hh, redirect->loop->conns, conn, next) {
		conn_fail(conn, HK_CODE_PROTO, HK_REASON_ABORTED);
	}
	return 0;
}

static void parse(struct redirect *redirect, size_t len)
{
	const uint8_t *at = redirect->buffer, *end = at + len;

	/* Events first: a connection is announced before its application can send. */
	loop_consume_events(redirect->loop);
	while (at < end) {
		if (redirect->left) {
			at += take_payload(redirect, at, end - at);
			continue;
		}
		if (end - at < (ptrdiff_t)sizeof(redirect->header))
			break;
		memcpy(&redirect->header, at, sizeof(redirect->header));
		/* There was memory for a part of the message before only, and the rest has a header of its own. */
		if (redirect->header.magic != redirect->loop->attach->relay->rodata->hk_magic) {
			redirect->stale = true;
			redirect->have = 0;
			return;
		}
		at += sizeof(redirect->header);
		redirect->left = redirect->header.length;
	}
	redirect->have = end - at;
	memmove(redirect->buffer, at, redirect->have);
}

void redirect_drain(struct redirect *redirect)
{
	int rounds;

	for (rounds = 0; rounds < READ_ROUNDS; rounds++) {
		ssize_t got = recv(redirect->app_side, redirect->buffer + redirect->have,
				   READ_SIZE - redirect->have, MSG_DONTWAIT);

		if (got <= 0) {
			redirect->empty_at = relay_now();
			return;
		}
		redirect->loop->stats.taken_bytes += got;
		parse(redirect, got + redirect->have);
		if (redirect->stale && begin_anew(redirect))
			return;
	}
}

uint64_t redirect_empty_at(const struct redirect *redirect)
{
	return redirect->empty_at;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct redirect *redirect = arg;

	(void)fd, (void)what;
	redirect_drain(redirect);
	loop_settle(redirect->loop);
}

/* A delivery found no socket: the application has closed. TCP would answer the peer with RST. */
static void on_bounced(evutil_socket_t fd, short what, void *arg)
{
	struct redirect *redirect = arg;
	struct loop *loop = redirect->loop;
	struct hk_msg_header header;

	(void)what;
	loop_consume_events(loop);
	while (recv(fd, &header, sizeof(header), MSG_DONTWAIT) == sizeof(header)) {
		struct conn *conn = conn_find(loop, &header.key, header.local_isn);
		size_t skip = header.length;

		loop->stats.bounced++;
		while (skip) {
			ssize_t got = recv(fd, redirect->buffer + redirect->have,
					   skip < 65536 ? skip : 65536, MSG_DONTWAIT);
			if (got <= 0)
				break;
			skip -= got;
		}
		if (conn)
			conn_fail(conn, HK_CODE_RST, HK_REASON_NONE);
	}
	loop_settle(loop);
}

ssize_t redirect_deliver(struct redirect *redirect, struct conn *conn, const struct iovec *iov,
			 int niov)
{
	size_t most = redirect->loop->attach->shared ? DELIVER_ONCE : DELIVER_MAX;
	struct iovec vec[DELIVERY_BATCH + 1];
	struct hk_msg_header header = {
		.key = conn->id.key,
		.local_isn = conn->id.local_isn,
		.magic = redirect->loop->attach->relay->rodata->hk_magic,
	};
	struct msghdr msg = { .msg_iov = vec };
	size_t total = 0;
	ssize_t sent;
	int n;

	if (redirect->stale && begin_anew(redirect)) {
		redirect->loop->stats.retries++;
		return 0;
	}
	for (n = 0; n < niov && n < DELIVERY_BATCH && total < most; n++) {
		vec[n + 1] = iov[n];
		if (vec[n + 1].iov_len > most - total)
			vec[n + 1].iov_len = most - total;
		total += vec[n + 1].iov_len;
	}
	header.length = total;
	vec[0].iov_base = &header;
	vec[0].iov_len = sizeof(header);
	msg.msg_iovlen = n + 1;
	sent = sendmsg(redirect->app_side, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent == (ssize_t)(total + sizeof(header))) {
		redirect->loop->stats.delivered_bytes += total;
		return total;
	}
	redirect->loop->stats.retries++;
	redirect->stale = total > DELIVER_ONCE || sent > (ssize_t)sizeof(header) ||
			  (sent < 0 && errno == EACCES);
	/* No memory for the rest. The header counts although hk_deliver has taken it off. */
	if (sent >= (ssize_t)sizeof(header)) {
		redirect->loop->stats.delivered_bytes += sent - sizeof(header);
		return sent - sizeof(header);
	}
	if (sent < 0 && (errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS || errno == EACCES))
		return 0;
	return sent < 0 ? -errno : -EIO;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void redirect_close(struct redirect *redirect)
{
	if (!redirect)
		return;
	if (redirect->readable)
		event_free(redirect->readable);
	if (redirect->bounced)
		event_free(redirect->bounced);
	close_fd(redirect->app_side);
	close_fd(redirect->far_side);
	close_fd(redirect->bounce);
	close_fd(redirect->bounce_far);
	free(redirect->buffer);
	free(redirect);
}

static int open_sockets(struct redirect *redirect)
{
	int pair[2], one = 1, err;

	err = loopback_pair(pair);
	redirect->app_side = pair[0];
	redirect->far_side = pair[1];
	if (err)
		return err;
	if (setsockopt(pair[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		return -errno;
	err = map_socket(redirect->loop, HK_REDIR_SOCKET, pair[0]);
	if (err)
		return err;
	/* AF_UNIX: cheaper than TCP, but sockmaps take it only from 5.15 on. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	redirect->bounce = pair[0];
	redirect->bounce_far = pair[1];
	err = map_socket(redirect->loop, HK_REDIR_BOUNCE, pair[0]);
	if (err != -EOPNOTSUPP)
		return err;
	close(pair[0]);
	close(pair[1]);
	err = loopback_pair(pair);
	redirect->bounce = pair[0];
	redirect->bounce_far = pair[1];
	return err ? err : map_socket(redirect->loop, HK_REDIR_BOUNCE, pair[0]);
}

int redirect_open(struct redirect **out, struct loop *loop)
{
	struct redirect *redirect = calloc(1, sizeof(*redirect));
	int err;

	if (!redirect)
		return -ENOMEM;
	redirect->loop = loop;
	redirect->app_side = redirect->far_side = redirect->bounce = redirect->bounce_far = -1;
	redirect->buffer = malloc(READ_SIZE + 65536);
	err = redirect->buffer ? open_sockets(redirect) : -ENOMEM;
	if (err) {
		hk_error("can't set up the redirection socket: %s", strerror(-err));
		if (err == -ENETUNREACH || err == -EADDRNOTAVAIL)
			hk_hint("the loopback interface is down: `ip link set lo up`");
		goto out;
	}
	redirect->readable = event_new(loop->base, redirect->app_side, EV_READ | EV_PERSIST,
				       on_readable, redirect);
	redirect->bounced =
		event_new(loop->base, redirect->bounce, EV_READ | EV_PERSIST, on_bounced, redirect);
	err = -ENOMEM;
	if (!redirect->readable || !redirect->bounced || event_add(redirect->readable, NULL) ||
	    event_add(redirect->bounced, NULL))
		goto out;
	*out = redirect;
	return 0;
out:
	redirect_close(redirect);
	return err;
}
