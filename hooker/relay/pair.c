// SPDX-License-Identifier: GPL-2.0
/*
 * Loopback pairs, one a connection: SK_MSG redirects what the application sends to side B, and this
 * end reads it at side A. TCP's own flow control between the two is the bound of what an application
 * may have sent without our having taken it, and its writers wait in it as they would in theirs.
 *
 * Pairs are made ahead, because sock_ops hands them out and cannot wait. One that was used is not used
 * again: shutdown of B and EOF at A are what proves that every byte has been read.
 */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/sockios.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/relay.skel.h"
#include "hooker/base/log.h"
#include "hooker/relay/loopback.h"

#define READY_MIN     64 /* pairs that wait at first; doubles when they run short */
#define READY_MAX     2048
#define READ_SIZE_MIN 16384
/*
 * A pair's window and SO_SNDBUF until the first full read. An application that has more to send waits, and the
 * daemon runs: on one processor it would else write all it has first, or not, as the scheduler pleases.
 */
#define FIRST_BUFFER 32768
#define REFILL_BATCH 16	 /* then let other sockets have their turn */
#define DECAY_MS     500 /* pending promises whose ACK never came */
/*
 * An application is told EAGAIN once the pair is full, and that takes at least this many bytes, since
 * the kernel allows twice SO_SNDBUF and charges no byte with more than about 1 KiB.
 */
#define BLOCKING_BYTES (2 * FIRST_BUFFER / 1024)

struct pair {
	int a, b;		/* -1: none */
	bool grown;		/* it holds pair_buffer bytes, not only FIRST_BUFFER */
	struct event *readable; /* of A */
	struct event *writable; /* of B, edge-triggered; NULL until it may have been full */
	struct conn *conn;
};

struct pairs {
	struct hk_relay *relay;
	struct loopback loopback;
	struct hk_room *room;
	struct event *refill, *decay;
	/* Indices without sockets, first in first out: an index must rest, because a program that has
	 * read it from a flow may just be about to redirect to it. */
	uint32_t unused[HK_PAIRS_MAX];
	unsigned int unused_first, unused_count, target, alive;
	struct pair slots[HK_PAIRS_MAX];
};

static struct bpf_map *queue(struct hk_relay *relay)
{
	return relay->attach->relay->maps.hk_slots;
}

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

