// SPDX-License-Identifier: GPL-2.0
/*
 * The life of one redirected connection. Callbacks only change its state and touch it; everything
 * that follows from the change is done once, in conn_settle() (settle.c), and only there may it be destroyed.
 */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/tcp.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/relay.skel.h"
#include "hooker/base/flow_key.h"
#include "hooker/base/log.h"

#define NS_PER_S       1000000000ull
#define FAIL_LINGER_NS (5 * NS_PER_S)

struct conn *conn_find(struct loop *loop, const struct sock_key *key, uint32_t local_isn)
{
	struct conn_id id = { .key = *key, .local_isn = local_isn };
	struct conn *conn;

	HASH_FIND(hh, loop->conns, &id, sizeof(id), conn);
	return conn;
}

void conn_touch(struct conn *conn)
{
	if (conn->dirty)
		return;
	conn->dirty = true;
	conn->next_dirty = conn->loop->dirty;
	conn->loop->dirty = conn;
}

int conn_open(struct loop *loop, const struct hk_event *event)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	struct rdt_identity id = {
		.key = event->key,
		.local_isn = event->local_isn,
		.remote_isn = event->remote_isn,
	};
	struct rdt_config config;

	if (!conn)
		return -ENOMEM;
	conn->id.key = event->key;
	conn->id.local_isn = event->local_isn;
	conn->remote_isn = event->remote_isn;
	conn->cookie = event->cookie;
	conn->loop = loop;
	conn->is_client = event->is_client;
	conn->transport = event->transport;
	conn->carrier = event->transport == HK_TRANSPORT_UDPLITE ? loop->udplite : loop->udp;
	conn->path = path_get(loop, event->key.dst_ip4);
	conn->armed = conn->deadline = conn->repeat_at = conn->brake_at = RDT_NEVER;
	conn->slot = HK_SLOT_NONE;
	conn->opened = conn->checked_at = conn->heard_at = relay_now();
	rdt_config_default(&config);
	config.max_datagram = loop->options.max_datagram;
	config.send_buffer = memory_send_buffer(&loop->options);
	config.recv_buffer = memory_window(&loop->options);
	config.initial_rtt = event->rtt_us * 1000ull;
	config.no_recovery = loop->options.paper;
	conn->rdt =
		rdt_conn_create(&config, &id, conn->path ? &conn->path->rdt : NULL, conn->opened);
	conn->backlog = evbuffer_new();
	conn->timer = evtimer_new(loop->base, conn_on_timer, conn);
	HASH_ADD(hh, loop->conns, id, sizeof(conn->id), conn);
	__atomic_add_fetch(&loop->relay->open, 1, __ATOMIC_RELAXED);
	if (!conn->carrier || !conn->rdt || !conn->backlog || !conn->timer ||
	    (event->slot != HK_SLOT_NONE && pair_take(conn, event->slot))) {
		loop->stats.refused++;
		conn_destroy(conn);
		return -ENOMEM;
	}
	loop->stats.connections++;
	memory_update(conn);
	conn_touch(conn); /* starts its timer */
	/* Undeployed while its handshake was under way. */
	if (conn->carrier == loop->udplite && loop->lite_left)
		conn_leave_udplite(conn);
	return 0;
}

void conn_leave_udplite(struct conn *conn)
{
	conn->carrier = conn->loop->udp;
	conn->moved = HK_REASON_UNDEPLOYED;
	/* Repeated until answered: the peer follows what it hears (conn_follow_to_udp()). */
	rdt_probe(conn->rdt);
	conn_touch(conn);
}

/* Never back: what was sent before may come late. */
void conn_follow_to_udp(struct conn *conn)
{
	if (conn->carrier == conn->loop->udp)
		return;
	conn->carrier = conn->loop->udp;
	conn->moved = HK_REASON_PEER_FELL_BACK;
}

bool conn_flow(const struct conn *conn, struct hk_flow *flow)
{
	struct hk_flow_key key = hk_flow_key_of(&conn->id.key);

	return !bpf_map_lookup_elem(bpf_map__fd(conn->loop->attach->relay->maps.hk_flows), &key,
				    flow) &&
	       flow->local_isn == conn->id.local_isn;
}

/* What the BPF programs know of the connection goes, unless a new life has taken its place. */
static void forget_in_kernel(struct conn *conn)
{
	struct relay_bpf *skel = conn->loop->attach->relay;
	struct hk_flow_key key = hk_flow_key_of(&conn->id.key);
	struct hk_order order;
	struct hk_flow flow;

	if (conn_flow(conn, &flow))
		bpf_map_delete_elem(bpf_map__fd(skel->maps.hk_flows), &key);
	if (conn->order &&
	    !bpf_map_lookup_elem(bpf_map__fd(skel->maps.hk_orders), &conn->id.key, &order) &&
	    order.local_isn == conn->id.local_isn)
		bpf_map_delete_elem(bpf_map__fd(skel->maps.hk_orders), &conn->id.key);
}

void conn_destroy(struct conn *conn)
{
	forget_in_kernel(conn);
	memory_forget(conn);
	pair_release(conn);
	link_forget(conn);
	HASH_DEL(conn->loop->conns, conn);
	__atomic_sub_fetch(&conn->loop->relay->open, 1, __ATOMIC_RELAXED);
	if (conn->timer)
		event_free(conn->timer);
	if (conn->backlog)
		evbuffer_free(conn->backlog);
	rdt_conn_destroy(conn->rdt);
	path_put(conn->path);
	free(conn);
}

