// links: hooker/tests/rdt_sim.c hooker/tests/rdt_sim_link.c hooker/tests/rdt_sim_end.c hooker/rdt/*.c
// SPDX-License-Identifier: GPL-2.0
/*
 * Random connections over random bad links: every run byte-exact in both directions, or failed
 * with the right error. RDT_SEED=n runs one seed and tells what it did; RDT_RUNS=n sets how many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hooker/tests/rdt_sim.h"

#define RUNS	 2000
#define DEADLINE (3600 * SIM_SEC)

enum story { PLAIN, ABORT, DARK, DARK_FOREVER, MOVE, STORIES };

static uint64_t pick(struct sim_rng *r, const uint64_t *choice, int n)
{
	return choice[sim_below(r, n)];
}

static double some(struct sim_rng *r, double chance, double max)
{
	return sim_chance(r, chance) ? max * (double)sim_below(r, 1000) / 1000.0 : 0.0;
}

static void random_link(struct sim_rng *r, struct sim_link *l)
{
	static const double rates[] = { 0, 0, 0.125, 0.0125, 0.00125, 0.00025 };

	l->rate = rates[sim_below(r, 6)];
	l->queue = 4000 + sim_below(r, sim_chance(r, 0.5) ? 20000 : 1000000);
	l->delay = sim_below(r, sim_chance(r, 0.5) ? SIM_MS : 100 * SIM_MS);
	l->jitter = sim_chance(r, 0.3) ? sim_below(r, 20 * SIM_MS) : 0;
	l->loss = some(r, 0.6, sim_chance(r, 0.2) ? 0.3 : 0.05);
	l->dup = some(r, 0.3, 0.2);
	l->corrupt = some(r, 0.3, 0.05);
	l->reorder = some(r, 0.3, 0.5);
}

static void random_end(struct sim_rng *r, struct sim_end *e)
{
	static const uint64_t sizes[] = { 0, 1, 100, 1408, 1409, 20000, 100000, 100000 };
	static const uint64_t datagrams[] = { 256, 600, 1452, 1472, 1472, 1472 };

	e->to_write = sim_below(r, 1 + pick(r, sizes, 8));
	if (sim_chance(r, 0.01))
		e->to_write = sim_below(r, 1000000);
	e->write_max = sim_chance(r, 0.3) ? 1 + sim_below(r, 3000) : UINT64_MAX;
	if (sim_chance(r, 0.3))
		e->write_pause = sim_below(r, 5 * SIM_MS);
	if (e->write_pause && e->write_max > 100000)
		e->write_max = 100000;
	e->finish_code = sim_chance(r, 0.1) ? HK_CODE_RST : HK_CODE_OK;
	e->use_direct = sim_chance(r, 0.7);
	if (sim_chance(r, 0.4)) {
		e->read_max = 1 + sim_below(r, 50000);
		e->read_pause = sim_below(r, sim_chance(r, 0.1) ? SIM_SEC : 4 * SIM_MS);
	}
	if (sim_chance(r, 0.3))
		e->app_unread_max = HK_INITIAL_CREDIT;
	e->wake_delay = sim_chance(r, 0.5) ? 1 + sim_below(r, SIM_MS) : 1;
	e->cfg.max_datagram = pick(r, datagrams, 6);
	e->cfg.send_buffer = (4096 << sim_below(r, 11)) + sim_below(r, 4096);
	e->cfg.recv_buffer = (HK_INITIAL_CREDIT << sim_below(r, 3)) + sim_below(r, 100000);
	e->cfg.cc = sim_chance(r, 0.2) ? RDT_CC_NEWRENO : RDT_CC_CUBIC;
	if (sim_chance(r, 0.1)) {
		e->cfg.cc = RDT_CC_FIXED;
		e->cfg.fixed_window = 3000 + sim_below(r, 60000);
	}
	e->cfg.initial_rtt = sim_chance(r, 0.5) ? 1 + sim_below(r, 100 * SIM_MS) : 0;
	e->cfg.ack_every = 2 + sim_below(r, 20);
}

/* Both daemons go over to a carrier that neither loses nor reorders, not quite at the same time. */
static int move(struct sim *s, bool reliable)
{
	int first = sim_below(&s->rng, 2), r = 1;

	for (int k = 0; k < 2 && r == 1; k++) {
		int e = k ? !first : first;
		struct sim_end *end = &s->flow[0].end[e];

		r = sim_run(s, s->now + sim_below(&s->rng, 200 * SIM_MS));
		if (r != 1 || end->closed)
			continue;
		s->link[!e] = (struct sim_link){ .delay = SIM_MS, .queue = UINT64_MAX };
		if (!reliable)
			s->link[!e].loss = 0.02;
		end->cfg.max_datagram = 300 + sim_below(&s->rng, 1173);
		rdt_path_changed(end->conn, s->now, NULL, end->cfg.max_datagram, reliable);
		sim_kick(s, 0, e);
	}
	return r;
}