static int make_pair(struct pairs *pairs, struct pair *pair)
{
	int err = loopback_connect(&pairs->loopback, FIRST_BUFFER, &pair->a, &pair->b);

	if (err)
		return err;
	/* The host's default may pace, or probe for bandwidth. */
	setsockopt(pair->b, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	err = set_int(pair->b, IPPROTO_TCP, TCP_NODELAY, 1);
	/* Not SO_RCVBUF, by which the handshake chooses the window's scale for good. */
	err = err ?: set_int(pair->a, IPPROTO_TCP, TCP_WINDOW_CLAMP, FIRST_BUFFER);
	if (!err)
		return 0;
	loopback_close(pair->a);
	loopback_close(pair->b);
	pair->a = pair->b = -1;
	return err;
}

static int add_pair(struct pairs *pairs)
{
	uint32_t slot = pairs->unused[pairs->unused_first];
	struct pair *pair = &pairs->slots[slot];
	uint64_t value;
	int err;

	err = make_pair(pairs, pair);
	if (err)
		return err;
	value = pair->b;
	brake_reset(pairs->relay, slot);
	if (bpf_map_update_elem(bpf_map__fd(pairs->relay->attach->relay->maps.hk_pairs), &slot,
				&value, BPF_ANY) ||
	    bpf_map_update_elem(bpf_map__fd(queue(pairs->relay)), NULL, &slot, BPF_ANY)) {
		err = -errno;
		loopback_close(pair->a);
		loopback_close(pair->b);
		pair->a = pair->b = -1;
		return err;
	}
	pairs->unused_first = (pairs->unused_first + 1) % HK_PAIRS_MAX;
	pairs->unused_count--;
	pairs->alive++;
	__atomic_add_fetch(&pairs->room->free, 1, __ATOMIC_RELAXED);
	return 0;
}

static int free_pairs(const struct pairs *pairs)
{
	return __atomic_load_n(&pairs->room->free, __ATOMIC_RELAXED);
}

/* Makes up to @count pairs. Returns 0 or -errno. */
static int refill(struct pairs *pairs, int count)
{
	int err = 0;

	while (!err && count-- && pairs->unused_count && free_pairs(pairs) < (int)pairs->target)
		err = add_pair(pairs);
	return err;
}

static void refill_later(struct pairs *pairs, long us)
{
	struct timeval tv = { .tv_usec = us };

	if (!evtimer_pending(pairs->refill, NULL))
		evtimer_add(pairs->refill, &tv);
}

static void on_refill(evutil_socket_t fd, short what, void *arg)
{
	struct pairs *pairs = arg;
	int err;

	(void)fd, (void)what;
	err = refill(pairs, REFILL_BATCH);
	if (err) {
		hk_debug("can't make a loopback pair: %s", strerror(-err));
		refill_later(pairs, 100000);
	} else if (pairs->unused_count && free_pairs(pairs) < (int)pairs->target) {
		refill_later(pairs, 0);
	}
}

/* A SYN-ACK whose ACK never came must not take room for ever. */
static void on_decay(evutil_socket_t fd, short what, void *arg)
{
	struct pairs *pairs = arg;
	int32_t pending = __atomic_load_n(&pairs->room->pending, __ATOMIC_RELAXED);

	(void)fd, (void)what;
	if (pending)
		__atomic_sub_fetch(&pairs->room->pending, pending > 0 ? (pending + 3) / 4 : pending,
				   __ATOMIC_RELAXED);
}

/* ---- use ---- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pair *pair = arg;
	struct hk_relay *relay = pair->conn->relay;

	(void)fd, (void)what;
	pair->conn->want_read = true;
	conn_touch(pair->conn);
	relay_settle(relay);
}

/*
 * Does its writer wait in poll()? Those of blocking sockets wait in B, and a reader would be woken for nothing. @unknown:
 * the answer if the kernel does not tell.
 */
static bool may_wait(const struct pair *pair, bool unknown)
{
	struct hk_look look;

	return look_at(pair->conn->relay, &pair->conn->id.key, &look) ? unknown : look.nonblock;
}

/* B was full and has room now, so whoever was told EAGAIN may write again. */
static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct pair *pair = arg;

	(void)fd, (void)what;
	/* Where it cannot be told rather a reader woken for nothing than a writer that waits for ever. */
	if (!may_wait(pair, true))
		return;
	pair->conn->relay->stats.kicks++;
	if (!brake_use(pair->conn))
		inject_kick(pair->conn);
}

int pair_take(struct conn *conn, uint32_t slot)
{
	struct pairs *pairs = conn->relay->pairs;
	struct pair *pair;

	if (slot >= HK_PAIRS_MAX || pairs->slots[slot].a < 0 || pairs->slots[slot].conn)
		return -EINVAL;
	pair = &pairs->slots[slot];
	pair->readable =
		event_new(conn->relay->base, pair->a, EV_READ | EV_PERSIST, on_readable, pair);
	if (!pair->readable || event_add(pair->readable, NULL))
		return -ENOMEM;
	pair->conn = conn;
	conn->slot = slot;
	conn->reading = true;
	conn->read_size = READ_SIZE_MIN;
	/* They were too few for a burst: keep more ready. */
	if (free_pairs(pairs) < (int)pairs->target / 2 && pairs->target < READY_MAX)
		pairs->target *= 2;
	refill_later(pairs, 1000);
	return 0;
}

static void watch_writable(struct pair *pair)
{
	if (pair->writable)
		return;
	pair->writable = event_new(pair->conn->relay->base, pair->b, EV_WRITE | EV_ET | EV_PERSIST,
				   on_writable, pair);
	if (pair->writable)
		event_add(pair->writable, NULL);
}

