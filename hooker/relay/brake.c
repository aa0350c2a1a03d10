// SPDX-License-Identifier: GPL-2.0
/*
 * The brake: how an application that does not block sees that its pair is full. Its own socket, where poll() looks, has
 * nothing in its send queue and so is always writable: told EAGAIN, it would be told at once to try again. So
 * while the pair is full a byte waits in that queue (abi.h, hk_bounds). When half of that has been read it may
 * leave, and never reaches the network: hk_relay_out acknowledges it.
 *
 * A window of 0 is believed although TCP has seen no newer segment, and what comes from the peer does not
 * open it, because of the sequence number of the segments that move it (HK_BRAKE_SEQ).
 */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <bpf/libbpf.h>

#include "bpf/relay.skel.h"
#include "hooker/base/log.h"

/* So often at the end, where nothing tells that the window is open. */
#define END_TIMES 10

/* Windows, not yet scaled. */
#define CLOSED 0
#define NARROW 2 /* a byte, and a FIN behind it */
#define OPEN   65535

int brakes_open(struct hk_relay *relay)
{
	void *at;

	if (!hk_attach_can_brake(relay->attach))
		return 0;
	at = mmap(NULL, HK_PAIRS_MAX * sizeof(*relay->bounds), PROT_READ | PROT_WRITE, MAP_SHARED,
		  bpf_map__fd(relay->attach->relay->maps.hk_bounds), 0);
	if (at == MAP_FAILED)
		return -errno;
	relay->bounds = at;
	return 0;
}

void brakes_close(struct hk_relay *relay)
{
	if (relay->bounds)
		munmap(relay->bounds, HK_PAIRS_MAX * sizeof(*relay->bounds));
}

void brake_reset(struct hk_relay *relay, uint32_t slot)
{
	if (relay->bounds)
		__atomic_store_n(&relay->bounds[slot], 0, __ATOMIC_RELAXED);
}

static uint64_t *bound_of(struct conn *conn)
{
	return &conn->loop->bounds[conn->slot];
}

static void move_window(struct conn *conn, uint16_t window)
{
	int err = inject_brake(conn, window);

	/* Not fatal: it will be repeated. */
	if (err)
		hk_debug("can't move the window of port %u: %s", conn->id.key.src_port,
			 strerror(-err));
}

static void repeat(struct conn *conn, uint64_t now, uint64_t after)
{
	conn->brake_after = after < REPEAT_MAX_NS ? after : REPEAT_MAX_NS;
	conn->brake_at = now + conn->brake_after;
}

/* From so much in the pair on its writer waits: B must not be full before, nor with one message more. */
static uint32_t limit(const struct conn *conn)
{
	return memory_pair_buffer(&conn->loop->options);
}

static void arm(struct conn *conn, const struct hk_flow *flow, uint32_t holds)
{
	__atomic_store_n(bound_of(conn),
			 flow->tx_bytes + (holds < limit(conn) ? limit(conn) - holds : 0),
			 __ATOMIC_RELAXED);
}

bool brake_use(struct conn *conn)
{
	struct hk_flow flow;
	uint32_t unread;

	if (!conn->loop->bounds || conn->ended || conn->slot == HK_SLOT_NONE ||
	    !conn_flow(conn, &flow))
		return false;
	/*
	 * Its socket is not writable, so nothing would wake it now. TCP does so when the byte has left, but only who
	 * was told EAGAIN by TCP itself (SOCK_NOSPACE).
	 */
	conn->wake_due = flow.braked != flow.shift;
	if (conn->wake_due)
		return true;
	if (!conn->braking)
		arm(conn, &flow, pair_holds(conn, &unread));
	conn->braking = true;
	/* Wakes who waits, too. */
	move_window(conn, CLOSED);
	return true;
}

void brake_taken(struct conn *conn, size_t bytes)
{
	uint64_t bound;

	if (!conn->braking || conn->slot == HK_SLOT_NONE)
		return;
	bound = __atomic_load_n(bound_of(conn), __ATOMIC_RELAXED);
	/* Fails if the brake is applied at this moment. */
	if (bound)
		__atomic_compare_exchange_n(bound_of(conn), &bound, bound + bytes, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Lets the byte leave. Returns whether it did. */
static bool release(struct conn *conn, struct hk_flow *flow)
{
	move_window(conn, NARROW);
	return conn_flow(conn, flow) && flow->braked == flow->shift;
}

/*
 * What the pair holds is counted too high while it has not acknowledged all within itself, and one that is empty may
 * be about to be filled by a message that stays in B (MSG_MORE, as of sendfile()), of which no event tells: looked at
 * again until it is empty and the bound is right.
 */
static void check(struct conn *conn, uint64_t now)
{
	uint32_t unread, holds;
	struct hk_flow flow;
	bool braked, released;

	if (conn->slot == HK_SLOT_NONE || !conn_flow(conn, &flow))
		return;
	holds = pair_holds(conn, &unread);
	braked = flow.braked != flow.shift;
	released = braked && unread <= limit(conn) / 2 && release(conn, &flow);
	if (released || (!braked && !holds))
		arm(conn, &flow, holds);
	if (conn->wake_due && (released || !braked)) {
		conn->wake_due = false;
		move_window(conn, CLOSED);
	}
	if (braked || holds)
		repeat(conn, now, conn->brake_after);
}

void brake_read(struct conn *conn, uint64_t now)
{
	if (!conn->braking || conn->ended)
		return;
	conn->brake_at = RDT_NEVER;
	conn->brake_after = REPEAT_NS;
	check(conn, now);
}

void brake_end(struct conn *conn)
{
	if (!conn->braking || conn->socket_closed)
		return;
	move_window(conn, OPEN);
	conn->brake_ends = END_TIMES;
	repeat(conn, relay_now(), REPEAT_NS);
}

void brake_repeat(struct conn *conn, uint64_t now)
{
	struct hk_flow flow;

	if (now < conn->brake_at)
		return;
	conn->brake_at = RDT_NEVER;
	conn->brake_after *= 2;
	if (!conn->ended) {
		check(conn, now);
		return;
	}
	if (!conn->brake_ends-- || conn->socket_closed || !conn_flow(conn, &flow) ||
	    flow.flags & HK_FLOW_FIN_SENT)
		return;
	move_window(conn, OPEN);
	repeat(conn, now, conn->brake_after);
}
