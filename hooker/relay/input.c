// SPDX-License-Identifier: GPL-2.0
/* From a carrier's frame to its connection, and in batches on to the application. */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/sockops.skel.h"
#include "hooker/base/flow_key.h"

void input_flush(struct pending *pending, uint64_t now)
{
	struct conn *conn = pending->conn;
	ssize_t done;

	if (!pending->count)
		return;
	done = redirect_deliver(conn->loop->redirect, conn, pending->iov, pending->count);
	rdt_direct_done(conn->rdt, now, pending->iov, pending->count, done > 0 ? done : 0);
	if (done > 0) {
		conn->to_app += done;
		conn->since_look += done;
	}
	if (done < 0)
		conn_fail(conn, HK_CODE_RST, HK_REASON_NONE);
	conn->blocked = done == 0;
	pending->count = 0;
}

static bool is_of(const struct conn *conn, const struct rdt_identity *id)
{
	return conn->id.local_isn == id->local_isn &&
	       !memcmp(&conn->id.key, &id->key, sizeof(id->key));
}

static struct conn *find(const struct pending *pending, const struct rdt_frame *frame)
{
	struct loop *loop = pending->loop;
	struct conn *conn;

	/* The frame before is of the same connection as a rule. It lives until the batch is done. */
	if (pending->conn && is_of(pending->conn, &frame->id))
		conn = pending->conn;
	else
		conn = conn_find(loop, &frame->id.key, frame->id.local_isn);
	if (!conn) {
		/* Its announcement may be waiting behind this very datagram. */
		loop_consume_events(loop);
		conn = conn_find(loop, &frame->id.key, frame->id.local_isn);
	}
	return conn && conn->remote_isn == frame->id.remote_isn ? conn : NULL;
}

/*
 * A connection that waits for the handshake's last ACK: the frame proves that the peer has had our SYN-ACK, as
 * a data segment would in TCP, so its ACK was lost or overtaken. Returns whether it is one.
 */
static bool complete_handshake(struct loop *loop, const struct rdt_identity *id)
{
	int map = bpf_map__fd(loop->attach->sockops->maps.hk_half);
	struct hk_flow_key key = hk_flow_key_of(&id->key);
	struct hk_half half;

	if (bpf_map_lookup_elem(map, &key, &half) || half.datapath != HK_DATAPATH_RELAY)
		return false;
	half.heard = 1; /* instead of the option, which says the same */
	if (!bpf_map_update_elem(map, &key, &half, BPF_EXIST) && !inject_handshake_ack(loop, id))
		loop->stats.completed++;
	return true;
}

int input_frame(struct pending *pending, uint64_t now, const struct rdt_frame *frame,
		uint32_t from_ip4, const struct carrier *carrier, struct link *link,
		struct rdt_datagram *reply)
{
	struct loop *loop = pending->loop;
	struct iovec direct;
	struct conn *conn;

	/* Only the flow's peer may speak for it. */
	if (from_ip4 != frame->id.key.dst_ip4) {
		loop->stats.foreign++;
		return -EPERM;
	}
	conn = find(pending, frame);
	if (!conn) {
		bool half = complete_handshake(loop, &frame->id);

		/* Again in any case: sock_ops forgets what was half when it has announced the whole. */
		conn = find(pending, frame);
		if (!conn && half)
			return 0; /* not yet accepted; the peer sends it again */
	}
	if (!conn) {
		/* No connection: tell the peer, unless it is telling us. */
		loop->stats.unknown++;
		return rdt_stateless_reset(frame, reply);
	}
	if (pending->conn != conn || pending->count == DELIVERY_BATCH)
		input_flush(pending, now);
	pending->conn = conn;
	if (link)
		fallback_follow(conn, link, now);
	else if (carrier == loop->udp)
		conn_follow_to_udp(conn);
	if (conn_input(conn, now, frame, &direct) & RDT_EV_DIRECT)
		pending->iov[pending->count++] = direct;
	return 0;
}
