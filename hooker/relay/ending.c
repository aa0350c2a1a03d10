// SPDX-License-Identifier: GPL-2.0
/*
 * How a connection's end gets into TCP: FIN and RST held until the stream is with the application,
 * resets of our own. None may be lost, and each can be: the kernel drops segments for a socket that its
 * application has locked while what it has not read exceeds its buffer (tcp_add_backlog() counts what
 * was redirected to it), and the hooks of a dying daemon drop what they held. So each is repeated until TCP's
 * state shows that it arrived.
 */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <string.h>
#include <netinet/tcp.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/relay.skel.h"
#include "hooker/base/log.h"
#include "hooker/hooks/sockdestroy.h"

#define NS_PER_S      1000000000ull
#define REPEAT_FOR_NS (4 * NS_PER_S)
/* Through the network, confirmed by nobody, perhaps for thousands of connections at once: seven times in all. */
#define REPEAT_PEER_NS 50000000ull
#define LATE_FIN_NS    20000000ull    /* how much later than the end of the stream a FIN may come */
#define HOLD_NS	       (1 * NS_PER_S) /* a held FIN or RST without progress: ask, or let RST through */

void ending_order(struct conn *conn, uint32_t flags)
{
	struct hk_order order = {
		.flags = conn->order | flags,
		.local_isn = conn->id.local_isn,
	};

	if (order.flags == conn->order)
		return;
	conn->order = order.flags;
	if (bpf_map_update_elem(bpf_map__fd(conn->loop->attach->relay->maps.hk_orders),
				&conn->id.key, &order, BPF_ANY))
		hk_warn("can't write an order for port %u: %s", conn->id.key.src_port,
			strerror(errno));
}

/* Flags are byte 13 of the TCP header, which follows 14 + 20 bytes. */
static uint8_t held_flags(const struct held_frame *held)
{
	return held->len ? held->bytes[14 + 20 + 13] : 0;
}

static void send_end(struct conn *conn)
{
	int err = 0;

	switch (conn->ending) {
	case ENDING_NONE: return;
	case ENDING_HELD: err = inject_held(conn, &conn->held); break;
	case ENDING_FIN: err = inject_fin(conn); break;
	case ENDING_RESET: err = inject_reset(conn); break;
	case ENDING_PEER: err = inject_reset_to_peer(conn); break;
	}
	/* Not fatal: it will be repeated. */
	if (err)
		hk_debug("can't end the connection on port %u: %s", conn->id.key.src_port,
			 strerror(-err));
}

/* First after @after ns. */
static void arm(struct conn *conn, enum ending ending, uint64_t after)
{
	uint64_t now = relay_now();

	conn->ending = ending;
	conn->repeat_after = after;
	conn->repeat_at = now + after;
	conn->repeat_until = now + REPEAT_FOR_NS;
}

static void start(struct conn *conn, enum ending ending)
{
	arm(conn, ending, ending == ENDING_PEER ? REPEAT_PEER_NS : REPEAT_NS);
	send_end(conn);
}

static void stop(struct conn *conn)
{
	conn->ending = ENDING_NONE;
	conn->held.len = 0;
	conn->repeat_at = RDT_NEVER;
}

/* If the local application has its RST, or will not have it: is there one to be sent to the peer's? */
static void repeated_enough(struct conn *conn)
{
	bool peer = conn->ending == ENDING_RESET && conn->unattended;

	stop(conn);
	if (peer)
		start(conn, ENDING_PEER);
}

void ending_repeat(struct conn *conn, uint64_t now)
{
	if (now < conn->repeat_at)
		return;
	if (now > conn->repeat_until) {
		repeated_enough(conn);
		return;
	}
	send_end(conn);
	conn->repeat_after *= 2;
	if (conn->ending != ENDING_PEER && conn->repeat_after > REPEAT_MAX_NS)
		conn->repeat_after = REPEAT_MAX_NS;
	conn->repeat_at = now + conn->repeat_after;
}

void ending_state(struct conn *conn, uint8_t new_state)
{
	bool closed = new_state == TCP_CLOSE;
	bool fin_taken = closed || new_state == TCP_CLOSE_WAIT || new_state == TCP_CLOSING ||
			 new_state == TCP_LAST_ACK || new_state == TCP_TIME_WAIT;

	conn->fin_acked |= new_state == TCP_FIN_WAIT2;
	if ((conn->ending == ENDING_RESET && closed) || (conn->ending == ENDING_FIN && fin_taken) ||
	    (conn->ending == ENDING_HELD &&
	     (held_flags(&conn->held) & TH_RST ? closed : fin_taken)))
		repeated_enough(conn);
}

