// SPDX-License-Identifier: GPL-2.0
/*
 * What follows from a change of one connection, or from time passing: bytes move on, what is over ends, the next alarm is
 * set.
 */
#include "hooker/relay/internal.h"

#define NS_PER_S   1000000000ull
#define RETRY_NS   1000000ull	   /* delivery refused for want of memory: try again */
#define SILENCE_NS (8 * NS_PER_S)  /* the peer has not answered for so long: it is gone */
#define IDLE_NS	   (3 * NS_PER_S)  /* nothing heard for so long: ask ... */
#define IDLE_MANY  1000		   /* ... up to so many connections */
#define CHECK_NS   (3 * NS_PER_S)  /* so often at most: does the kernel still have it open? */
#define LINGER_NS  (60 * NS_PER_S) /* longest wait for the kernel's CLOSE after the stream's end */

static void push_backlog(struct conn *conn)
{
	struct iovec iov[2];
	int i, n;

	while (evbuffer_get_length(conn->backlog)) {
		size_t filled = 0;

		n = rdt_reserve(conn->rdt, evbuffer_get_length(conn->backlog), iov);
		if (n <= 0)
			return;
		for (i = 0; i < n; i++) {
			int got = evbuffer_remove(conn->backlog, iov[i].iov_base, iov[i].iov_len);

			filled += got > 0 ? got : 0;
		}
		rdt_commit(conn->rdt, filled);
		if (!filled)
			return;
	}
}

static void read_pair(struct conn *conn)
{
	int err;

	if (conn->ended && !conn->shut) {
		pair_shut(conn);
		conn->shut = conn->want_read = true;
	}
	if (!conn->want_read || conn->drained)
		return;
	conn->want_read = false;
	err = pair_read(conn);
	if (err)
		conn_fail(conn, HK_CODE_RST, HK_REASON_ABORTED);
	else if (conn->drained)
		pair_release(conn);
}

static void finish_when_drained(struct conn *conn)
{
	if (!conn->ended || conn->finished || conn_is_missing(conn) || conn->slot != HK_SLOT_NONE ||
	    evbuffer_get_length(conn->backlog))
		return;
	rdt_finish(conn->rdt, conn->end_code);
	conn->finished = true;
	if (!conn->held.len)
		conn->deadline = RDT_NEVER;
}

/* Bytes that had to wait in rdt: out of order, or refused by the application's socket. */
static void deliver_buffered(struct conn *conn, uint64_t now)
{
	struct iovec iov[2];
	ssize_t done;
	int n;

	conn->blocked = false;
	while ((n = rdt_read_vec(conn->rdt, iov)) > 0) {
		done = redirect_deliver(conn->loop->redirect, conn, iov, n);
		if (done < 0) {
			conn_fail(conn, HK_CODE_RST, HK_REASON_NONE);
			return;
		}
		if (!done) {
			conn->blocked = true;
			return;
		}
		conn->to_app += done;
		conn->since_look += done;
		rdt_consume(conn->rdt, now, done);
	}
}

static void check_deadline(struct conn *conn, uint64_t now)
{
	uint64_t silent = conn_silent_since(conn);

	/* On a link answers queue behind data, for long if it is slow: there any sign of life will do. */
	if (silent && conn->link && conn->heard_at > silent)
		silent = conn->heard_at;
	if (!conn->failed && silent && now > silent + SILENCE_NS) {
		conn_peer_gone(conn, HK_REASON_BLACKHOLE);
		return;
	}
	if (now < conn->deadline)
		return;
	conn->deadline = RDT_NEVER;
	if (conn->failed || rdt_state(conn->rdt, now) == RDT_CLOSED) {
		conn->socket_closed = true; /* its CLOSE event was lost, or is of no interest */
		conn->gone = conn->failed && conn->link; /* nothing repeats a RESET there */
	} else if (conn->ended && conn_is_missing(conn)) {
		/* Nothing was left to read, and still bytes are missing: a send() failed half way,
		 * and what its header promised will never come. */
		redirect_drain(conn->loop->redirect);
		if (conn_is_missing(conn) &&
		    redirect_empty_at(conn->loop->redirect) > conn->ended + CONN_MISSING_NS / 2)
			conn_fail(conn, HK_CODE_PROTO, HK_REASON_ABORTED);
		else
			conn->deadline = now + CONN_MISSING_NS;
	} else {
		ending_overdue(conn, now);
	}
}

