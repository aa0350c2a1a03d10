// SPDX-License-Identifier: GPL-2.0
/*
 * After halt polling in KVM: polls only as long as that pays, which the last waits tell. Bulk is never polled for: its
 * events come in the wake of each other, and the processor is its applications'.
 */
#include "hooker/daemon/spin.h"

#include <sched.h>
#include <stdbool.h>
#include <event2/event.h>

#include "hooker/base/measure.h"
#include "hooker/relay/relay.h"

#define SMALL_BYTES 1024 /* of payload between two waits: a message and its answer */
#define PAYS_FROM   4	 /* waits in a row that were short and ended by something small */

struct spin {
	struct event_base *base;
	const struct hk_relay *relay;
	double limit_ms;
	struct hk_relay_work work;
	unsigned int run; /* short waits in a row */
};

/* Polling would take from the applications the only processor they have. */
static bool has_processors(void)
{
	cpu_set_t set;

	return !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) > 1;
}

/* Polls until something has been done, or the limit. */
static void poll_briefly(struct spin *spin, double since)
{
	struct hk_relay_work work;

	do {
		event_base_loop(spin->base, EVLOOP_NONBLOCK);
		work = hk_relay_work(spin->relay);
		if (work.rounds != spin->work.rounds || event_base_got_break(spin->base))
			return;
		sched_yield();
	} while (hk_measure_now() - since < spin->limit_ms);
	spin->run = 0;
}

static void serve_once(struct spin *spin)
{
	double since = hk_measure_now();
	struct hk_relay_work work;

	if (spin->run >= PAYS_FROM)
		poll_briefly(spin, since);
	if (spin->run < PAYS_FROM && !event_base_got_break(spin->base))
		event_base_loop(spin->base, EVLOOP_ONCE);
	work = hk_relay_work(spin->relay);
	if (work.bytes - spin->work.bytes > SMALL_BYTES ||
	    hk_measure_now() - since > spin->limit_ms)
		spin->run = 0;
	else if (spin->run < PAYS_FROM)
		spin->run++;
	spin->work = work;
}

void spin_loop(struct event_base *base, const struct hk_relay *relay, unsigned int busy_poll_us)
{
	struct spin spin = { .base = base, .relay = relay, .limit_ms = busy_poll_us / 1e3 };

	if (!relay || !busy_poll_us || !has_processors()) {
		event_base_dispatch(base);
		return;
	}
	spin.work = hk_relay_work(relay);
	while (!event_base_got_break(base))
		serve_once(&spin);
}
