// SPDX-License-Identifier: GPL-2.0
#include "hooker/hooks/first_packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT_DISCARD 9

double hk_first_packet_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/* A broadcasting socket on @ifindex with a port of its own; returns it, or -errno. */
static int open_socket(int ifindex, uint16_t *port)
{
	struct sockaddr_in self = { .sin_family = AF_INET };
	socklen_t size = sizeof(self);
	char name[IF_NAMESIZE];
	int fd, one = 1, err;

	if (!if_indextoname(ifindex, name))
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, sizeof(name)) ||
	    bind(fd, (struct sockaddr *)&self, size) ||
	    getsockname(fd, (struct sockaddr *)&self, &size)) {
		err = -errno;
		close(fd);
		return err;
	}
	*port = ntohs(self.sin_port);
	return fd;
}

static const char *last_sender(const struct hk_transport_desc *desc)
{
	const char *last = NULL;

	for (const struct hk_step_desc *step = desc->steps; step->name; step++)
		if (step->hook == HK_STEP_TX)
			last = step->name;
	return last;
}

int hk_first_packet(struct hk_deployment *deployment, const struct hk_transport_desc *desc,
		    int ifindex)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT_DISCARD),
		.sin_addr.s_addr = htonl(INADDR_BROADCAST),
	};
	double deadline = hk_first_packet_now() + 1000;
	const char *step = last_sender(desc);
	uint64_t before, now;
	uint16_t port = 0;
	int fd, err;

	if (!step)
		return -EOPNOTSUPP;
	fd = open_socket(ifindex, &port);
	if (fd < 0)
		return fd;
	err = hk_deployment_count(deployment, step, 0, &before);
	err = err ?: hk_deployment_add_port(deployment, port, 0, 0, 0);
	if (!err && sendto(fd, "", 0, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		err = -errno;
	while (!err) {
		err = hk_deployment_count(deployment, step, 0, &now);
		if (err || now > before)
			break;
		if (hk_first_packet_now() > deadline)
			err = -ETIMEDOUT;
		sched_yield();
	}
	hk_deployment_del_port(deployment, port);
	close(fd);
	return err;
}
