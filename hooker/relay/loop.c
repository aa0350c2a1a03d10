// SPDX-License-Identifier: GPL-2.0
/* One event loop of the relay: what it is made of, the events of BPF programs, what follows from a change. */
#include "hooker/relay/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/filter.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/relay.skel.h"
#include "hooker/base/event_base.h"
#include "hooker/base/log.h"
#include "hooker/hooks/sockdestroy.h"
#include "hooker/relay/internal.h"

#define RING_BYTES (1 << 20) /* events of one loop */

uint64_t relay_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

unsigned int loop_of(uint32_t remote_ip4, unsigned int count)
{
	return ntohl(remote_ip4) % count;
}

int loop_bind(const struct loop *loop, int fd, uint16_t port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1;

	/* The first without SO_REUSEPORT, or another Hooker's sockets would be joined instead of found. */
	if (loop->index && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)))
		return -errno;
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)))
		return -errno;
	if (!loop->index && loop->relay->loop_count > 1 &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)))
		return -errno;
	return 0;
}

/*
 * A classic program: every kernel that has groups knows it (4.5; 4.6 for TCP), and nothing has to be loaded. It
 * numbers the sockets as they came.
 */
int loop_share(const struct loop *loop, int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_NET_OFF + 12), /* source address */
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, loop->relay->loop_count),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog program = { .len = 3, .filter = code };

	/* The second makes it a group: one that was bound alone cannot have a program. */
	if (loop->index != 1)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) ?
		       -errno :
		       0;
}

static int on_event(void *arg, void *data, size_t size)
{
	struct loop *loop = arg;
	const struct hk_event *event = data;
	struct conn *conn;

	if (size < sizeof(*event))
		return 0;
	if (event->type == HK_EVENT_ESTABLISHED) {
		if (!conn_open(loop, event))
			return 0;
		hk_error("out of memory: a new connection is reset");
		hk_sock_destroy_one(&event->key, event->cookie);
		return 0;
	}
	conn = conn_find(loop, &event->key, event->local_isn);
	if (!conn)
		return 0;
	switch (event->type) {
	case HK_EVENT_STATE: conn_state_changed(conn, event); break;
	case HK_EVENT_HELD: conn_hold(conn, event); break;
	case HK_EVENT_BROKEN: conn_fail(conn, HK_CODE_PROTO, HK_REASON_ABORTED); break;
	}
	return 0;
}

void loop_consume_events(struct loop *loop)
{
	ring_buffer__consume(loop->events);
}

void loop_settle(struct loop *loop)
{
	uint64_t now = relay_now();

	loop->stats.rounds++;
	while (loop->dirty) {
		struct conn *conn = loop->dirty;

		loop->dirty = conn->next_dirty;
		conn->dirty = false;
		conn_settle(conn, now);
	}
}

static void on_events_ready(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	(void)fd, (void)what;
	loop_consume_events(loop);
	/* A close is only final once all that was sent before it has been read. */
	redirect_drain(loop->redirect);
	loop_settle(loop);
}

/* Its ring buffer takes its place in the map of all. */
static int open_events(struct loop *loop)
{
	int rings = bpf_map__fd(loop->attach->relay->maps.hk_rings), err;
	int ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "hk_events", 0, 0, RING_BYTES, NULL);

	if (ring < 0)
		return -errno;
	err = bpf_map_update_elem(rings, &loop->index, &ring, BPF_ANY) ? -errno : 0;
	if (!err) {
		loop->events = ring_buffer__new(ring, on_event, loop, NULL);
		err = loop->events ? 0 : -errno;
	}
	close(ring); /* mapped, and held by the map of all */
	if (err)
		return err;
	loop->events_ready = event_new(loop->base, ring_buffer__epoll_fd(loop->events),
				       EV_READ | EV_PERSIST, on_events_ready, loop);
	if (!loop->events_ready || event_add(loop->events_ready, NULL))
		return -ENOMEM;
	return 0;
}

static int open_parts(struct loop *loop)
{
	int err;

	err = memory_open(loop);
	if (!err)
		err = redirect_open(&loop->redirect, loop);
	if (!err)
		err = pair_maker_open(&loop->maker, loop);
	if (!err)
		err = paths_open(loop);
	if (!err)
		err = links_open(&loop->links, loop);
	if (!err)
		err = carrier_open(&loop->udp, loop, HK_RELAY_PORT);
	if (!err && loop->attach->udplite)
		err = carrier_open(&loop->udplite, loop, HK_RELAY_LITE_PORT);
	if (!err)
		err = icmp_open(&loop->icmp, loop);
	if (!err)
		err = open_events(loop);
	return err;
}

int loop_open(struct loop **out, struct hk_relay *relay, unsigned int index,
	      struct event_base *base)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int err = -ENOMEM;

	if (!loop)
		return -ENOMEM;
	loop->relay = relay;
	loop->index = index;
	loop->attach = relay->attach;
	loop->options = relay->options;
	loop->bounds = relay->bounds;
	loop->look = relay->look;
	loop->pairs = relay->pairs;
	loop->base = base ?: hk_event_base_new();
	if (loop->base)
		err = open_parts(loop);
	if (err) {
		loop_close(loop);
		return err;
	}
	*out = loop;
	return 0;
}

void loop_close(struct loop *loop)
{
	struct conn *conn, *next;

	if (!loop)
		return;
	HASH_ITER(hh, loop->conns, conn, next) {
		conn_destroy(conn);
	}
	paths_close(loop);
	links_close(loop->links);
	icmp_close(loop->icmp);
	if (loop->events_ready)
		event_free(loop->events_ready);
	ring_buffer__free(loop->events);
	memory_close(loop);
	pair_maker_close(loop->maker);
	carrier_close(loop->udp);
	carrier_close(loop->udplite);
	redirect_close(loop->redirect);
	if (loop->index && loop->base)
		event_base_free(loop->base);
	free(loop);
}
