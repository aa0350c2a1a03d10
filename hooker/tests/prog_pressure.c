// SPDX-License-Identifier: GPL-2.0
/*
 * A writer that offers more than the path takes, in one of the ways applications wait, and a reader that
 * stops for a while. Both ends check every byte by its place in the stream.
 *
 *   prog_pressure read PORT STOP_MS       reads to EOF, after having read nothing for STOP_MS
 *   prog_pressure write HOST PORT HOW BYTES    HOW: blocking, poll, level, edge; level and with TCP_CORK: cork;
 *                                              level and with a rest half way, under keep-alive: rest;
 *                                              closes as soon as it would have to wait: ending;
 *                                              level, and in pieces that announce more, as sendfile() makes: more;
 *                                              edge, and in pieces larger than what is taken at once, after which
 *                                              it waits, as nginx does: large;
 *                                              blocking, and the handshake's ACK bears the first data: eager
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK	    65536
#define BLOCK_MORE  10000
#define BLOCK_LARGE (1 << 20)
#define HANG_MS	    60000

static int die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static uint8_t byte_at(uint64_t offset)
{
	return (offset ^ offset >> 8 ^ offset >> 17 ^ offset >> 29) * 167;
}

static void check(const uint8_t *bytes, size_t len, uint64_t offset)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (bytes[i] == byte_at(offset + i))
			continue;
		fprintf(stderr, "byte %llu is wrong\n", (unsigned long long)(offset + i));
		exit(1);
	}
}

static int reader(uint16_t port, int stop_ms)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), fd;
	static uint8_t bytes[BLOCK];
	uint64_t offset = 0;
	ssize_t got;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 1))
		die("listen");
	printf("listening\n");
	fflush(stdout);
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		die("accept");
	poll(NULL, 0, stop_ms);
	while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		check(bytes, got, offset);
		offset += got;
	}
	if (got < 0)
		die("recv");
	printf("read %llu\n", (unsigned long long)offset);
	return 0;
}

/* Waits as @how says; an edge that never comes is the defect this program looks for. */
static void wait_writable(int fd, int epoll, const char *how)
{
	struct pollfd each = { .fd = fd, .events = POLLOUT };
	struct epoll_event event;
	int ret;

	ret = !strcmp(how, "poll") ? poll(&each, 1, HANG_MS) :
				     epoll_wait(epoll, &event, 1, HANG_MS);
	if (ret > 0)
		return;
	fprintf(stderr, "never writable again\n");
	exit(1);
}

static bool must_wait(int fd)
{
	struct pollfd each = { .fd = fd, .events = POLLOUT };

	return poll(&each, 1, 0) == 0;
}

static void set(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		die("setsockopt");
}

/* A peer that does not answer keep-alive probes would have lost the connection after 3 s. */
#define REST_MS 5000
static void keep_alive(int fd)
{
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, 2);
}

static int writer(const char *host, uint16_t port, const char *how, uint64_t total)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct epoll_event event = { .events = EPOLLOUT };
	int fd = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
	static uint8_t bytes[BLOCK_LARGE];
	uint64_t offset = 0, refused = 0;
	bool rest = !strcmp(how, "rest"), more = !strcmp(how, "more");
	bool large = !strcmp(how, "large"), eager = !strcmp(how, "eager");
	size_t block = more ? BLOCK_MORE : large ? BLOCK_LARGE : BLOCK;

	inet_pton(AF_INET, host, &addr.sin_addr);
	if (eager)
		set(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("connect");
	if (strcmp(how, "blocking") && !eager)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	if (!strcmp(how, "edge") || large)
		event.events |= EPOLLET;
	if (!strcmp(how, "cork"))
		set(fd, IPPROTO_TCP, TCP_CORK, 1);
	if (rest)
		keep_alive(fd);
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	while (offset < total) {
		size_t len = total - offset < block ? total - offset : block, i;
		ssize_t sent;

		if (rest && offset >= total / 2) {
			poll(NULL, 0, REST_MS);
			rest = false;
		}
		for (i = 0; i < len; i++)
			bytes[i] = byte_at(offset + i);
		sent = send(fd, bytes, len,
			    MSG_NOSIGNAL | (more && offset + len < total ? MSG_MORE : 0));
		if (sent > 0) {
			offset += sent;
			if (large && (size_t)sent < len)
				wait_writable(fd, epoll, how);
		} else if (sent < 0 && errno == EAGAIN) {
			refused++;
			if (!strcmp(how, "ending") && must_wait(fd))
				break;
			wait_writable(fd, epoll, how);
		} else {
			die("send");
		}
	}
	printf("wrote %llu, EAGAIN %llu\n", (unsigned long long)offset,
	       (unsigned long long)refused);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "read"))
		return reader(atoi(argv[2]), atoi(argv[3]));
	if (argc == 6 && !strcmp(argv[1], "write"))
		return writer(argv[2], atoi(argv[3]), argv[4], strtoull(argv[5], NULL, 10));
	fprintf(stderr, "usage: see the source\n");
	return 2;
}
