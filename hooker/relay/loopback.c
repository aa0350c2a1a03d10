// SPDX-License-Identifier: GPL-2.0
#include "hooker/relay/loopback.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128
#define CONNECT_MS \
	100 /* at once, unless the queue of the listener is full, or the processor busy */
#define TRIES 5

void loopback_close(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

int loopback_listen(struct loopback *loopback, uint32_t ip4, uint32_t buffer)
{
	struct sockaddr_in *address = &loopback->address;
	socklen_t len = sizeof(*address);
	int fd, err;

	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(ip4) };
	fd = loopback->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if ((!buffer || !setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer))) &&
	    !bind(fd, (struct sockaddr *)address, len) && !listen(fd, BACKLOG) &&
	    !getsockname(fd, (struct sockaddr *)address, &len))
		return 0;
	err = -errno;
	close(fd);
	loopback->listener = -1;
	return err;
}

/* Strangers that wait would fill the queue, and a SYN that finds it full is dropped. */
static void turn_away(const struct loopback *loopback)
{
	int fd, i;

	for (i = 0; i < 2 * BACKLOG; i++) {
		fd = accept4(loopback->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		loopback_close(fd);
	}
}

static int wait_for(int fd, short events)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };
	int ready = poll(&poll_fd, 1, CONNECT_MS);

	return ready < 0 ? -errno : ready ? 0 : -ETIMEDOUT;
}

static int connect_end(const struct loopback *loopback, int fd, struct sockaddr_in *name)
{
	static const int one = 1;
	socklen_t len = sizeof(*name);
	int err = 0;

	*name = loopback->address;
	name->sin_port = 0;
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)name, len))
		return -errno;
	/* Its own SYN-ACK waits until connect() returns. */
	if (connect(fd, (const struct sockaddr *)&loopback->address, sizeof(loopback->address))) {
		if (errno != EINPROGRESS)
			return -errno;
		err = wait_for(fd, POLLOUT);
		if (err)
			return err;
		len = sizeof(err);
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) || err)
			return -(err ?: errno);
	}
	len = sizeof(*name);
	return getsockname(fd, (struct sockaddr *)name, &len) ? -errno : 0;
}

/* Ours is the one with @name. Returns it or -errno. */
static int accept_end(const struct loopback *loopback, const struct sockaddr_in *name)
{
	struct sockaddr_in peer;
	socklen_t len;
	int fd, err, i;

	for (i = 0; i < 2 * BACKLOG; i++) {
		len = sizeof(peer);
		fd = accept4(loopback->listener, (struct sockaddr *)&peer, &len,
			     SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			err = errno == EAGAIN ? wait_for(loopback->listener, POLLIN) : -errno;
			if (err)
				return err;
			continue;
		}
		if (peer.sin_port == name->sin_port &&
		    peer.sin_addr.s_addr == name->sin_addr.s_addr)
			return fd;
		loopback_close(fd);
	}
	return -ETIMEDOUT;
}

static int try_connect(const struct loopback *loopback, int buffer, int *a, int *b)
{
	struct sockaddr_in name;
	int err;

	turn_away(loopback);
	*a = -1;
	*b = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*b < 0)
		return -errno;
	if (buffer)
		setsockopt(*b, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	err = connect_end(loopback, *b, &name);
	if (!err) {
		*a = accept_end(loopback, &name);
		err = *a < 0 ? *a : 0;
	}
	if (!err)
		return 0;
	loopback_close(*b);
	*a = *b = -1;
	return err;
}

int loopback_connect(const struct loopback *loopback, int buffer, int *a, int *b)
{
	int err = -ETIMEDOUT, i;

	for (i = 0; i < TRIES && err == -ETIMEDOUT; i++)
		err = try_connect(loopback, buffer, a, b);
	return err;
}