static void set_reading(struct conn *conn, struct pair *pair, bool on)
{
	if (conn->reading == on)
		return;
	conn->reading = on;
	if (on)
		event_add(pair->readable, NULL);
	else
		event_del(pair->readable);
}

/* Raising SO_SNDBUF wakes who waits in B. */
static void grow(struct pair *pair, uint32_t size)
{
	if (pair->grown)
		return;
	pair->grown = true;
	set_int(pair->a, IPPROTO_TCP, TCP_WINDOW_CLAMP, size);
	loopback_set_buffer(pair->b, SO_SNDBUF, &size);
	if (may_wait(pair, false))
		brake_use(pair->conn);
}

/*
 * One read into rdt's own buffer. Returns bytes, 0 = EOF, -EAGAIN, -ENOBUFS = rdt is full, -errno. *filled: there
 * may be more.
 */
static ssize_t read_once(struct conn *conn, struct pair *pair, size_t most, bool *filled)
{
	struct iovec iov[2];
	ssize_t got;
	int n;

	n = rdt_reserve(conn->rdt, most, iov);
	if (n <= 0)
		return n ? n : -ENOBUFS;
	got = readv(pair->a, iov, n);
	if (got > 0)
		rdt_commit(conn->rdt, got);
	*filled = got == (ssize_t)(iov[0].iov_len + (n > 1 ? iov[1].iov_len : 0));
	return got < 0 ? -errno : got;
}

uint32_t pair_holds(const struct conn *conn, uint32_t *unread)
{
	const struct pair *pair = &conn->relay->pairs->slots[conn->slot];
	int in = 0, out = 0;

	if (ioctl(pair->a, SIOCINQ, &in) || ioctl(pair->b, SIOCOUTQ, &out))
		in = out = 0;
	*unread = in;
	return in + out;
}

int pair_read(struct conn *conn)
{
	struct pair *pair = &conn->relay->pairs->slots[conn->slot];
	/* Nothing is under way: a burst's worth shall leave before the rest is read. */
	size_t turn = rdt_idle(conn->rdt) ? READ_SIZE_MIN : conn->relay->pair_buffer;
	size_t total = 0;
	bool filled;
	ssize_t got;

	conn->paused = false;
	for (;;) {
		if (!memory_may_take(conn)) {
			conn->paused = true;
			got = -ENOBUFS;
			break;
		}
		/* EOF needs no room, and is only seen by reading. */
		if (!rdt_write_space(conn->rdt)) {
			got = -ENOBUFS;
			break;
		}
		got = read_once(conn, pair, conn->read_size < turn ? conn->read_size : turn,
				&filled);
		if (got <= 0)
			break;
		total += got;
		/* That was all; if not, the event comes again. */
		if (!filled) {
			got = -EAGAIN;
			break;
		}
		/* Grow with the need: the send buffer grows to what is asked for. */
		if ((size_t)got == conn->read_size && conn->read_size < turn)
			conn->read_size *= 2;
		if (total >= turn) { /* B had room again and again: others must have their turn */
			got = -EAGAIN;
			break;
		}
	}
	if (total >= READ_SIZE_MIN)
		grow(pair, conn->relay->pair_buffer);
	conn->from_app += total;
	conn->relay->stats.taken_bytes += total;
	brake_taken(conn, total);
	brake_read(conn, relay_now());
	if (total >= BLOCKING_BYTES || got == -ENOBUFS)
		watch_writable(pair);
	set_reading(conn, pair, got == -EAGAIN);
	if (got == 0)
		conn->drained = true;
	return got > 0 || got == 0 || got == -EAGAIN || got == -ENOBUFS ? 0 : got;
}

void pair_shut(struct conn *conn)
{
	struct pair *pair = &conn->relay->pairs->slots[conn->slot];

	if (shutdown(pair->b, SHUT_WR) && errno != ENOTCONN)
		hk_debug("can't shut a loopback pair: %s", strerror(errno));
}

