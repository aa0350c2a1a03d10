// SPDX-License-Identifier: GPL-2.0
/* What the relay tells of its loops and connections. */
#include <jansson.h>

#include "hooker/base/names.h"
#include "hooker/relay/internal.h"

bool conn_moved(const struct conn *conn, enum hk_transport *transport, enum hk_reason *reason)
{
	if (!conn->fallback && !conn->moved)
		return false;
	*transport = conn->fallback ? HK_TRANSPORT_TCP : HK_TRANSPORT_UDP;
	*reason = conn->fallback ?: conn->moved;
	return true;
}

json_t *conn_json(const struct conn *conn)
{
	enum hk_transport transport;
	enum hk_reason reason;
	struct rdt_stats st;
	json_t *object;

	rdt_stats(conn->rdt, &st);
	object = json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:b, s:i}",
			   "tx_bytes", (json_int_t)conn->from_app, "rx_bytes",
			   (json_int_t)conn->to_app, "backlog_bytes",
			   (json_int_t)evbuffer_get_length(conn->backlog), "unacked_bytes",
			   (json_int_t)st.in_flight, "rtt_ms", st.srtt / 1e6, "min_rtt_ms",
			   st.min_rtt / 1e6, "cwnd_bytes", (json_int_t)st.cwnd, "retransmissions",
			   (json_int_t)st.rtx_packets, "probe_timeouts", (json_int_t)st.pto_total,
			   "memory_bytes", (json_int_t)conn->memory, "unread_bytes",
			   (json_int_t)conn->unread, "paired", conn->slot != HK_SLOT_NONE, "loop",
			   (int)conn->loop->index);
	/* The BPF programs' flow has what was agreed on. */
	if (object && conn_moved(conn, &transport, &reason)) {
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

static json_t *fallbacks_json(const struct loop_stats *st)
{
	json_t *object = json_object();
	int reason;

	for (reason = 0; reason < HK_REASON_MAX; reason++)
		if (st->fallbacks[reason])
			json_object_set_new(object, hk_reason_name(reason),
					    json_integer(st->fallbacks[reason]));
	return object;
}

/* Sums, so that those of all loops add up. */
static json_t *loop_json(const struct loop *loop)
{
	const struct loop_stats *st = &loop->stats;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o*,"
			 " s:I, s:I, s:I, s:I, s:o, s:o}",
			 "open", (json_int_t)HASH_COUNT(loop->conns), "connections",
			 (json_int_t)st->connections, "refused", (json_int_t)st->refused, "failed",
			 (json_int_t)st->failed, "foreign", (json_int_t)st->foreign, "unknown",
			 (json_int_t)st->unknown, "injected", (json_int_t)st->injected,
			 "delivered_bytes", (json_int_t)st->delivered_bytes, "taken_bytes",
			 (json_int_t)st->taken_bytes, "bounced", (json_int_t)st->bounced, "retries",
			 (json_int_t)st->retries, "udp", carrier_stats_json(loop->udp), "udplite",
			 loop->udplite ? carrier_stats_json(loop->udplite) : NULL, "kicks",
			 (json_int_t)st->kicks, "completed", (json_int_t)st->completed,
			 "dropped_for_memory", (json_int_t)st->dropped_for_memory, "icmp_errors",
			 (json_int_t)st->icmp_errors, "fallbacks", fallbacks_json(st), "links",
			 links_stats_json(loop->links));
}

/* Numbers are added up, what only @more has is taken over, of anything else the first is kept. */
static void add(json_t *sum, json_t *more)
{
	const char *name;
	json_t *value, *has;

	json_object_foreach(more, name, value) {
		has = json_object_get(sum, name);
		if (!has)
			json_object_set(sum, name, value);
		else if (json_is_object(has))
			add(has, value);
		else if (json_is_integer(has))
			json_integer_set(has, json_integer_value(has) + json_integer_value(value));
	}
}

/* The balance: a loop with all the connections is one with all the work. */
static json_t *balance_json(const struct hk_relay *relay)
{
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; i < relay->loop_count; i++) {
		const struct loop *loop = relay->loops[i];

		json_array_append_new(list,
				      json_pack("{s:I, s:I, s:I}", "open",
						(json_int_t)HASH_COUNT(loop->conns), "connections",
						(json_int_t)loop->stats.connections, "bytes",
						(json_int_t)(loop->stats.taken_bytes +
							     loop->stats.delivered_bytes)));
	}
	return list;
}

json_t *relay_stats_json(const struct hk_relay *relay)
{
	uint64_t stall = 0;
	bool full = false;
	json_t *sum = json_object(), *more;
	unsigned int i;

	for (i = 0; i < relay->loop_count; i++) {
		const struct loop *loop = relay->loops[i];

		more = loop_json(loop);
		add(sum, more);
		json_decref(more);
		full |= loop->full;
		if (loop->stats.stall_max_ns > stall)
			stall = loop->stats.stall_max_ns;
	}
	json_object_set_new(json_object_get(sum, "fallbacks"), "stall_max_ms",
			    json_integer(stall / 1000000));
	more = json_pack("{s:o, s:I, s:I, s:I, s:I, s:b, s:b, s:o}", "pairs",
			 pairs_stats_json(relay->pairs), "memory_bytes",
			 (json_int_t)memory_held(relay), "memory_peak_bytes",
			 (json_int_t)memory_peak(relay), "memory_limit_bytes",
			 (json_int_t)relay->options.memory, "connection_memory_bytes",
			 (json_int_t)relay->options.connection_memory, "full", full, "brakes",
			 relay->bounds != NULL, "loops", balance_json(relay));
	json_object_update(sum, more);
	json_decref(more);
	return sum;
}
