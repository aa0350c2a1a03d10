// SPDX-License-Identifier: GPL-2.0
/*
 * After halt polling in KVM: polls only as long as that pays, which the last waits tell. Bulk is never polled for: its
 * events come in the wake of each other, and the processor is its applications'.
 */
#include <sched.h>
#include <stdbool.h>
#include <event2/event.h>

#include "hooker/base/measure.h"
#include "hooker/relay/loop.h"

#define SMALL_BYTES 1024 /* of payload between two waits: a message and its answer */
#define PAYS_FROM   4	 /* waits in a row that were short and ended by something small */

struct work { /* done so far; grows only */
	uint64_t rounds;
	uint64_t bytes; /* of payload, both ways */
};

struct spin {
	struct loop *loop;
	double limit_ms;
	unsigned int most; /* loops that may poll at a time */
	struct work work;
	unsigned int run; /* short waits in a row */
};

static struct work work_of(const struct loop *loop)
{
	return (struct work){ loop->stats.rounds,
			      loop->stats.taken_bytes + loop->stats.delivered_bytes };
}

/* Polling must not take from the applications the only processor they have, nor the last. */
static unsigned int most_pollers(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 0 : CPU_COUNT(&set) - 1;
}

/* Polls until something has been done, or the limit. */
static void poll_briefly(struct spin *spin, double since)
{
	struct event_base *base = spin->loop->base;

	do {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (spin->loop->stats.rounds != spin->work.rounds || event_base_got_break(base))
			return;
		sched_yield();
	} while (hk_measure_now() - since < spin->limit_ms);
	spin->run = 0;
}

static void poll_if_allowed(struct spin *spin, double since)
{
	unsigned int *polling = &spin->loop->relay->polling;

	if (__atomic_add_fetch(polling, 1, __ATOMIC_RELAXED) <= spin->most)
		poll_briefly(spin, since);
	else
		spin->run = 0;
	__atomic_sub_fetch(polling, 1, __ATOMIC_RELAXED);
}

static void serve_once(struct spin *spin)
{
	struct event_base *base = spin->loop->base;
	double since = hk_measure_now();
	struct work work;

	if (spin->run >= PAYS_FROM)
		poll_if_allowed(spin, since);
	if (spin->run < PAYS_FROM && !event_base_got_break(base))
		event_base_loop(base, EVLOOP_ONCE);
	work = work_of(spin->loop);
	if (work.bytes - spin->work.bytes > SMALL_BYTES ||
	    hk_measure_now() - since > spin->limit_ms)
		spin->run = 0;
	else if (spin->run < PAYS_FROM)
		spin->run++;
	spin->work = work;
}

void spin_loop(struct loop *loop)
{
	struct spin spin = {
		.loop = loop,
		.limit_ms = loop->options.busy_poll_us / 1e3,
		.most = most_pollers(),
	};

	if (!loop->options.busy_poll_us || !spin.most) {
		event_base_dispatch(loop->base);
		return;
	}
	spin.work = work_of(loop);
	while (!event_base_got_break(loop->base))
		serve_once(&spin);
}
