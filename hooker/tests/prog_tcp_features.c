// SPDX-License-Identifier: GPL-2.0
/*
 * An ordinary TCP program that uses what few do:
 *   prog_tcp_features serve PORT           reads to EOF, then answers "bytes hash urgent" (half-close)
 *   prog_tcp_features MODE HOST PORT FILE  sends FILE by MODE, compares the answer
 * MODE: splice, zerocopy (MSG_ZEROCOPY), urgent (one MSG_OOB byte 'U' in the middle), write.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/errqueue.h>

#define CHUNK (1 << 16)

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* FNV-1a: enough to tell a stream that was changed, cut or reordered. */
static uint64_t hash_add(uint64_t hash, const unsigned char *data, size_t len)
{
	while (len--)
		hash = (hash ^ *data++) * 0x100000001b3ULL;
	return hash;
}

#define HASH_START 0xcbf29ce484222325ULL

static int dial(const char *host, const char *port, int listening)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *ai;
	int fd, one = 1;

	if (listening)
		hints.ai_flags = AI_PASSIVE, hints.ai_family = AF_INET6;
	if (getaddrinfo(host, port, &hints, &ai))
		die("getaddrinfo");
	fd = socket(ai->ai_family, SOCK_STREAM, 0);
	if (fd < 0)
		die("socket");
	if (listening) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 16))
			die("listen");
	} else if (connect(fd, ai->ai_addr, ai->ai_addrlen)) {
		die("connect");
	}
	freeaddrinfo(ai);
	return fd;
}

static void answer(int fd)
{
	static unsigned char buffer[CHUNK];
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN | POLLPRI };
	uint64_t bytes = 0, hash = HASH_START;
	char urgent = '-', text[80];
	ssize_t n = 1;

	while (n > 0) {
		if (poll(&poll_fd, 1, 20000) <= 0)
			die("poll");
		/* Only one byte out of band; once taken, POLLPRI stays off. */
		if (poll_fd.revents & POLLPRI && recv(fd, &urgent, 1, MSG_OOB) < 0 &&
		    errno != EINVAL && errno != EAGAIN)
			die("recv MSG_OOB");
		if (!(poll_fd.revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		n = recv(fd, buffer, sizeof(buffer), 0);
		if (n < 0)
			die("recv");
		bytes += n;
		hash = hash_add(hash, buffer, n);
	}
	n = snprintf(text, sizeof(text), "%ju %jx %c\n", (uintmax_t)bytes, (uintmax_t)hash, urgent);
	if (send(fd, text, n, 0) != n)
		die("send");
	close(fd);
}

static int serve(const char *port)
{
	int fd = dial(NULL, port, 1), peer;

	puts("listening");
	fflush(stdout);
	while ((peer = accept(fd, NULL, NULL)) >= 0)
		answer(peer);
	die("accept");
	return 1;
}

static void send_all(int fd, const unsigned char *data, size_t len, int flags)
{
	while (len) {
		ssize_t n = send(fd, data, len, flags);

		if (n < 0)
			die("send");
		data += n;
		len -= n;
	}
}

static void send_splice(int fd, int file, size_t len)
{
	int pipe_fd[2];

	if (pipe(pipe_fd))
		die("pipe");
	while (len) {
		ssize_t n = splice(file, NULL, pipe_fd[1], NULL, CHUNK, SPLICE_F_MORE);

		if (n <= 0)
			die("splice from file");
		len -= n;
		while (n > 0) {
			ssize_t out =
				splice(pipe_fd[0], NULL, fd, NULL, n, len ? SPLICE_F_MORE : 0);

			if (out <= 0)
				die("splice to socket");
			n -= out;
		}
	}
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

/* Waits until the kernel has given back @count buffers. */
static void await_zerocopy(int fd, uint32_t count)
{
	uint32_t done = 0;

	while (done < count) {
		char control[128];
		struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };
		struct pollfd poll_fd = { .fd = fd };
		struct sock_extended_err *err;

		if (recvmsg(fd, &msg, MSG_ERRQUEUE) < 0) {
			if (errno != EAGAIN || poll(&poll_fd, 1, 20000) <= 0)
				die("error queue");
			continue;
		}
		err = (void *)CMSG_DATA(CMSG_FIRSTHDR(&msg));
		if (err->ee_origin != SO_EE_ORIGIN_ZEROCOPY)
			die("error queue: not a completion");
		done += err->ee_data - err->ee_info + 1;
	}
}

static void send_zerocopy(int fd, const unsigned char *data, size_t len)
{
	uint32_t calls = 0;
	int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		die("SO_ZEROCOPY");
	while (len) {
		ssize_t n = send(fd, data, len < CHUNK ? len : CHUNK, MSG_ZEROCOPY);

		if (n < 0 && errno == ENOBUFS) {
			await_zerocopy(fd, calls);
			calls = 0;
			continue;
		}
		if (n < 0)
			die("send MSG_ZEROCOPY");
		calls++;
		data += n;
		len -= n;
	}
	await_zerocopy(fd, calls);
}

int main(int argc, char **argv)
{
	const unsigned char *data;
	char expected[80], got[80];
	struct stat stat;
	size_t half;
	ssize_t n;
	int fd, file;

	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(argv[2]);
	if (argc != 5)
		return 2;
	file = open(argv[4], O_RDONLY);
	if (file < 0 || fstat(file, &stat))
		die(argv[4]);
	data = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	if (data == MAP_FAILED)
		die("mmap");
	fd = dial(argv[2], argv[3], 0);
	half = stat.st_size / 2;
	if (!strcmp(argv[1], "splice")) {
		send_splice(fd, file, stat.st_size);
	} else if (!strcmp(argv[1], "zerocopy")) {
		send_zerocopy(fd, data, stat.st_size);
	} else if (!strcmp(argv[1], "urgent")) {
		send_all(fd, data, half, 0);
		send_all(fd, (const unsigned char *)"U", 1, MSG_OOB);
		send_all(fd, data + half, stat.st_size - half, 0);
	} else {
		send_all(fd, data, stat.st_size, 0);
	}
	if (shutdown(fd, SHUT_WR))
		die("shutdown");
	n = recv(fd, got, sizeof(got) - 1, MSG_WAITALL);
	if (n < 0)
		die("recv");
	got[n] = 0;
	snprintf(expected, sizeof(expected), "%ju %jx %c\n", (uintmax_t)stat.st_size,
		 (uintmax_t)hash_add(HASH_START, data, stat.st_size),
		 strcmp(argv[1], "urgent") ? '-' : 'U');
	if (strcmp(got, expected))
		fprintf(stderr, "%s: sent %s but the server had %s", argv[1], expected, got);
	return !!strcmp(got, expected);
}
