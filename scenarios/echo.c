// SPDX-License-Identifier: GPL-2.0
/*
 * An ordinary TCP echo server, and clients that measure what `scenarios/bench` asks of a connection:
 *   echo serve PORT              echoes whatever comes, any number of connections
 *   echo ping HOST PORT SECONDS  round trips of one byte; prints the median in microseconds
 *   echo rate HOST PORT SECONDS  connections one after another, one round trip each; prints how many a second
 *   echo hold HOST PORT COUNT    COUNT connections at once, one round trip on each; prints "held", waits for
 *                                a line on stdin, does one more round trip on each, prints "done"
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LAST	  'q' /* the server closes after this byte */
#define PINGS_MAX (1 << 20)

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static int dial(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *ai;
	int fd, one = 1;

	if (getaddrinfo(host, port, &hints, &ai))
		die("getaddrinfo");
	fd = socket(ai->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, ai->ai_addr, ai->ai_addrlen))
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	freeaddrinfo(ai);
	return fd;
}

static void round_trip(int fd, char sent)
{
	char got = 0;

	if (send(fd, &sent, 1, 0) != 1 || recv(fd, &got, 1, 0) != 1 || got != sent)
		die("round trip");
}

static void serve_ready(int epoll, int listener, const struct epoll_event *event)
{
	struct epoll_event add = { .events = EPOLLIN };
	int fd = event->data.fd, one = 1;
	char buffer[4096];
	ssize_t n;

	if (fd == listener) {
		add.data.fd = accept(listener, NULL, NULL);
		if (add.data.fd < 0)
			die("accept");
		setsockopt(add.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		epoll_ctl(epoll, EPOLL_CTL_ADD, add.data.fd, &add);
		return;
	}
	n = recv(fd, buffer, sizeof(buffer), 0);
	if (n <= 0 || send(fd, buffer, n, 0) != n || buffer[n - 1] == LAST)
		close(fd);
}

static void serve(const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *ai;
	struct epoll_event events[256], add = { .events = EPOLLIN };
	int listener, epoll = epoll_create1(0), one = 1, n, i;

	signal(SIGPIPE, SIG_IGN);
	if (getaddrinfo(NULL, port, &hints, &ai))
		die("getaddrinfo");
	listener = socket(ai->ai_family, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, ai->ai_addr, ai->ai_addrlen) || listen(listener, 4096))
		die("listen");
	freeaddrinfo(ai);
	add.data.fd = listener;
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &add);
	puts("listening");
	fflush(stdout);
	for (;;) {
		n = epoll_wait(epoll, events, 256, -1);
		for (i = 0; i < n; i++)
			serve_ready(epoll, listener, &events[i]);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void ping(const char *host, const char *port, double seconds)
{
	double *us = calloc(PINGS_MAX, sizeof(*us)), end = now_us() + seconds * 1e6, start;
	int fd = dial(host, port), count = 0;

	if (!us)
		die("calloc");
	do {
		start = now_us();
		round_trip(fd, 'x');
		us[count++] = now_us() - start;
	} while (count < PINGS_MAX && now_us() < end);
	qsort(us, count, sizeof(*us), compare);
	printf("%.2f\n", us[count / 2]);
	free(us);
	close(fd);
}

static void rate(const char *host, const char *port, double seconds)
{
	double start = now_us();
	int fd, count = 0;
	char end;

	do {
		fd = dial(host, port);
		/* The server's end waits out TIME_WAIT: else connect() would soon be measuring its
		 * search for a free port. */
		round_trip(fd, LAST);
		if (recv(fd, &end, 1, 0))
			die("end");
		close(fd);
		count++;
	} while (now_us() - start < seconds * 1e6);
	printf("%.1f\n", count / ((now_us() - start) / 1e6));
}

static void hold(const char *host, const char *port, int count)
{
	int *fds = calloc(count, sizeof(*fds)), i;

	for (i = 0; i < count; i++) {
		fds[i] = dial(host, port);
		round_trip(fds[i], 'x');
	}
	puts("held");
	fflush(stdout);
	getchar();
	for (i = 0; i < count; i++) {
		round_trip(fds[i], 'x');
		close(fds[i]);
	}
	puts("done");
	free(fds);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	double amount;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(argv[2]);
	amount = argc == 5 ? atof(argv[4]) : 0;
	if (!(amount > 0))
		return 2;
	if (!strcmp(argv[1], "ping"))
		ping(argv[2], argv[3], amount);
	else if (!strcmp(argv[1], "rate"))
		rate(argv[2], argv[3], amount);
	else if (!strcmp(argv[1], "hold"))
		hold(argv[2], argv[3], amount);
	else
		return 2;
	return 0;
}