void ending_reset_local(struct conn *conn)
{
	ending_order(conn, HK_ORDER_SHUT | HK_ORDER_RELEASE);
	if (!conn->socket_closed)
		start(conn, ENDING_RESET);
	else if (conn->unattended)
		start(conn, ENDING_PEER);
}

void conn_reset_by_peer(struct conn *conn, uint8_t code)
{
	if (conn->failed)
		return;
	/*
	 * A daemon that stops resets its own application, unless it is killed while it does so: it stops because
	 * its supervisor was, for instance. One that no longer knows the connection has nothing to reset.
	 */
	conn->unattended = code == HK_CODE_STOPPED || code == HK_CODE_UNKNOWN;
	conn_cut(conn);
}

void conn_peer_gone(struct conn *conn, enum hk_reason reason)
{
	if (conn->failed)
		return;
	/* Nobody holds a FIN back there any more: destroying the socket ends its repetition. */
	if (hk_sock_destroy_one(&conn->id.key, conn->cookie) < 0)
		hk_debug("can't destroy the socket on port %u", conn->id.key.src_port);
	conn_fail(conn, HK_CODE_TIMEOUT, reason);
	/* The RST it sent is what the peer's application must see, and may have come too early. */
	start(conn, ENDING_PEER);
}

static bool acks_fin(const struct conn *conn, const struct held_frame *held)
{
	uint32_t ack;

	if (held->len < 14 + 20 + 12)
		return false;
	memcpy(&ack, &held->bytes[14 + 20 + 8], sizeof(ack));
	return ntohl(ack) == conn->id.local_isn + 2;
}

void conn_hold(struct conn *conn, const struct hk_event *event)
{
	struct held_frame held = {
		.ifindex = event->ifindex,
		.len = event->frame_len <= HK_HELD_MAX ? event->frame_len : 0,
	};

	memcpy(held.bytes, event->frame, held.len);
	/* Of what TCP has sent, its FIN is the last: any other acknowledgement goes where it was meant to. */
	if (!(held_flags(&held) & (TH_FIN | TH_RST)) && !acks_fin(conn, &held)) {
		inject_held(conn, &held);
		return;
	}
	/* A bare acknowledgement of our FIN must not replace the peer's own FIN or RST. */
	if (!(held_flags(&held) & (TH_FIN | TH_RST)) && conn->held.len)
		return;
	conn->held = held;
	if (conn->deadline == RDT_NEVER)
		conn->deadline = relay_now() + HOLD_NS;
	conn_touch(conn);
}

void ending_release(struct conn *conn)
{
	bool first = !(conn->order & HK_ORDER_RELEASE), expecting = conn->ending == ENDING_FIN;

	if (!rdt_delivered_all(conn->rdt) || (conn->ending != ENDING_NONE && !expecting) ||
	    (!first && !conn->held.len))
		return;
	ending_order(conn, HK_ORDER_RELEASE);
	conn->deadline = RDT_NEVER;
	if (first && rdt_end_code(conn->rdt) == HK_CODE_RST && !conn->socket_closed) {
		start(conn, ENDING_RESET);
	} else if (held_flags(&conn->held) & (TH_FIN | TH_RST)) {
		start(conn, ENDING_HELD);
	} else {
		/* An acknowledgement: TCP repeats what asks for it. */
		if (conn->held.len)
			inject_held(conn, &conn->held);
		conn->held.len = 0;
		/*
		 * The peer's FIN is late, or lost. Its TCP repeats it, but not before all has arrived
		 * (hk_relay_out), and then after as long again as that took: made here, unless it comes.
		 */
		if ((first || expecting) && !conn->socket_closed)
			arm(conn, ENDING_FIN, LATE_FIN_NS);
	}
}

void ending_overdue(struct conn *conn, uint64_t now)
{
	if (conn->loop->options.paper) {
		/* Nothing will be sent again: as published, the stream ends with what has come. */
		if (now < conn->heard_at + HOLD_NS)
			conn->deadline = conn->heard_at + HOLD_NS;
		else
			rdt_write_off(conn->rdt);
	} else if (held_flags(&conn->held) & TH_RST) {
		conn_fail(conn, HK_CODE_RST, HK_REASON_NONE);
	} else if (held_flags(&conn->held) & TH_FIN) {
		rdt_probe(conn->rdt); /* a FIN without its data: is the peer's daemon alive? */
		conn->deadline = now + HOLD_NS;
	}
}
