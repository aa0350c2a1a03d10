// SPDX-License-Identifier: GPL-2.0
/*
 * Datagrams between two sockets, each in its network namespace, each UDP or the kernel's own UDP-Lite.
 *
 *   exchange END END [nocheck] [cover=N] [min=N]   every size both ways; exit 1 if one fails
 *   send END END BYTES [OPTION as in exchange]     one datagram of this size; exit 1 if it fails
 *   stream END END COUNT                           numbered, echoed, 32 under way; prints JSON
 *   super END END                                  one send() of three datagrams (UDP_SEGMENT)
 *
 * END: NAMESPACE,udp|udplite,ADDRESS,PORT. nocheck: SO_NO_CHECK, so that the kernel finishes the
 * datagram before tc sees it. cover, min: of native UDP-Lite sockets.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define UDPLITE		   136
#define UDPLITE_SEND_CSCOV 10
#define UDPLITE_RECV_CSCOV 11
#define UDP_SEGMENT	   103
#define UDP_NO_CHECK6_TX   101
#define WINDOW		   32
#define PAYLOAD_MAX	   1452
#define SEND_MAX	   16384
#define TIMEOUT		   1000 /* ms without anything: what is under way is lost */

struct end {
	int fd;
	struct sockaddr_storage address;
	socklen_t size;
};

static int opt_nocheck, opt_cover, opt_min;

static void enter(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		err(3, "%s", path);
	close(fd);
}

static void set(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		err(3, "socket option %d", option);
}

static struct end open_end(char *text)
{
	const char *ns = strtok(text, ","), *kind = strtok(NULL, ","), *ip = strtok(NULL, ",");
	const char *port = strtok(NULL, ",");
	struct end end = { 0 };
	struct sockaddr_in *in4 = (void *)&end.address;
	struct sockaddr_in6 *in6 = (void *)&end.address;
	bool v6, native;

	if (!port)
		errx(2, "END is NAMESPACE,udp|udplite,ADDRESS,PORT");
	enter(ns);
	v6 = strchr(ip, ':');
	native = !strcmp(kind, "udplite");
	end.address.ss_family = v6 ? AF_INET6 : AF_INET;
	end.size = v6 ? sizeof(*in6) : sizeof(*in4);
	inet_pton(end.address.ss_family, ip, v6 ? (void *)&in6->sin6_addr : &in4->sin_addr);
	in4->sin_port = htons(atoi(port)); /* sin6_port is at the same place */
	end.fd = socket(end.address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			native ? UDPLITE : 0);
	if (end.fd < 0 || bind(end.fd, (void *)&end.address, end.size))
		err(3, "%s socket", kind);
	if (native && opt_cover)
		set(end.fd, UDPLITE, UDPLITE_SEND_CSCOV, opt_cover);
	if (native && opt_min)
		set(end.fd, UDPLITE, UDPLITE_RECV_CSCOV, opt_min);
	if (!native && opt_nocheck)
		set(end.fd, v6 ? IPPROTO_UDP : SOL_SOCKET, v6 ? UDP_NO_CHECK6_TX : SO_NO_CHECK, 1);
	return end;
}

static void fill(uint8_t *payload, int n, uint32_t seed)
{
	for (int i = 0; i < n; i++)
		payload[i] = (seed + i) * 2654435761u >> 24;
}

static bool wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, TIMEOUT) == 1;
}

static bool send_to(const struct end *from, const struct end *to, const void *data, size_t n)
{
	return sendto(from->fd, data, n, 0, (void *)&to->address, to->size) == (ssize_t)n;
}

static bool one_way(const struct end *from, const struct end *to, int n)
{
	static uint8_t sent[SEND_MAX], got[SEND_MAX + 1];

	fill(sent, n, n);
	if (send_to(from, to, sent, n) && wait_readable(to->fd) &&
	    recv(to->fd, got, sizeof(got), 0) == n && !memcmp(sent, got, n))
		return true;
	fprintf(stderr, "%d bytes did not arrive\n", n);
	return false;
}

