// SPDX-License-Identifier: GPL-2.0
/*
 * One UDP socket for all connections and peers of one transport. For UDP-Lite it is the deployed
 * chain that makes protocol 136 of what this socket sends. Datagrams of one connection leave in
 * batches: as one UDP GSO message where the kernel can cut it up (Linux 4.18), else by sendmmsg().
 */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hooker/base/log.h"

#define SEND_BATCH     40 /* datagrams; 40 of 1472 bytes stay below the 65507 of one UDP message */
#define RECEIVE_BATCH  16 /* messages a system call */
#define RECEIVE_SIZE   65536 /* of one: many datagrams, coalesced by UDP GRO */
#define RECEIVE_ROUNDS 8     /* then let other sockets have their turn */
#define SOCKET_BUFFER  (8 * 1024 * 1024)

struct carrier {
	struct loop *loop;
	uint16_t port; /* here and at every peer, host byte order */
	int fd;
	bool gso;
	struct event *readable;
	uint64_t sent, received, send_errors, malformed[RDT_BAD_MAX];
	struct rdt_datagram out[SEND_BATCH];
	struct received {
		struct iovec iov;
		struct sockaddr_in from;
		union {
			uint8_t bytes[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} control;
		uint8_t bytes[RECEIVE_SIZE];
	} in[RECEIVE_BATCH];
};

/* Control data of a message: the source address the peer expects, and the GSO segment size. */
struct control {
	union {
		uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(uint16_t))];
		struct cmsghdr align;
	};
};

static void fill_message(struct msghdr *msg, struct control *control, struct sockaddr_in *to,
			 uint32_t source, uint16_t segment)
{
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = source };
	struct cmsghdr *cmsg;

	memset(msg, 0, sizeof(*msg));
	memset(control, 0, sizeof(*control));
	msg->msg_name = to;
	msg->msg_namelen = sizeof(*to);
	msg->msg_control = control->bytes;
	msg->msg_controllen = sizeof(control->bytes);
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = IPPROTO_IP;
	cmsg->cmsg_type = IP_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
	if (!segment) {
		msg->msg_controllen = CMSG_SPACE(sizeof(info));
		return;
	}
	cmsg = CMSG_NXTHDR(msg, cmsg);
	cmsg->cmsg_level = IPPROTO_UDP;
	cmsg->cmsg_type = UDP_SEGMENT;
	cmsg->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(cmsg), &segment, sizeof(segment));
}

/* How many datagrams from @first on make one GSO message: equal sizes, the last may be shorter. */
static int gso_run(const struct carrier *carrier, int first, int count)
{
	uint32_t size = carrier->out[first].len;
	int n = 1;

	if (!carrier->gso)
		return 1;
	while (first + n < count && carrier->out[first + n].len <= size) {
		n++;
		if (carrier->out[first + n - 1].len < size)
			break;
	}
	return n;
}

/* Sends out[from..count). What fails counts as lost on the way: rdt sends it again. */
static void send_batch(struct carrier *carrier, struct conn *conn, int from, int count)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(carrier->port),
		.sin_addr.s_addr = conn->id.key.dst_ip4,
	};
	struct mmsghdr msgs[SEND_BATCH];
	struct control controls[SEND_BATCH];
	struct iovec iov[SEND_BATCH * 3];
	int starts[SEND_BATCH], first, n, messages = 0, vecs = 0, done = 0;

	for (first = from; first < count; first += n) {
		struct msghdr *msg = &msgs[messages].msg_hdr;
		int i;

		n = gso_run(carrier, first, count);
		fill_message(msg, &controls[messages], &to, conn->id.key.src_ip4,
			     n > 1 ? carrier->out[first].len : 0);
		msg->msg_iov = &iov[vecs];
		for (i = first; i < first + n; i++) {
			memcpy(&iov[vecs], carrier->out[i].iov,
			       carrier->out[i].niov * sizeof(struct iovec));
			vecs += carrier->out[i].niov;
		}
		msg->msg_iovlen = &iov[vecs] - msg->msg_iov;
		starts[messages++] = first;
	}
	while (done < messages) {
		int ret = sendmmsg(carrier->fd, msgs + done, messages - done, MSG_DONTWAIT);

		if (ret > 0) {
			done += ret;
			continue;
		}
		/* No checksum offload on the route's device: the kernel refuses to segment. */
		if (carrier->gso && (errno == EIO || errno == EINVAL)) {
			carrier->gso = false;
			hk_debug("UDP segmentation offload refused (%s): sending one by one",
				 strerror(errno));
			send_batch(carrier, conn, starts[done], count);
			return;
		}
		carrier->send_errors++;
		done++;
	}
}

void carrier_send(struct conn *conn, uint64_t now)
{
	struct carrier *carrier = conn->carrier;
	int count;

	do {
		for (count = 0; count < SEND_BATCH; count++)
			if (rdt_output(conn->rdt, now, &carrier->out[count]) <= 0)
				break;
		if (count)
			send_batch(carrier, conn, 0, count);
		carrier->sent += count;
	} while (count == SEND_BATCH);
}

static void send_reply(struct carrier *carrier, struct rdt_datagram *reply, struct sockaddr_in *to,
		       uint32_t source)
{
	struct control control;
	struct msghdr msg;

	fill_message(&msg, &control, to, source, 0);
	msg.msg_iov = reply->iov;
	msg.msg_iovlen = reply->niov;
	if (sendmsg(carrier->fd, &msg, MSG_DONTWAIT) < 0)
		carrier->send_errors++;
}

