// SPDX-License-Identifier: GPL-2.0
#include "hooker/relay/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <jansson.h>
#include <bpf/libbpf.h>

#include "bpf/relay.skel.h"
#include "hooker/base/log.h"
#include "hooker/base/names.h"
#include "hooker/hooks/sockdestroy.h"
#include "hooker/relay/slice.h"

uint64_t relay_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

void hk_relay_options_default(struct hk_relay_options *options)
{
	memset(options, 0, sizeof(*options));
	options->max_datagram = 1500 - 20 - 8;
	options->connection_memory = HK_CONNECTION_MEMORY_DEFAULT;
	options->memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * getpagesize() / 4;
}

static int on_event(void *arg, void *data, size_t size)
{
	struct hk_relay *relay = arg;
	const struct hk_event *event = data;
	struct conn *conn;

	if (size < sizeof(*event))
		return 0;
	if (event->type == HK_EVENT_ESTABLISHED) {
		if (!conn_open(relay, event))
			return 0;
		hk_error("out of memory: a new connection is reset");
		hk_sock_destroy_one(&event->key, event->cookie);
		return 0;
	}
	conn = conn_find(relay, &event->key, event->local_isn);
	if (!conn)
		return 0;
	switch (event->type) {
	case HK_EVENT_STATE: conn_state_changed(conn, event); break;
	case HK_EVENT_HELD: conn_hold(conn, event); break;
	case HK_EVENT_BROKEN: conn_fail(conn, HK_CODE_PROTO, HK_REASON_ABORTED); break;
	}
	return 0;
}

void relay_consume_events(struct hk_relay *relay)
{
	ring_buffer__consume(relay->events);
}

void relay_settle(struct hk_relay *relay)
{
	uint64_t now = relay_now();

	relay->stats.rounds++;
	while (relay->dirty) {
		struct conn *conn = relay->dirty;

		relay->dirty = conn->next_dirty;
		conn->dirty = false;
		conn_settle(conn, now);
	}
}

static void on_events_ready(evutil_socket_t fd, short what, void *arg)
{
	struct hk_relay *relay = arg;

	(void)fd, (void)what;
	relay_consume_events(relay);
	/* A close is only final once all that was sent before it has been read. */
	redirect_drain(relay->redirect);
	relay_settle(relay);
}

static int open_events(struct hk_relay *relay)
{
	relay->events = ring_buffer__new(bpf_map__fd(relay->attach->relay->maps.hk_events),
					 on_event, relay, NULL);
	if (!relay->events)
		return -errno;
	relay->events_ready = event_new(relay->base, ring_buffer__epoll_fd(relay->events),
					EV_READ | EV_PERSIST, on_events_ready, relay);
	if (!relay->events_ready || event_add(relay->events_ready, NULL))
		return -ENOMEM;
	return 0;
}

int hk_relay_open(struct hk_relay **out, struct hk_attach *attach, struct event_base *base,
		  const struct hk_relay_options *options)
{
	struct hk_relay *relay = calloc(1, sizeof(*relay));
	int err;

	if (!relay)
		return -ENOMEM;
	err = ask_for_slice();
	if (err)
		hk_debug("no slice of our own: %s", strerror(-err));
	relay->attach = attach;
	relay->base = base;
	relay->options = *options;
	err = memory_open(relay);
	if (!err)
		err = redirect_open(&relay->redirect, relay);
	if (!err)
		err = brakes_open(relay);
	if (!err)
		err = pairs_open(&relay->pairs, relay);
	if (!err && look_open(&relay->look, relay))
		hk_warn("this kernel does not tell what applications have not read: slow readers are "
			"not bounded");
	if (!err)
		err = paths_open(relay);
	if (!err)
		err = links_open(&relay->links, relay);
	if (!err)
		err = carrier_open(&relay->udp, relay, HK_RELAY_PORT);
	if (!err && attach->udplite)
		err = carrier_open(&relay->udplite, relay, HK_RELAY_LITE_PORT);
	if (!err && attach->udplite)
		err = icmp_open(&relay->icmp, relay);
	if (!err)
		err = open_events(relay);
	if (err) {
		hk_relay_close(relay);
		return err;
	}
	*out = relay;
	return 0;
}

void hk_relay_abort_all(struct hk_relay *relay)
{
	struct conn *conn, *next;

	relay_consume_events(relay);
	HASH_ITER(hh, relay->conns, conn, next) {
		if (rdt_state(conn->rdt, relay_now()) == RDT_OPEN)
			conn_fail(conn, HK_CODE_STOPPED, HK_REASON_DAEMON_STOPPED);
	}
	relay_settle(relay);
}

void hk_relay_leave_udplite(struct hk_relay *relay)
{
	struct conn *conn, *next;

	relay_consume_events(relay);
	HASH_ITER(hh, relay->conns, conn, next) {
		if (conn->carrier == relay->udplite)
			conn_leave_udplite(conn);
	}
	relay_settle(relay);
}

struct hk_relay_work hk_relay_work(const struct hk_relay *relay)
{
	const struct relay_stats *st = &relay->stats;

	return (struct hk_relay_work){ st->rounds, st->taken_bytes + st->delivered_bytes };
}