static void destroy(struct pair *pair)
{
	if (pair->readable)
		event_free(pair->readable);
	if (pair->writable)
		event_free(pair->writable);
	loopback_close(pair->b); /* leaves the SOCKMAP by being closed */
	loopback_close(pair->a);
	*pair = (struct pair){ .a = -1, .b = -1 };
}

void pair_release(struct conn *conn)
{
	struct pairs *pairs = conn->relay->pairs;

	if (conn->slot == HK_SLOT_NONE)
		return;
	destroy(&pairs->slots[conn->slot]);
	pairs->unused[(pairs->unused_first + pairs->unused_count++) % HK_PAIRS_MAX] = conn->slot;
	pairs->alive--;
	conn->slot = HK_SLOT_NONE;
	refill_later(pairs, 1000);
}

json_t *pairs_stats_json(const struct pairs *pairs)
{
	return json_pack("{s:I, s:I, s:I}", "alive", (json_int_t)pairs->alive, "ready",
			 (json_int_t)free_pairs(pairs), "pending",
			 (json_int_t)__atomic_load_n(&pairs->room->pending, __ATOMIC_RELAXED));
}

void pairs_set_full(struct pairs *pairs, bool full)
{
	__atomic_store_n(&pairs->room->full, full, __ATOMIC_RELAXED);
}

/* ---- life ---- */

void pairs_close(struct pairs *pairs)
{
	int i;

	if (!pairs)
		return;
	for (i = 0; i < HK_PAIRS_MAX; i++)
		destroy(&pairs->slots[i]);
	if (pairs->refill)
		event_free(pairs->refill);
	if (pairs->decay)
		event_free(pairs->decay);
	if (pairs->loopback.listener >= 0)
		close(pairs->loopback.listener);
	if (pairs->room)
		munmap(pairs->room, getpagesize());
	free(pairs);
}

/* Two descriptors a connection, and those that wait. */
static void raise_file_limit(void)
{
	struct rlimit limit = { .rlim_cur = 3 * HK_PAIRS_MAX, .rlim_max = 3 * HK_PAIRS_MAX }, now;

	if (getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur >= limit.rlim_cur ||
	    !setrlimit(RLIMIT_NOFILE, &limit))
		return;
	now.rlim_cur = now.rlim_max;
	setrlimit(RLIMIT_NOFILE, &now);
}

static int map_room(struct pairs *pairs)
{
	void *at = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(pairs->relay->attach->relay->maps.hk_room), 0);

	if (at == MAP_FAILED)
		return -errno;
	pairs->room = at;
	return 0;
}

int pairs_open(struct pairs **out, struct hk_relay *relay)
{
	static const struct timeval decay = { .tv_usec = DECAY_MS * 1000 };
	struct pairs *pairs = calloc(1, sizeof(*pairs));
	int err = 0, i;

	if (!pairs)
		return -ENOMEM;
	pairs->relay = relay;
	pairs->loopback.listener = -1;
	pairs->target = relay->attach->shared ? 0 : READY_MIN;
	for (i = 0; i < HK_PAIRS_MAX; i++) {
		pairs->slots[i].a = pairs->slots[i].b = -1;
		pairs->unused[pairs->unused_count++] = i;
	}
	pairs->refill = evtimer_new(relay->base, on_refill, pairs);
	pairs->decay = event_new(relay->base, -1, EV_PERSIST, on_decay, pairs);
	if (!pairs->refill || !pairs->decay || event_add(pairs->decay, &decay))
		err = -ENOMEM;
	raise_file_limit();
	err = err ?: map_room(pairs);
	/* The bound of what may wait in a pair; accepted sockets inherit it. */
	relay->pair_buffer = memory_pair_buffer(&relay->options);
	err = err ?: loopback_listen(&pairs->loopback, HK_PAIR_ADDRESS, &relay->pair_buffer);
	err = err ?: refill(pairs, READY_MIN);
	if (err) {
		hk_error("can't make loopback pairs: %s", strerror(-err));
		pairs_close(pairs);
		return err;
	}
	*out = pairs;
	return 0;
}