static void input(struct carrier *carrier, const uint8_t *bytes, size_t len,
		  struct sockaddr_in *from, struct pending *pending, uint64_t now)
{
	struct rdt_datagram reply;
	struct rdt_frame frame;
	int ret;

	carrier->received++;
	ret = rdt_frame_parse(bytes, len, &frame);
	if (ret < 0) {
		carrier->malformed[RDT_BAD(ret)]++;
		return;
	}
	if (from->sin_port != htons(carrier->port)) {
		carrier->loop->stats.foreign++;
		return;
	}
	ret = input_frame(pending, now, &frame, from->sin_addr.s_addr, carrier, NULL, &reply);
	if (ret > 0)
		send_reply(carrier, &reply, from, frame.id.key.src_ip4);
}

/* UDP GRO joins datagrams of equal size; the control message tells which (Linux 5.0). */
static size_t segment_size(struct msghdr *msg, size_t len)
{
	struct cmsghdr *cmsg;
	int size;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != IPPROTO_UDP || cmsg->cmsg_type != UDP_GRO)
			continue;
		memcpy(&size, CMSG_DATA(cmsg), sizeof(size));
		return size > 0 ? (size_t)size : len;
	}
	return len;
}

/* Returns how many messages came; fewer than RECEIVE_BATCH: that was all. */
static int receive(struct carrier *carrier)
{
	struct mmsghdr msgs[RECEIVE_BATCH] = { 0 };
	struct pending pending = { .loop = carrier->loop };
	uint64_t now;
	int i, got;

	for (i = 0; i < RECEIVE_BATCH; i++) {
		struct received *in = &carrier->in[i];
		struct msghdr *msg = &msgs[i].msg_hdr;

		in->iov.iov_base = in->bytes;
		in->iov.iov_len = sizeof(in->bytes);
		msg->msg_iov = &in->iov;
		msg->msg_iovlen = 1;
		msg->msg_name = &in->from;
		msg->msg_namelen = sizeof(in->from);
		msg->msg_control = &in->control;
		msg->msg_controllen = sizeof(in->control);
	}
	got = recvmmsg(carrier->fd, msgs, RECEIVE_BATCH, MSG_DONTWAIT, NULL);
	if (got <= 0)
		return 0;
	now = relay_now();
	for (i = 0; i < got; i++) {
		size_t len = msgs[i].msg_len, size = segment_size(&msgs[i].msg_hdr, len), at;

		for (at = 0; at < len; at += size)
			input(carrier, carrier->in[i].bytes + at, len - at < size ? len - at : size,
			      &carrier->in[i].from, &pending, now);
	}
	input_flush(&pending, now);
	return got;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct carrier *carrier = arg;
	int round = 0, got;

	(void)fd, (void)what;
	do
		got = receive(carrier);
	while (got == RECEIVE_BATCH && ++round < RECEIVE_ROUNDS);
	loop_settle(carrier->loop);
}

json_t *carrier_stats_json(const struct carrier *carrier)
{
	json_t *malformed = json_object();
	int reason;

	for (reason = 1; reason < RDT_BAD_MAX; reason++)
		json_object_set_new(malformed, rdt_bad_name(reason),
				    json_integer(carrier->malformed[reason]));
	return json_pack("{s:I, s:I, s:I, s:b, s:o}", "sent", (json_int_t)carrier->sent, "received",
			 (json_int_t)carrier->received, "send_errors",
			 (json_int_t)carrier->send_errors, "gso", carrier->gso, "malformed",
			 malformed);
}

void carrier_close(struct carrier *carrier)
{
	if (!carrier)
		return;
	if (carrier->readable)
		event_free(carrier->readable);
	if (carrier->fd >= 0)
		close(carrier->fd);
	free(carrier);
}

static int open_socket(struct carrier *carrier)
{
	int size = SOCKET_BUFFER, one = 1, err;

	carrier->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (carrier->fd < 0)
		return -errno;
	/* A burst must wait here, not be lost, while the daemon is busy. */
	setsockopt(carrier->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(carrier->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	/* No UDP checksum, so that nobody finishes one over what the UDP-Lite chain has written. GSO
	 * needs one; then hooker/hooks/segments.c has seen to it that the device's is right. */
	if (carrier->port == HK_RELAY_LITE_PORT && !carrier->gso &&
	    setsockopt(carrier->fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one)))
		return -errno;
	/*
	 * Fails before Linux 5.0: then each datagram comes alone. As published it does so, for one that GRO cannot join
	 * to those it holds overtakes them (one with a finished checksum, say), and nothing puts that right.
	 */
	if (!carrier->loop->options.paper)
		setsockopt(carrier->fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
	err = loop_bind(carrier->loop, carrier->fd, carrier->port) ?:
		      loop_share(carrier->loop, carrier->fd);
	if (err)
		hk_error("can't bind UDP port %u: %s%s", carrier->port, strerror(-err),
			 err == -EADDRINUSE ? "; is another Hooker running here?" : "");
	return err;
}

int carrier_open(struct carrier **out, struct loop *loop, uint16_t port)
{
	struct carrier *carrier = calloc(1, sizeof(*carrier));
	int err;

	if (!carrier)
		return -ENOMEM;
	carrier->loop = loop;
	carrier->fd = -1;
	carrier->gso = port == HK_RELAY_PORT || loop->attach->segments;
	carrier->port = port;
	err = open_socket(carrier);
	if (err)
		goto out;
	carrier->readable =
		event_new(loop->base, carrier->fd, EV_READ | EV_PERSIST, on_readable, carrier);
	err = -ENOMEM;
	if (!carrier->readable || event_add(carrier->readable, NULL))
		goto out;
	*out = carrier;
	return 0;
out:
	carrier_close(carrier);
	return err;
}