unsigned int hk_relay_connections(const struct hk_relay *relay)
{
	return HASH_COUNT(relay->conns);
}

static bool moved(const struct conn *conn, enum hk_transport *transport, enum hk_reason *reason)
{
	if (!conn->fallback && !conn->moved)
		return false;
	*transport = conn->fallback ? HK_TRANSPORT_TCP : HK_TRANSPORT_UDP;
	*reason = conn->fallback ?: conn->moved;
	return true;
}

bool hk_relay_flow_moved(const struct hk_relay *relay, const struct sock_key *key,
			 uint32_t local_isn, enum hk_transport *transport, enum hk_reason *reason)
{
	struct conn *conn = conn_find((struct hk_relay *)relay, key, local_isn);

	return conn && moved(conn, transport, reason);
}

json_t *hk_relay_flow_json(const struct hk_relay *relay, const struct sock_key *key,
			   uint32_t local_isn)
{
	struct conn *conn = conn_find((struct hk_relay *)relay, key, local_isn);
	enum hk_transport transport;
	enum hk_reason reason;
	struct rdt_stats st;
	json_t *object;

	if (!conn)
		return NULL;
	rdt_stats(conn->rdt, &st);
	object = json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:b}",
			   "tx_bytes", (json_int_t)conn->from_app, "rx_bytes",
			   (json_int_t)conn->to_app, "backlog_bytes",
			   (json_int_t)evbuffer_get_length(conn->backlog), "unacked_bytes",
			   (json_int_t)st.in_flight, "rtt_ms", st.srtt / 1e6, "min_rtt_ms",
			   st.min_rtt / 1e6, "cwnd_bytes", (json_int_t)st.cwnd, "retransmissions",
			   (json_int_t)st.rtx_packets, "probe_timeouts", (json_int_t)st.pto_total,
			   "memory_bytes", (json_int_t)conn->memory, "unread_bytes",
			   (json_int_t)conn->unread, "paired", conn->slot != HK_SLOT_NONE);
	/* The BPF programs' flow has what was agreed on. */
	if (object && moved(conn, &transport, &reason)) {
		json_object_set_new(object, "transport", json_string(hk_transport_name(transport)));
		json_object_set_new(object, "reason", json_string(hk_reason_name(reason)));
	}
	if (object && conn->fallback) {
		json_object_set_new(object, "agreed",
				    json_string(hk_transport_name(conn->transport)));
		json_object_set_new(object, "stall_ms", json_integer(conn->stall_ns / 1000000));
	}
	return object;
}

static json_t *fallbacks_json(const struct relay_stats *st)
{
	json_t *object =
		json_pack("{s:I}", "stall_max_ms", (json_int_t)(st->stall_max_ns / 1000000));
	int reason;

	for (reason = 0; reason < HK_REASON_MAX; reason++)
		if (st->fallbacks[reason])
			json_object_set_new(object, hk_reason_name(reason),
					    json_integer(st->fallbacks[reason]));
	return object;
}

json_t *hk_relay_stats_json(const struct hk_relay *relay)
{
	const struct relay_stats *st = &relay->stats;

	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o*, s:o, s:I,"
		" s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:o, s:o}",
		"open", (json_int_t)HASH_COUNT(relay->conns), "connections",
		(json_int_t)st->connections, "refused", (json_int_t)st->refused, "failed",
		(json_int_t)st->failed, "foreign", (json_int_t)st->foreign, "unknown",
		(json_int_t)st->unknown, "injected", (json_int_t)st->injected, "delivered_bytes",
		(json_int_t)st->delivered_bytes, "taken_bytes", (json_int_t)st->taken_bytes,
		"bounced", (json_int_t)st->bounced, "retries", (json_int_t)st->retries, "udp",
		carrier_stats_json(relay->udp), "udplite",
		relay->udplite ? carrier_stats_json(relay->udplite) : NULL, "pairs",
		pairs_stats_json(relay->pairs), "kicks", (json_int_t)st->kicks, "completed",
		(json_int_t)st->completed, "memory_bytes", (json_int_t)relay->memory,
		"memory_peak_bytes", (json_int_t)st->memory_peak, "memory_limit_bytes",
		(json_int_t)relay->options.memory, "connection_memory_bytes",
		(json_int_t)relay->options.connection_memory, "dropped_for_memory",
		(json_int_t)st->dropped_for_memory, "full", relay->full, "brakes",
		relay->bounds != NULL, "fallbacks", fallbacks_json(st), "links",
		links_stats_json(relay->links));
}

void hk_relay_close(struct hk_relay *relay)
{
	struct conn *conn, *next;

	if (!relay)
		return;
	HASH_ITER(hh, relay->conns, conn, next) {
		conn_destroy(conn);
	}
	paths_close(relay);
	links_close(relay->links);
	icmp_close(relay->icmp);
	if (relay->events_ready)
		event_free(relay->events_ready);
	ring_buffer__free(relay->events);
	if (relay->pressure)
		event_free(relay->pressure);
	look_close(relay->look);
	pairs_close(relay->pairs);
	brakes_close(relay);
	carrier_close(relay->udp);
	carrier_close(relay->udplite);
	redirect_close(relay->redirect);
	free(relay);
}
