// SPDX-License-Identifier: GPL-2.0
/* The relay as a whole. What the daemon's main thread asks for here is done while no loop runs. */
#include "hooker/relay/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <jansson.h>

#include "hooker/base/log.h"
#include "hooker/relay/internal.h"
#include "hooker/relay/slice.h"

void hk_relay_options_default(struct hk_relay_options *options)
{
	memset(options, 0, sizeof(*options));
	options->max_datagram = 1500 - 20 - 8;
	options->connection_memory = HK_CONNECTION_MEMORY_DEFAULT;
	options->memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * getpagesize() / 4;
}

static int open_loops(struct hk_relay *relay, struct event_base *base)
{
	unsigned int i;
	int err = 0;

	/* In order: the sockets of a port are chosen by their place in it (loop_share()). */
	for (i = 0; !err && i < relay->loop_count; i++)
		err = loop_open(&relay->loops[i], relay, i, i ? NULL : base);
	return err;
}

int hk_relay_open(struct hk_relay **out, struct hk_attach *attach, struct event_base *base,
		  const struct hk_relay_options *options)
{
	struct hk_relay *relay = calloc(1, sizeof(*relay));
	int err;

	if (!relay)
		return -ENOMEM;
	relay->attach = attach;
	relay->options = *options;
	relay->loop_count = attach->loops;
	err = ask_for_slice();
	if (err)
		hk_debug("no slice of our own: %s", strerror(-err));
	err = brakes_open(relay);
	if (!err)
		err = pairs_open(&relay->pairs, relay);
	if (!err && look_open(&relay->look, attach))
		hk_warn("this kernel does not tell what applications have not read: slow readers are "
			"not bounded");
	if (!err)
		err = open_loops(relay, base);
	if (!err)
		err = workers_open(&relay->workers, relay);
	if (err) {
		hk_relay_close(relay);
		return err;
	}
	*out = relay;
	return 0;
}

void hk_relay_serve(struct hk_relay *relay)
{
	spin_loop(relay->loops[0]);
}

void hk_relay_pause(struct hk_relay *relay)
{
	workers_pause(relay->workers);
}

void hk_relay_resume(struct hk_relay *relay)
{
	workers_resume(relay->workers);
}

static void abort_all(struct loop *loop)
{
	struct conn *conn, *next;

	loop_consume_events(loop);
	HASH_ITER(hh, loop->conns, conn, next) {
		if (rdt_state(conn->rdt, relay_now()) == RDT_OPEN)
			conn_fail(conn, HK_CODE_STOPPED, HK_REASON_DAEMON_STOPPED);
	}
	loop_settle(loop);
}

/* While none of them runs. */
static void each_loop(struct hk_relay *relay, void (*act)(struct loop *))
{
	unsigned int i;

	hk_relay_pause(relay);
	for (i = 0; i < relay->loop_count; i++)
		act(relay->loops[i]);
	hk_relay_resume(relay);
}

void hk_relay_abort_all(struct hk_relay *relay)
{
	each_loop(relay, abort_all);
}

static void leave_udplite(struct loop *loop)
{
	struct conn *conn, *next;

	loop_consume_events(loop);
	loop->lite_left = true;
	HASH_ITER(hh, loop->conns, conn, next) {
		if (conn->carrier == loop->udplite)
			conn_leave_udplite(conn);
	}
	loop_settle(loop);
}

void hk_relay_leave_udplite(struct hk_relay *relay)
{
	each_loop(relay, leave_udplite);
}

static struct conn *find(const struct hk_relay *relay, const struct sock_key *key,
			 uint32_t local_isn)
{
	return conn_find(relay->loops[loop_of(key->dst_ip4, relay->loop_count)], key, local_isn);
}

bool hk_relay_flow_moved(struct hk_relay *relay, const struct sock_key *key, uint32_t local_isn,
			 enum hk_transport *transport, enum hk_reason *reason)
{
	struct conn *conn;
	bool moved;

	hk_relay_pause(relay);
	conn = find(relay, key, local_isn);
	moved = conn && conn_moved(conn, transport, reason);
	hk_relay_resume(relay);
	return moved;
}

json_t *hk_relay_flow_json(struct hk_relay *relay, const struct sock_key *key, uint32_t local_isn)
{
	struct conn *conn;
	json_t *object;

	hk_relay_pause(relay);
	conn = find(relay, key, local_isn);
	object = conn ? conn_json(conn) : NULL;
	hk_relay_resume(relay);
	return object;
}

json_t *hk_relay_stats_json(struct hk_relay *relay)
{
	json_t *object;

	hk_relay_pause(relay);
	object = relay_stats_json(relay);
	hk_relay_resume(relay);
	return object;
}

void hk_relay_close(struct hk_relay *relay)
{
	unsigned int i;

	if (!relay)
		return;
	workers_close(relay->workers);
	for (i = 0; i < relay->loop_count; i++)
		loop_close(relay->loops[i]);
	look_close(relay->look);
	pairs_close(relay->pairs);
	brakes_close(relay);
	free(relay);
}
