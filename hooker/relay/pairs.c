// SPDX-License-Identifier: GPL-2.0
/*
 * The loopback pairs that wait for a connection: made ahead, because sock_ops hands them out and cannot wait. One that was
 * used is not used again: shutdown of B and EOF at A are what proves that every byte has been read.
 */
#include "hooker/relay/pair.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/relay.skel.h"
#include "hooker/base/log.h"

#define READY_MIN    64 /* pairs that wait at first; doubles when they run short */
#define READY_MAX    2048
#define REFILL_BATCH 16	 /* then let other sockets have their turn */
#define DECAY_MS     500 /* pending promises whose ACK never came */

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

static struct bpf_map *queue(struct hk_relay *relay)
{
	return relay->attach->relay->maps.hk_slots;
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

static int make_pair(struct pairs *pairs, struct pair *pair)
{
	int err = loopback_connect(&pairs->loopback, PAIR_FIRST_BUFFER, &pair->a, &pair->b);

	if (err)
		return err;
	/* The host's default may pace, or probe for bandwidth. */
	setsockopt(pair->b, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	err = set_int(pair->b, IPPROTO_TCP, TCP_NODELAY, 1);
	/* Not SO_RCVBUF, by which the handshake chooses the window's scale for good. */
	err = err ?: set_int(pair->a, IPPROTO_TCP, TCP_WINDOW_CLAMP, PAIR_FIRST_BUFFER);
	if (err)
		destroy(pair);
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
		destroy(pair);
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

void pairs_use(struct pairs *pairs)
{
	/* They were too few for a burst: keep more ready. */
	if (free_pairs(pairs) < (int)pairs->target / 2 && pairs->target < READY_MAX)
		pairs->target *= 2;
	refill_later(pairs, 1000);
}

void pairs_return(struct pairs *pairs, uint32_t slot)
{
	destroy(&pairs->slots[slot]);
	pairs->unused[(pairs->unused_first + pairs->unused_count++) % HK_PAIRS_MAX] = slot;
	pairs->alive--;
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
	err = err ?: loopback_listen(&pairs->loopback, HK_PAIR_ADDRESS, relay->pair_buffer);
	err = err ?: refill(pairs, READY_MIN);
	if (err) {
		hk_error("can't make loopback pairs: %s", strerror(-err));
		pairs_close(pairs);
		return err;
	}
	*out = pairs;
	return 0;
}