/*
 * An idle connection asks from time to time whether the peer's daemon still knows it: one that died took
 * with it what it had acknowledged, and whoever waits for an answer to that must hear of it.
 */
static uint64_t silence_due(const struct conn *conn)
{
	uint64_t wait;

	if (conn->failed || conn->loop->options.paper ||
	    rdt_state(conn->rdt, conn->heard_at) != RDT_OPEN)
		return RDT_NEVER;
	/* Many take longer: asking must not become the main work. */
	wait = IDLE_NS *
	       (1 + __atomic_load_n(&conn->loop->relay->open, __ATOMIC_RELAXED) / IDLE_MANY);
	return (conn->heard_at > conn->asked_at ? conn->heard_at : conn->asked_at) + wait;
}

static void break_silence(struct conn *conn, uint64_t now)
{
	if (now < silence_due(conn))
		return;
	conn->asked_at = now;
	rdt_probe(conn->rdt);
}

static void arm_timer(struct conn *conn, uint64_t now)
{
	/* A full link says itself when there is room. */
	uint64_t due = conn->in_queue ? RDT_NEVER : rdt_next_timeout(conn->rdt);
	uint64_t fallback = fallback_due(conn);
	struct timeval tv;

	if (fallback < due)
		due = fallback;
	if (silence_due(conn) < due)
		due = silence_due(conn);
	if (conn->deadline < due)
		due = conn->deadline;
	if (conn->repeat_at < due)
		due = conn->repeat_at;
	if (conn->brake_at < due)
		due = conn->brake_at;
	if (conn->blocked && now + RETRY_NS < due)
		due = now + RETRY_NS;
	if (memory_poll_due(conn, now) < due)
		due = memory_poll_due(conn, now);
	/* An alarm that rings early does no harm and is cheaper than moving it for every packet. */
	if (due == RDT_NEVER || (conn->armed <= due && conn->armed > now))
		return;
	conn->armed = due;
	due = due > now ? due - now : 0;
	tv.tv_sec = due / NS_PER_S;
	tv.tv_usec = due % NS_PER_S / 1000;
	evtimer_add(conn->timer, &tv);
}

static bool is_over(struct conn *conn, uint64_t now)
{
	enum rdt_state state = rdt_state(conn->rdt, now);

	if (state == RDT_CLOSING)
		rdt_trim(conn->rdt); /* it only answers repetitions from here on */
	if (state != RDT_CLOSED && !conn->gone)
		return false;
	if (conn->socket_closed && conn->ending == ENDING_NONE)
		return true;
	if (conn->deadline == RDT_NEVER)
		conn->deadline = now + LINGER_NS;
	return false;
}

void conn_settle(struct conn *conn, uint64_t now)
{
	if (!conn->failed) {
		push_backlog(conn);
		if (conn->slot != HK_SLOT_NONE)
			read_pair(conn);
		finish_when_drained(conn);
		deliver_buffered(conn, now);
		memory_credit(conn, now);
	}
	if (conn->link)
		link_send(conn, now);
	else
		carrier_send(conn, now);
	/* What was sent without waiting for an answer has made room. */
	if (conn->loop->options.paper && evbuffer_get_length(conn->backlog) && !conn->failed)
		conn_touch(conn);
	if (!conn->failed)
		ending_release(conn);
	if (is_over(conn, now)) {
		conn_destroy(conn);
		return;
	}
	memory_update(conn);
	arm_timer(conn, now);
}

void conn_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;
	struct loop *loop = conn->loop;
	uint64_t now = relay_now();

	(void)fd, (void)what;
	conn->armed = RDT_NEVER;
	rdt_on_timeout(conn->rdt, now);
	if (now >= conn->checked_at + CHECK_NS) {
		conn->checked_at = now;
		conn_check_ended(conn);
	}
	break_silence(conn, now);
	check_deadline(conn, now);
	fallback_check(conn, now);
	ending_repeat(conn, now);
	brake_repeat(conn, now);
	conn_touch(conn);
	loop_settle(loop);
}
