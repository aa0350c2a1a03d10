// SPDX-License-Identifier: GPL-2.0
/*
 * Routers and hosts that refuse our datagrams, heard by a raw socket. Not by the error queues of the carriers: UDP-Lite is
 * nobody's protocol here, and for an error the kernel chooses among the sockets of a port by a hash of its own, not as it
 * does for a datagram (__udp4_lib_err() looks up without one). Every loop hears all, and knows its own connections.
 */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <netinet/ip.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/icmp.h>

#include "hooker/base/log.h"

struct icmp {
	struct loop *loop;
	int fd;
	struct event *readable;
};

/* Not: net and host unreachable, which pass, nor what asks for smaller packets. */
static bool is_refusal(uint8_t code)
{
	return code == ICMP_PROT_UNREACH || code == ICMP_PORT_UNREACH || code == ICMP_NET_ANO ||
	       code == ICMP_HOST_ANO || code == ICMP_PKT_FILTERED;
}

/*
 * Only a quoted identity that matches a connection counts, so that forging an error is as hard as
 * forging a frame.
 */
static void quoted(struct loop *loop, const struct carrier *refused, uint8_t code,
		   const void *bytes, size_t len)
{
	struct hk_frame frame;
	struct sock_key key;
	struct conn *conn;

	if (len < sizeof(frame) || !is_refusal(code))
		return;
	memcpy(&frame, bytes, sizeof(frame));
	key = (struct sock_key){
		.src_ip4 = frame.src_ip4,
		.dst_ip4 = frame.dst_ip4,
		.src_port = ntohl(frame.src_port),
		.dst_port = ntohl(frame.dst_port),
	};
	conn = conn_find(loop, &key, ntohl(frame.src_isn));
	/* Who has left UDP-Lite may still hear that it was refused: undeploying does both at once. */
	if (conn && conn->carrier == refused && conn->remote_isn == ntohl(frame.dst_isn))
		fallback_refused(conn, relay_now());
}

/*
 * Which sent to @port, in network byte order. NULL: none of ours. Who refuses on this host, or on the peer's behind XDP, sees
 * UDP-Lite as UDP.
 */
static const struct carrier *carrier_of(const struct loop *loop, uint8_t protocol, uint16_t port)
{
	if (protocol == IPPROTO_UDP && port == htons(HK_RELAY_PORT))
		return loop->udp;
	if ((protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE) &&
	    port == htons(HK_RELAY_LITE_PORT))
		return loop->udplite;
	return NULL;
}

static void input(struct loop *loop, const uint8_t *bytes, size_t len)
{
	const size_t head = sizeof(struct iphdr) + sizeof(struct icmphdr);
	const struct carrier *carrier;
	struct iphdr outer, inner;
	struct icmphdr icmp;
	uint16_t ports[2];
	size_t at;

	if (len < head)
		return;
	memcpy(&outer, bytes, sizeof(outer));
	at = outer.ihl * 4;
	if (at + sizeof(icmp) + sizeof(inner) > len)
		return;
	memcpy(&icmp, bytes + at, sizeof(icmp));
	at += sizeof(icmp);
	memcpy(&inner, bytes + at, sizeof(inner));
	at += inner.ihl * 4;
	if (icmp.type != ICMP_DEST_UNREACH || at + 8 > len ||
	    loop_of(inner.daddr, loop->relay->loop_count) != loop->index)
		return;
	memcpy(ports, bytes + at, sizeof(ports));
	carrier = carrier_of(loop, inner.protocol, ports[1]);
	if (!carrier)
		return;
	loop->stats.icmp_errors++;
	at += 8; /* UDP's header, or UDP-Lite's */
	quoted(loop, carrier, icmp.code, bytes + at, len - at);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct icmp *icmp = arg;
	uint8_t bytes[1500];
	ssize_t len;

	(void)what;
	while ((len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		input(icmp->loop, bytes, len);
	loop_settle(icmp->loop);
}

void icmp_close(struct icmp *icmp)
{
	if (!icmp)
		return;
	if (icmp->readable)
		event_free(icmp->readable);
	if (icmp->fd >= 0)
		close(icmp->fd);
	free(icmp);
}

int icmp_open(struct icmp **out, struct loop *loop)
{
	struct icmp_filter only = { .data = ~(1u << ICMP_DEST_UNREACH) };
	struct icmp *icmp = calloc(1, sizeof(*icmp));
	int err;

	if (!icmp)
		return -ENOMEM;
	icmp->loop = loop;
	icmp->fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	if (icmp->fd < 0 && errno == EPERM) {
		if (!loop->index)
			hk_warn("without CAP_NET_RAW a path that refuses datagrams is noticed by "
				"their silence");
		*out = icmp;
		return 0;
	}
	if (icmp->fd < 0 || setsockopt(icmp->fd, SOL_RAW, ICMP_FILTER, &only, sizeof(only))) {
		err = -errno;
		hk_error("can't listen to ICMP: %s", strerror(-err));
		icmp_close(icmp);
		return err;
	}
	icmp->readable = event_new(loop->base, icmp->fd, EV_READ | EV_PERSIST, on_readable, icmp);
	if (!icmp->readable || event_add(icmp->readable, NULL)) {
		icmp_close(icmp);
		return -ENOMEM;
	}
	*out = icmp;
	return 0;
}
