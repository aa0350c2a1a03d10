// SPDX-License-Identifier: GPL-2.0
/*
 * An HTTP client with a stopwatch:
 *   prog_stall HOST PORT NAME FILE [BYTES_PER_SECOND]
 * Prints "under way" once 4 MB have come; at the end one line of JSON: bytes, whether they are those of
 * FILE, the longest wait for data in ms (its own pauses not counted), the error if any. Exit 0 only if
 * all arrived. Gives up after 30 s without data.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEADER_MAX 4096
#define UNDER_WAY  (4 << 20)

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static int dial(const char *host, const char *port, bool paced)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *ai;
	int fd, buffer = 1 << 17;

	if (getaddrinfo(host, port, &hints, &ai))
		die("getaddrinfo");
	fd = socket(ai->ai_family, SOCK_STREAM, 0);
	/* A paced reader must not live on what is buffered while the network stands still. */
	if (paced)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	if (fd < 0 || connect(fd, ai->ai_addr, ai->ai_addrlen))
		die("connect");
	freeaddrinfo(ai);
	return fd;
}

/* Returns bytes read, 0 at the end, or -errno; the time spent waiting goes into @longest. */
static ssize_t read_some(int fd, char *buffer, size_t len, double *longest)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	double start = now();
	int ready = poll(&poll_fd, 1, 30000);
	ssize_t n;

	if (now() - start > *longest)
		*longest = now() - start;
	if (ready <= 0)
		return -ETIMEDOUT;
	n = recv(fd, buffer, len, 0);
	return n < 0 ? -errno : n;
}

static void pace(double start, size_t bytes, double rate)
{
	double ahead = rate > 0 ? bytes / rate - (now() - start) : 0;
	struct timespec ts = { .tv_sec = 0, .tv_nsec = ahead * 1e9 };

	if (ahead > 0.001)
		nanosleep(&ts, NULL);
}

int main(int argc, char **argv)
{
	static char buffer[32768];
	double start, longest = 0, rate = argc > 5 ? atof(argv[5]) : 0;
	size_t got = 0, skip;
	bool same = true, told = false;
	struct stat stat;
	ssize_t n, more;
	char *body, *data;
	int fd, file;

	if (argc < 5)
		return 2;
	file = open(argv[4], O_RDONLY);
	if (file < 0 || fstat(file, &stat))
		die(argv[4]);
	data = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	if (data == MAP_FAILED)
		die("mmap");
	fd = dial(argv[1], argv[2], rate > 0);
	n = snprintf(buffer, sizeof(buffer), "GET /%s HTTP/1.0\r\n\r\n", argv[3]);
	if (send(fd, buffer, n, 0) != n)
		die("send");
	start = now();
	/* The header comes in as many pieces as TCP likes. */
	n = 0;
	do {
		more = read_some(fd, buffer + n, sizeof(buffer) - 1 - n, &longest);
		n = more > 0 ? n + more : more;
		buffer[n > 0 ? n : 0] = 0;
		body = strstr(buffer, "\r\n\r\n");
	} while (more > 0 && !body && n < HEADER_MAX);
	skip = body ? body + 4 - buffer : 0;
	while (n > 0) {
		same = same && got + n - skip <= (size_t)stat.st_size &&
		       !memcmp(data + got, buffer + skip, n - skip);
		got += n - skip;
		skip = 0;
		if (!told && got >= UNDER_WAY) {
			puts("under way");
			fflush(stdout);
			told = true;
		}
		pace(start, got, rate);
		n = read_some(fd, buffer, sizeof(buffer), &longest);
	}
	same = same && got == (size_t)stat.st_size;
	printf("{\"bytes\": %zu, \"same\": %s, \"stall_ms\": %.1f, \"seconds\": %.3f, \"error\": \"%s\"}\n",
	       got, same ? "true" : "false", longest * 1000, now() - start,
	       n < 0 ? strerror(-n) : "");
	return !same;
}
