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

static int make_pair(const struct pair_maker *maker, struct pair *pair)
{
	int err = loopback_connect(&maker->loopback, PAIR_FIRST_BUFFER, &pair->a, &pair->b);

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

/* ---- indices ---- */

static int free_pairs(const struct pairs *pairs)
{
	return __atomic_load_n(&pairs->room->free, __ATOMIC_RELAXED);
}

/* An index for one more, if one is wanted. */
static bool take_index(struct pairs *pairs, uint32_t *slot)
{
	bool wanted;

	pthread_mutex_lock(&pairs->lock);
	wanted = pairs->unused_count && free_pairs(pairs) < (int)pairs->target;
	if (wanted) {
		*slot = pairs->unused[pairs->unused_first];
		pairs->unused_first = (pairs->unused_first + 1) % HK_PAIRS_MAX;
		pairs->unused_count--;
		pairs->alive++;
	}
	pthread_mutex_unlock(&pairs->lock);
	return wanted;
}

static void give_index(struct pairs *pairs, uint32_t slot)
{
	pthread_mutex_lock(&pairs->lock);
	pairs->unused[(pairs->unused_first + pairs->unused_count++) % HK_PAIRS_MAX] = slot;
	pairs->alive--;
	pthread_mutex_unlock(&pairs->lock);
}

/* ---- making them ---- */

/* For sock_ops, which may hand it out at once. */
static int publish(struct pairs *pairs, uint32_t slot, const struct pair *pair)
{
	struct relay_bpf *skel = pairs->relay->attach->relay;
	uint64_t value = pair->b;

	brake_reset(pairs->relay, slot);
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.hk_pairs), &slot, &value, BPF_ANY))
		return -errno;
	pthread_mutex_lock(&pairs->lock);
	pairs->slots[slot] = *pair;
	pthread_mutex_unlock(&pairs->lock);
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.hk_slots), NULL, &slot, BPF_ANY))
		return -errno;
	__atomic_add_fetch(&pairs->room->free, 1, __ATOMIC_RELAXED);
	return 0;
}

/* Returns 1, 0 = no more are wanted, or -errno. */
static int add_pair(const struct pair_maker *maker)
{
	struct pairs *pairs = maker->loop->pairs;
	struct pair pair = { .a = -1, .b = -1 };
	uint32_t slot;
	int err;

	if (!take_index(pairs, &slot))
		return 0;
	err = make_pair(maker, &pair);
	if (!err)
		err = publish(pairs, slot, &pair);
	if (!err)
		return 1;
	destroy(&pair);
	pairs->slots[slot] = pair;
	give_index(pairs, slot);
	return err;
}

/* Makes up to @count pairs. Returns whether more may be wanted, or -errno. */
static int refill(const struct pair_maker *maker, int count)
{
	int ret = 1;

	while (ret > 0 && count--)
		ret = add_pair(maker);
	return ret;
}

static void refill_later(struct pair_maker *maker, long us)
{
	struct timeval tv = { .tv_usec = us };

	if (!evtimer_pending(maker->refill, NULL))
		evtimer_add(maker->refill, &tv);
}

static void on_refill(evutil_socket_t fd, short what, void *arg)
{
	struct pair_maker *maker = arg;
	int ret;

	(void)fd, (void)what;
	ret = refill(maker, REFILL_BATCH);
	if (ret < 0) {
		hk_debug("can't make a loopback pair: %s", strerror(-ret));
		refill_later(maker, 100000);
	} else if (ret) {
		refill_later(maker, 0);
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

/* One loop makes the first ones, and looks after the promises. */
static int open_first(struct pair_maker *maker)
{
	static const struct timeval decay = { .tv_usec = DECAY_MS * 1000 };
	struct loop *loop = maker->loop;
	int ret;

	maker->decay = event_new(loop->base, -1, EV_PERSIST, on_decay, loop->pairs);
	if (!maker->decay || event_add(maker->decay, &decay))
		return -ENOMEM;
	ret = refill(maker, READY_MIN);
	return ret < 0 ? ret : 0;
}

int pair_maker_open(struct pair_maker **out, struct loop *loop)
{
	struct pair_maker *maker = calloc(1, sizeof(*maker));
	int err;

	if (!maker)
		return -ENOMEM;
	maker->loop = loop;
	maker->loopback.listener = -1;
	maker->refill = evtimer_new(loop->base, on_refill, maker);
	/* The bound of what may wait in a pair; accepted sockets inherit it. */
	err = maker->refill ? loopback_listen(&maker->loopback, HK_PAIR_ADDRESS,
					      memory_pair_buffer(&loop->options)) :
			      -ENOMEM;
	if (!err && !loop->index)
		err = open_first(maker);
	if (err) {
		hk_error("can't make loopback pairs: %s", strerror(-err));
		pair_maker_close(maker);
		return err;
	}
	*out = maker;
	return 0;
}

void pair_maker_close(struct pair_maker *maker)
{
	if (!maker)
		return;
	if (maker->refill)
		event_free(maker->refill);
	if (maker->decay)
		event_free(maker->decay);
	if (maker->loopback.listener >= 0)
		close(maker->loopback.listener);
	free(maker);
}

/* ---- using them ---- */

struct pair *pairs_use(struct loop *loop, uint32_t slot)
{
	struct pairs *pairs = loop->pairs;
	struct pair *pair = slot < HK_PAIRS_MAX ? &pairs->slots[slot] : NULL;

	pthread_mutex_lock(&pairs->lock);
	if (pair && (pair->a < 0 || pair->conn))
		pair = NULL;
	/* They were too few for a burst: keep more ready. */
	if (free_pairs(pairs) < (int)pairs->target / 2 && pairs->target < READY_MAX)
		pairs->target *= 2;
	pthread_mutex_unlock(&pairs->lock);
	refill_later(loop->maker, 1000);
	return pair;
}

void pairs_return(struct loop *loop, uint32_t slot)
{
	destroy(&loop->pairs->slots[slot]);
	give_index(loop->pairs, slot);
	refill_later(loop->maker, 1000);
}

json_t *pairs_stats_json(struct pairs *pairs)
{
	unsigned int alive;

	pthread_mutex_lock(&pairs->lock);
	alive = pairs->alive;
	pthread_mutex_unlock(&pairs->lock);
	return json_pack("{s:I, s:I, s:I}", "alive", (json_int_t)alive, "ready",
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
	if (pairs->room)
		munmap(pairs->room, getpagesize());
	pthread_mutex_destroy(&pairs->lock);
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
	struct pairs *pairs = calloc(1, sizeof(*pairs));
	int err, i;

	if (!pairs)
		return -ENOMEM;
	pthread_mutex_init(&pairs->lock, NULL);
	pairs->relay = relay;
	pairs->target = relay->attach->shared ? 0 : READY_MIN;
	for (i = 0; i < HK_PAIRS_MAX; i++) {
		pairs->slots[i].a = pairs->slots[i].b = -1;
		pairs->unused[pairs->unused_count++] = i;
	}
	raise_file_limit();
	err = map_room(pairs);
	if (err) {
		hk_error("can't make loopback pairs: %s", strerror(-err));
		pairs_close(pairs);
		return err;
	}
	*out = pairs;
	return 0;
}
