// SPDX-License-Identifier: GPL-2.0
/*
 * The bounds. One connection: rdt's send buffer, rdt's receive buffer together with what the application
 * has not read, and its loopback pair. All connections: a limit at which new ones stay plain TCP,
 * writers wait, credit is not extended, and what can be had again (data out of order) is dropped.
 */
#include "hooker/relay/internal.h"

#include <errno.h>

#include "hooker/base/log.h"

#define POLL_NS		1000000ull /* the kernel has no event for "the application has read" */
#define POLL_SLOW_NS	(20 * POLL_NS)
#define POLL_FAST_FOR	200 /* fast polls in a row without any change */
#define PAIR_BUFFER_MAX (1024 * 1024)
#define PAIR_CHARGE	4	    /* two ends, each with twice that */
#define FLOOR		(64 * 1024) /* what a connection may hold whatever the others do */
#define PRESSURE_MS	10
#define IDLE_NS \
	200000000ull /* without a frame, or a look, for so long: it may be asked for memory */

/*
 * Half of what a connection may hold is for sending, and up to half of that for its pair: each end is charged with up to
 * twice its buffer, for the kernel counts overhead. The fuller a pair may be, the less often its writer waits and has to be
 * woken; but what waits on the way had better not outgrow the processor's caches.
 */
uint32_t memory_pair_buffer(const struct hk_relay_options *options)
{
	uint32_t buffer = options->connection_memory / 2 / 2 / PAIR_CHARGE;

	return buffer < PAIR_BUFFER_MAX ? buffer : PAIR_BUFFER_MAX;
}

uint32_t memory_send_buffer(const struct hk_relay_options *options)
{
	return options->connection_memory / 2 - PAIR_CHARGE * memory_pair_buffer(options);
}

/* Looked at each eighth, so that much may come on top. */
uint32_t memory_window(const struct hk_relay_options *options)
{
	return options->connection_memory / 2 / 9 * 8;
}

uint64_t memory_held(const struct hk_relay *relay)
{
	return __atomic_load_n(&relay->memory, __ATOMIC_RELAXED);
}

uint64_t memory_peak(const struct hk_relay *relay)
{
	return __atomic_load_n(&relay->memory_peak, __ATOMIC_RELAXED);
}

static bool under_pressure(const struct loop *loop)
{
	return memory_held(loop->relay) >= loop->options.memory / 8 * 7;
}