static int exchange(const struct end *a, const struct end *b)
{
	static const int sizes[] = { 0,	  1,   2,   11,	  12,	13,   14,   100, 101,
				     503, 504, 505, 1000, 1399, 1400, 1451, 1452 };
	int failed = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		failed += !one_way(a, b, sizes[i]);
		failed += !one_way(b, a, sizes[i]);
	}
	printf("%zu datagrams, %d failed\n", 2 * sizeof(sizes) / sizeof(sizes[0]), failed);
	return failed != 0;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* Echoes what has arrived at @b; counts what is not as it was sent. */
static void echo(const struct end *b, const struct end *a, uint32_t *damaged)
{
	uint8_t got[PAYLOAD_MAX + 1], want[PAYLOAD_MAX];
	uint32_t number;
	ssize_t n;

	while ((n = recv(b->fd, got, sizeof(got), 0)) >= (ssize_t)sizeof(number)) {
		memcpy(&number, got, sizeof(number));
		fill(want, n, number);
		*damaged += memcmp(got + sizeof(number), want + sizeof(number),
				   n - sizeof(number)) != 0;
		send_to(b, a, &number, sizeof(number));
	}
}

/* Ends when all is sent and answered, or after three seconds without an answer. */
static int stream(const struct end *a, const struct end *b, uint32_t count)
{
	uint32_t sent = 0, answered = 0, under_way = 0, lost = 0, damaged = 0, number;
	struct pollfd p[] = { { .fd = a->fd, .events = POLLIN },
			      { .fd = b->fd, .events = POLLIN } };
	double start = now_ms(), last = start, gap = 0;
	uint8_t data[PAYLOAD_MAX];
	int silent = 0;

	while ((sent < count || under_way) && silent < 3) {
		for (; sent < count && under_way < WINDOW; under_way++, sent++) {
			int n = 4 + sent * 37 % (PAYLOAD_MAX - 4);

			fill(data, n, sent);
			memcpy(data, &sent, sizeof(sent));
			send_to(a, b, data, n);
		}
		if (poll(p, 2, TIMEOUT) == 0) {
			lost += under_way;
			under_way = 0;
			silent++;
			continue;
		}
		if (p[1].revents)
			echo(b, a, &damaged);
		while (p[0].revents && recv(a->fd, &number, sizeof(number), 0) > 0) {
			answered++;
			under_way -= under_way > 0;
			silent = 0;
			gap = now_ms() - last > gap ? now_ms() - last : gap;
			last = now_ms();
		}
	}
	printf("{\"sent\": %u, \"answered\": %u, \"lost\": %u, \"damaged\": %u, \"longest_gap_ms\": "
	       "%.1f, \"seconds\": %.2f}\n",
	       sent, answered, lost, damaged, gap, (now_ms() - start) / 1e3);
	return 0;
}

static int super(const struct end *a, const struct end *b)
{
	uint8_t data[300], got[301];
	int n = 0;

	fill(data, sizeof(data), 1);
	set(a->fd, IPPROTO_UDP, UDP_SEGMENT, 100);
	if (!send_to(a, b, data, sizeof(data)))
		err(3, "send");
	while (n < 3 && wait_readable(b->fd) && recv(b->fd, got, sizeof(got), 0) == 100 &&
	       !memcmp(got, data + n * 100, 100))
		n++;
	printf("%d of 3 arrived\n", n);
	return n != 3;
}

int main(int argc, char **argv)
{
	struct end a, b;

	if (argc < 4)
		errx(2, "usage: prog_lite_traffic exchange|send|stream|super END END [OPTION]");
	for (int i = 4; i < argc; i++) {
		opt_nocheck |= !strcmp(argv[i], "nocheck");
		sscanf(argv[i], "cover=%d", &opt_cover);
		sscanf(argv[i], "min=%d", &opt_min);
	}
	a = open_end(argv[2]);
	b = open_end(argv[3]);
	if (!strcmp(argv[1], "exchange"))
		return exchange(&a, &b);
	if (!strcmp(argv[1], "send") && argc > 4 && atoi(argv[4]) <= SEND_MAX)
		return !one_way(&a, &b, atoi(argv[4]));
	if (!strcmp(argv[1], "stream") && argc > 4)
		return stream(&a, &b, strtoul(argv[4], NULL, 10));
	if (!strcmp(argv[1], "super"))
		return super(&a, &b);
	errx(2, "no command '%s'", argv[1]);
}