static int tell(struct sim *s, uint64_t seed, enum story story, const char *what)
{
	static const char *const names[] = { "plain", "abort", "dark", "dark forever", "move" };

	print_error("seed %llu (%s): %s at %.3f s; run again with RDT_SEED=%llu\n",
		    (unsigned long long)seed, names[story], what, s->now / 1e9,
		    (unsigned long long)seed);
	for (int e = 0; e < 2; e++) {
		const struct sim_end *end = &s->flow[0].end[e];
		struct rdt_stats st = end->last_stats;

		if (end->conn)
			rdt_stats(end->conn, &st);
		print_error(
			"  end %d: wrote %llu/%llu got %llu end %d(%d) reset %d(%d) aborted %d closed %d "
			"sent %llu rtx %llu lost %llu spurious %llu pto %llu in flight %llu "
			"unsent %llu refused %llu\n",
			e, (unsigned long long)end->written, (unsigned long long)end->to_write,
			(unsigned long long)end->got, end->end_seen, end->got_code, end->reset_seen,
			end->got_reset, end->aborted, end->closed,
			(unsigned long long)st.sent_packets, (unsigned long long)st.rtx_packets,
			(unsigned long long)st.lost_packets,
			(unsigned long long)st.spurious_packets, (unsigned long long)st.pto_total,
			(unsigned long long)st.in_flight, (unsigned long long)st.unsent,
			(unsigned long long)st.refused[RDT_BAD_ACK]);
	}
	return -1;
}

/* A permanent blackout: nobody may claim success, and the figures must show a dead path. */
static const char *judge_dark(const struct sim *s)
{
	int open = 0;

	for (int e = 0; e < 2; e++) {
		const struct sim_end *end = &s->flow[0].end[e];
		struct rdt_stats st;

		if (end->end_seen && end->got != s->flow[0].end[!e].to_write)
			return "end without all bytes";
		if (end->closed)
			continue;
		open++;
		rdt_stats(end->conn, &st);
		if (st.in_flight && (st.pto_count < 5 || !st.waiting_since ||
				     s->now - st.waiting_since < 30 * SIM_SEC))
			return "a dead path is not shown";
	}
	return open ? NULL : "closed over a dead path";
}

static const char *judge(const struct sim *s, enum story story, int result)
{
	const struct sim_end *end = s->flow[0].end;

	if (result < 0)
		return s->error;
	if (result && story == DARK_FOREVER)
		return judge_dark(s);
	if (result)
		return "did not finish";
	for (int e = 0; e < 2; e++) {
		if (end[e].end_seen && end[e].got != end[!e].to_write)
			return "end without all bytes";
		if (end[e].end_seen && end[e].got_code != end[!e].finish_code)
			return "wrong reason of the end";
		if (end[!e].aborted && !end[e].aborted &&
		    (!end[e].reset_seen || end[e].got_reset != HK_CODE_RST))
			return "abort not seen as reset";
		if (!end[!e].aborted && !end[e].aborted && !end[e].end_seen)
			return "reset out of nothing";
		/* TIME-WAIT is over, the last acknowledgement was not heard: TCP cannot know either. */
		if (story == DARK && end[e].end_seen && end[e].got_reset == HK_CODE_UNKNOWN)
			continue;
		if (!end[!e].aborted && !end[e].aborted && end[e].reset_seen)
			return "reset after a clean end";
	}
	return NULL;
}

static int one(uint64_t seed)
{
	struct sim s;
	struct sim_flow *f;
	struct sim_rng *r = &s.rng;
	enum story story;
	const char *what;
	int result = 1;

	sim_init(&s, seed);
	story = sim_chance(r, 0.6) ? PLAIN : sim_below(r, STORIES);
	f = sim_add_flow(&s);
	for (int d = 0; d < 2; d++) {
		random_link(r, &s.link[d]);
		random_end(r, &f->end[d]);
		f->end[d].trims = seed & 1 << d;
	}
	if (sim_chance(r, 0.3)) /* a path memory, right or wrong */
		s.path[0] = (struct rdt_path){ .window = sim_below(r, 4 << 20),
					       .min_rtt = sim_below(r, 100 * SIM_MS),
					       .since = s.now };
	if (story == ABORT)
		f->end[sim_below(r, 2)].abort_at_byte = 1 + sim_below(r, 50000);
	if (story == DARK || story == DARK_FOREVER)
		for (int d = 0; d < 2; d++) {
			s.link[d].dark_from = s.now + sim_below(r, 300 * SIM_MS);
			s.link[d].dark_to = story == DARK ? s.now + sim_below(r, 60 * SIM_SEC) :
							    UINT64_MAX;
		}
	if (story == MOVE) {
		result = move(&s, true);
		if (result == 1 && sim_chance(r, 0.5)) {
			sim_drop_all(&s);
			result = move(&s, false);
		}
	}
	if (result == 1)
		result = sim_run(&s, s.now + (story == DARK_FOREVER ? 120 * SIM_SEC : DEADLINE));
	what = judge(&s, story, result);
	if (what)
		tell(&s, seed, story, what);
	else if (getenv("RDT_SEED"))
		tell(&s, seed, story, "fine");
	sim_free(&s);
	return what ? -1 : 0;
}

static void random_runs(void **state)
{
	const char *only = getenv("RDT_SEED"), *runs = getenv("RDT_RUNS");
	uint64_t n = runs ? strtoull(runs, NULL, 0) : RUNS;
	int failed = 0;

	(void)state;
	if (only) {
		assert_int_equal(one(strtoull(only, NULL, 0)), 0);
		return;
	}
	for (uint64_t seed = 1; seed <= n && failed < 5; seed++)
		failed += one(seed) != 0;
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_runs),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rdt random runs", tests, NULL, NULL);
}