/* Loops share one account: @bytes more, or less. */
static void add(struct hk_relay *relay, int64_t bytes)
{
	uint64_t held = __atomic_add_fetch(&relay->memory, bytes, __ATOMIC_RELAXED);
	uint64_t peak = memory_peak(relay);

	while (held > peak && !__atomic_compare_exchange_n(&relay->memory_peak, &peak, held, false,
							   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void account(struct conn *conn)
{
	struct rdt_stats stats;
	uint64_t now_held;

	rdt_stats(conn->rdt, &stats);
	now_held = stats.memory + conn->unread + conn->since_look +
		   evbuffer_get_length(conn->backlog) + sizeof(*conn) + pair_room(conn);
	add(conn->loop->relay, now_held - conn->memory);
	conn->memory = now_held;
}

/* After those that wait for room. */
static void look_soon(struct loop *loop)
{
	static const struct timeval soon = { .tv_usec = PRESSURE_MS * 1000 };

	if (!evtimer_pending(loop->pressure, NULL))
		evtimer_add(loop->pressure, &soon);
}

/* Tells the BPF programs whether there is room, and looks after those that wait for it. */
static void publish(struct loop *loop)
{
	static const struct timeval at_once = { 0 };
	bool pressure = under_pressure(loop);

	if (pressure)
		look_soon(loop);
	if (loop->full == pressure)
		return;
	loop->full = pressure;
	pairs_set_full(loop->pairs, pressure);
	hk_debug("memory: %s", pressure ? "no room for new connections" : "room again");
	/* Not from here: connections may be about to be destroyed. */
	if (!pressure)
		evtimer_add(loop->pressure, &at_once);
}

void memory_update(struct conn *conn)
{
	account(conn);
	publish(conn->loop);
}

void memory_forget(struct conn *conn)
{
	add(conn->loop->relay, -conn->memory);
	conn->memory = 0;
	publish(conn->loop);
}

bool memory_reserve(struct loop *loop, uint32_t bytes)
{
	uint64_t *held = &loop->relay->memory;

	/* Counted before it is used: else every loop could find that there is room, and all take it. */
	if (!under_pressure(loop)) {
		if (__atomic_add_fetch(held, bytes, __ATOMIC_RELAXED) <= loop->options.memory)
			return true;
		memory_unreserve(loop, bytes);
	}
	look_soon(loop);
	return false;
}

void memory_unreserve(struct loop *loop, uint32_t bytes)
{
	__atomic_sub_fetch(&loop->relay->memory, bytes, __ATOMIC_RELAXED);
}

bool memory_has_floor(const struct conn *conn)
{
	struct rdt_stats stats;

	rdt_stats(conn->rdt, &stats);
	return stats.in_flight + stats.unsent < FLOOR;
}

bool memory_may_buffer(const struct conn *conn, const struct rdt_frame *frame)
{
	if (memory_held(conn->loop->relay) < conn->loop->options.memory)
		return true;
	/* Nothing is sent twice there; what was promised before bounds it. */
	if (conn->link)
		return true;
	/* The next byte in order is never refused: it is what empties the buffer. */
	return !frame->len || frame->offset <= rdt_received(conn->rdt);
}

/* ---- credit ---- */

uint64_t memory_poll_due(const struct conn *conn, uint64_t now)
{
	if (!conn->behind)
		return RDT_NEVER;
	return now + (conn->polls < POLL_FAST_FOR ? POLL_NS : POLL_SLOW_NS);
}

static void look_again(struct conn *conn, uint64_t now)
{
	uint32_t window = memory_window(&conn->loop->options), most = window;
	struct hk_look look;

	conn->looked = now;
	if (look_at(conn->loop, &conn->id.key, &look))
		return;
	if (!look.found) {
		/* Closed, and what it had not read is gone: the peer's next byte must come here to bounce, as in TCP. */
		conn->unread = conn->since_look = conn->polls = 0;
		conn->behind = false;
		rdt_set_window(conn->rdt, now, window);
		return;
	}
	if (under_pressure(conn->loop))
		most = FLOOR;
	conn->polls = look.unread == conn->unread && !conn->since_look ? conn->polls + 1 : 0;
	conn->unread = look.unread;
	conn->since_look = 0;
	/* No credit: nothing will come by which to notice that it has read. */
	conn->behind = look.unread >= window / 8 || look.unread >= most;
	rdt_set_window(conn->rdt, now, look.unread < most ? most - look.unread : 0);
}

void memory_credit(struct conn *conn, uint64_t now)
{
	uint32_t eighth = memory_window(&conn->loop->options) / 8;

	if ((!conn->behind && conn->unread + conn->since_look < eighth) ||
	    (conn->since_look < eighth && now < conn->looked + POLL_NS))
		return;
	look_again(conn, now);
}

/* ---- pressure ---- */

/* An idle connection gives back its empty buffers, and what its application has read meanwhile. */
static void give_back(struct conn *conn, uint64_t now)
{
	if (now < conn->heard_at + IDLE_NS)
		return;
	rdt_trim(conn->rdt);
	if (!conn->failed && conn->unread + conn->since_look && now >= conn->looked + IDLE_NS)
		look_again(conn, now);
}

static void on_pressure(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	struct conn *conn, *next;
	uint64_t now = relay_now();

	(void)fd, (void)what;
	HASH_ITER(hh, loop->conns, conn, next) {
		give_back(conn, now);
		conn->want_read |= conn->paused;
		conn_touch(conn);
	}
	loop_settle(loop);
	publish(loop);
}

/* A loop whose connections are idle would not notice that others need memory. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	publish(arg);
}

int memory_open(struct loop *loop)
{
	static const struct timeval second = { .tv_sec = 1 };

	loop->pressure = evtimer_new(loop->base, on_pressure, loop);
	loop->memory_tick = event_new(loop->base, -1, EV_PERSIST, on_tick, loop);
	if (!loop->pressure || !loop->memory_tick || event_add(loop->memory_tick, &second))
		return -ENOMEM;
	return 0;
}

void memory_close(struct loop *loop)
{
	if (loop->pressure)
		event_free(loop->pressure);
	if (loop->memory_tick)
		event_free(loop->memory_tick);
}
