/* SPDX-License-Identifier: GPL-2.0 */
/* TCP connections of the daemon to itself. Any process of this host may connect to their listener, too. */
#ifndef HOOKER_LOOPBACK_H
#define HOOKER_LOOPBACK_H

#include <netinet/in.h>
#include <stdint.h>

struct loopback {
	int listener; /* -1: none */
	struct sockaddr_in address;
};

/*
 * @ip4: of both ends, host order. @buffer: SO_RCVBUF of what is accepted, 0 = the host's; needs CAP_NET_ADMIN, for it may
 * exceed net.core.rmem_max, 208 KiB on most hosts. Returns 0 or -errno.
 */
int loopback_listen(struct loopback *loopback, uint32_t ip4, uint32_t buffer);
/*
 * One connection, *a accepted and *b connected, both non-blocking. @buffer: SO_SNDBUF of *b, 0 = the host's. Returns 0 or
 * -errno, within a second.
 */
int loopback_connect(const struct loopback *loopback, int buffer, int *a, int *b);
/* RST instead of FIN: no TIME_WAIT, whose ports 28,000 short connections would use up. -1 is fine. */
void loopback_close(int fd);

#endif