void conn_cut(struct conn *conn)
{
	conn->failed = true;
	conn->wanted = NULL; /* it moves nowhere any more, so that must not be due either */
	conn->deadline = relay_now() + FAIL_LINGER_NS;
	ending_reset_local(conn);
	pair_release(conn); /* after the order: now no send() is redirected to it */
}

void conn_fail(struct conn *conn, uint8_t code, enum hk_reason reason)
{
	if (conn->failed)
		return;
	hk_debug("connection %u -> %u fails: code %u, %s", conn->id.key.src_port,
		 conn->id.key.dst_port, code, reason ? "internal" : "reset");
	conn->loop->stats.failed++;
	rdt_abort(conn->rdt, code);
	conn_cut(conn);
	evbuffer_drain(conn->backlog, evbuffer_get_length(conn->backlog));
	conn_touch(conn);
}

int conn_take(struct conn *conn, const void *bytes, size_t len)
{
	ssize_t taken = 0;

	conn->from_app += len;
	conn_touch(conn);
	if (conn->failed)
		return -EPIPE;
	if (!evbuffer_get_length(conn->backlog))
		taken = rdt_write(conn->rdt, bytes, len);
	if (taken >= 0 && (size_t)taken < len &&
	    evbuffer_add(conn->backlog, (const char *)bytes + taken, len - taken))
		taken = -ENOMEM;
	if (taken < 0) {
		conn_fail(conn, taken == -ENOMEM ? HK_CODE_MEMORY : HK_CODE_RST, HK_REASON_ABORTED);
		return taken;
	}
	return 0;
}

bool conn_is_missing(const struct conn *conn)
{
	return conn->slot == HK_SLOT_NONE && !conn->drained && conn->from_app < conn->app_total;
}

void conn_state_changed(struct conn *conn, const struct hk_event *event)
{
	bool ends = event->new_state == TCP_FIN_WAIT1 || event->new_state == TCP_LAST_ACK ||
		    event->new_state == TCP_CLOSE;

	ending_state(conn, event->new_state);
	if (event->new_state == TCP_CLOSE)
		conn->socket_closed = true;
	if (ends && !conn->ended) {
		conn->ended = relay_now();
		conn->app_total = event->tx_bytes;
		/* Straight from ESTABLISHED or CLOSE_WAIT to CLOSE: a RST was sent or received. */
		conn->end_code = event->new_state == TCP_CLOSE ? HK_CODE_RST : HK_CODE_OK;
		if (conn_is_missing(conn))
			conn->deadline = conn->ended + CONN_MISSING_NS;
		brake_end(conn);
	}
	conn_touch(conn);
}

void conn_check_ended(struct conn *conn)
{
	struct hk_event event = { .new_state = TCP_FIN_WAIT1 };
	struct hk_flow flow;

	loop_consume_events(conn->loop);
	if (conn->ended || conn->failed)
		return;
	if (!conn_flow(conn, &flow)) { /* another life of the 4-tuple has taken its place */
		conn_fail(conn, HK_CODE_RST, HK_REASON_ABORTED);
		return;
	}
	if (!(flow.flags & HK_FLOW_SHUT))
		return;
	if (flow.flags & HK_FLOW_RESET)
		event.new_state = TCP_CLOSE;
	event.tx_bytes = flow.tx_bytes;
	conn_state_changed(conn, &event);
}

uint64_t *conn_answered_at(struct conn *conn)
{
	if (!conn->path)
		return NULL;
	return conn->carrier == conn->loop->udp ? &conn->path->udp_answered_at :
						  &conn->path->udplite_answered_at;
}

uint64_t conn_silent_since(const struct conn *conn)
{
	return rdt_waiting_since(conn->rdt);
}

int conn_input(struct conn *conn, uint64_t now, const struct rdt_frame *frame, struct iovec *direct)
{
	uint64_t *answered = conn->link ? NULL : conn_answered_at(conn);
	uint64_t silent = answered ? conn_silent_since(conn) : 0;
	int events;

	if (!memory_may_buffer(conn, frame)) {
		conn->loop->stats.dropped_for_memory++;
		return 0;
	}
	events = rdt_input(conn->rdt, now, frame, direct);
	if (events == -ENOMEM && conn->link) /* it would not be sent again */
		conn_fail(conn, HK_CODE_MEMORY, HK_REASON_ABORTED);
	if (events < 0)
		return 0;
	conn->heard_at = now;
	if (silent && conn_silent_since(conn) != silent)
		*answered = now;
	conn_touch(conn);
	conn->want_read |= events & RDT_EV_WRITABLE && !conn->reading;
	if (conn->is_client && !(conn->order & HK_ORDER_CONFIRMED))
		ending_order(conn, HK_ORDER_CONFIRMED);
	if (events & RDT_EV_ACKED && !conn->loop->options.paper)
		ending_order(conn, HK_ORDER_FIN);
	if (events & RDT_EV_RESET)
		conn_reset_by_peer(conn, rdt_reset_code(conn->rdt));
	return events;
}
