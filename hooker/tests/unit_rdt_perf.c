// links: hooker/tests/rdt_sim.c hooker/tests/rdt_sim_link.c hooker/tests/rdt_sim_end.c hooker/rdt/*.c
// SPDX-License-Identifier: GPL-2.0
/* Shapes of performance in virtual time, against models of TCP. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hooker/tests/rdt_sim.h"

#define GBIT	0.125 /* bytes per ns */
#define MBIT10	0.00125
#define RTT	(50 * SIM_MS)
#define FEW	100
#define SMALL	3072
#define MIDDLE	522240
#define LARGE	27262976
#define TCP_MSS 1448

static void wire(struct sim *s, double rate, uint64_t queue, double loss)
{
	sim_init(s, 7);
	for (int d = 0; d < 2; d++) {
		s->link[d].rate = rate;
		s->link[d].queue = queue;
		s->link[d].delay = RTT / 2;
		s->link[d].loss = loss;
	}
}

static struct sim_flow *add(struct sim *s, uint64_t bytes)
{
	struct sim_flow *f = sim_add_flow(s);

	f->end[0].to_write = bytes;
	f->end[0].cfg.initial_rtt = f->end[1].cfg.initial_rtt = RTT;
	return f;
}

static void finish(struct sim *s)
{
	int r = sim_run(s, s->now + 900 * SIM_SEC);

	if (r)
		print_error("run ended %d: %s\n", r, s->error ? s->error : "late");
	assert_int_equal(r, 0);
}

/* One flow of `bytes` from end 0 to end 1 from now on; how long until the reader has all, in ms. */
static double transfer(struct sim *s, uint64_t bytes)
{
	uint64_t start = s->now;
	struct sim_flow *f = add(s, bytes);

	finish(s);
	return (double)(f->end[1].done_at - start) / 1e6;
}

/* Ideal TCP: slow start from 10 segments, a window's worth per round, no loss, endless link. */
static double tcp_model(uint64_t bytes, double rate)
{
	double window = 10 * TCP_MSS, left = bytes, ms = RTT / 2e6;

	for (; left > window && window / rate < RTT; window *= 2) {
		left -= window;
		ms += RTT / 1e6;
	}
	return ms + left / rate / 1e6;
}

static void against_slow_start(void **state)
{
	static const uint64_t sizes[] = { SMALL, MIDDLE, LARGE };
	static const double allowed[] = { 1.02, 1.02, 1.3 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sim s;
		double unknown, known, tcp = tcp_model(sizes[i], GBIT);
		struct rdt_stats *st;

		wire(&s, GBIT, 8 << 20, 0.0);
		unknown = transfer(&s, sizes[i]);
		known = transfer(&s, sizes[i]);
		print_message("# %llu bytes: %.1f ms, path known %.1f ms, TCP model %.1f ms\n",
			      (unsigned long long)sizes[i], unknown, known, tcp);
		assert_true(unknown <= tcp * allowed[i]);
		assert_true(known <= unknown);
		st = &s.flow[0].end[0].last_stats;
		assert_int_equal(st->lost_packets + st->rtx_packets + st->pto_total, 0);
		sim_free(&s);
	}
}

/* After the large file has been seen once, the middle one takes a fraction of slow start's time. */
static void known_path(void **state)
{
	struct sim s;
	double ms, tcp = tcp_model(MIDDLE, GBIT);

	(void)state;
	wire(&s, GBIT, 8 << 20, 0.0);
	transfer(&s, LARGE);
	ms = transfer(&s, MIDDLE);
	print_message("# %d bytes, path known from %d: %.1f ms, TCP model %.1f ms\n", MIDDLE, LARGE,
		      ms, tcp);
	assert_true(s.flow[1].end[0].last_stats.jumped);
	assert_true(ms <= 0.5 * tcp);
	sim_free(&s);
	/* Paced: a queue of half the file is never overrun. */
	wire(&s, GBIT, MIDDLE / 2, 0.0);
	s.path[0] = (struct rdt_path){ .window = 4 << 20, .min_rtt = RTT, .since = s.now };
	transfer(&s, MIDDLE);
	assert_true(s.flow[0].end[0].last_stats.jumped);
	assert_int_equal(s.link[1].dropped_queue, 0);
	sim_free(&s);
}

/* Memories that differ by less than a factor of two start alike. */
static void jump_in_powers(void **state)
{
	double ms[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct sim s;

		wire(&s, 8 * GBIT, 8 << 20, 0.0);
		s.path[0].window = (1ULL << 20) + i * (330ULL << 10); /* 1 to 1.97 MiB */
		s.path[0].min_rtt = RTT;
		s.path[0].since = s.now;
		ms[i] = transfer(&s, MIDDLE);
		assert_true(s.flow[0].end[0].last_stats.jumped);
		assert_true(fabs(ms[i] - ms[0]) < 1e-6);
		sim_free(&s);
	}
	print_message("# %d bytes, path known from 1 to 1.97 MiB a round trip: %.1f ms\n", MIDDLE,
		      ms[0]);
}

/* One packet on a known path, answered once, and the next connection starts as if they had not been. */
static void after_a_few_bytes(void **state)
{
	double ms[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sim s;

		wire(&s, 8 * GBIT, 8 << 20, 0.0);
		s.path[0] = (struct rdt_path){ .window = 1 << 20, .min_rtt = RTT, .since = s.now };
		if (i) {
			struct sim_flow *f = add(&s, FEW);

			assert_int_equal(sim_run(&s, s.now + 2 * RTT), 1); /* it lingers */
			assert_true(f->end[1].got == FEW);
		}
		ms[i] = transfer(&s, MIDDLE);
		sim_free(&s);
	}
	print_message("# %d bytes, path known: %.1f ms, after %d bytes %.1f\n", MIDDLE, ms[0], FEW,
		      ms[1]);
	assert_true(fabs(ms[0] - ms[1]) < 1e-6);
}

/* One lucky round trip is forgotten in time, and what came after it is not forgotten with it. */
static void ageing(void **state)
{
	struct sim s;
	int i;

	(void)state;
	wire(&s, GBIT, 8 << 20, 0.0);
	s.path[0] = (struct rdt_path){ .window = 64 << 20, .min_rtt = RTT, .since = s.now };
	for (i = 0; i < 7; i++) {
		transfer(&s, LARGE);
		assert_true(s.flow[i].end[0].last_stats.jumped);
		s.now += 250 * SIM_SEC;
	}
	assert_in_range(s.path[0].window, LARGE / 20, LARGE);
	assert_true(rdt_path_age(&s.path[0], s.path[0].since - SIM_SEC)); /* learnt before that */
	assert_in_range(s.path[0].window, LARGE / 20, LARGE);
	s.now += 2 * RDT_PATH_EXPIRY;
	transfer(&s, MIDDLE);
	assert_false(s.flow[i].end[0].last_stats.jumped);
	sim_free(&s);
}

/* Three connections start together on a known path: together they take no more than half of it. */
static void shared_memory(void **state)
{
	struct sim s;
	uint64_t sum = 0;

	(void)state;
	wire(&s, GBIT, 8 << 20, 0.0);
	s.path[0] = (struct rdt_path){ .window = 1 << 20, .min_rtt = RTT, .since = s.now };
	for (int i = 0; i < 3; i++)
		add(&s, LARGE);
	assert_int_equal(sim_run(&s, s.now + RTT - SIM_MS), 1);
	for (int i = 0; i < 3; i++)
		sum += s.flow[i].end[0].conn->in_flight;
	assert_true(sum > 500000 && sum <= (1 << 19) + 2 * 16 * 1472);
	finish(&s);
	assert_int_equal(s.path[0].jumping, 0);
	sim_free(&s);
}

/* Acknowledgements that were held up by a blackout say nothing about the round trip. */
static void silence(void **state)
{
	struct sim s;
	struct sim_flow *f;
	struct rdt_stats st;

	(void)state;
	wire(&s, MBIT10, 62500, 0.0);
	f = add(&s, 8 << 20);
	f->end[0].cfg.initial_rtt = 0;
	s.link[0].dark_from = s.now;
	s.link[0].dark_to = s.now + 25 * SIM_SEC;
	assert_int_equal(sim_run(&s, s.now + 30 * SIM_SEC), 1);
	rdt_stats(f->end[0].conn, &st);
	print_message("# after 25 s of silence: srtt %.1f ms\n", st.srtt / 1e6);
	assert_true(st.srtt > 0 && st.srtt < 200 * SIM_MS);
	finish(&s);
	sim_free(&s);
}

/* A memory from a wide path on a path that became narrow: give up at once, do little harm. */
static void wrong_memory(void **state)
{
	struct sim s;
	struct rdt_stats *st;
	double fresh, ms;

	(void)state;
	wire(&s, MBIT10, 64000, 0.0);
	fresh = transfer(&s, MIDDLE);
	s.path[0] = (struct rdt_path){
		.window = 4 << 20, .min_rtt = RTT, .since = s.now, .last_loss = 0
	};
	ms = transfer(&s, MIDDLE);
	st = &s.flow[1].end[0].last_stats;
	print_message("# narrow path, wrong memory: %.1f ms, none %.1f ms, lost %llu\n", ms, fresh,
		      (unsigned long long)st->lost_packets);
	assert_true(st->jumped && st->retreated);
	assert_true(ms < 2 * fresh);
	assert_true(s.path[0].window < 1 << 20);
	sim_free(&s);
}

/*
 * 10 Mbit/s with a queue of one bandwidth-delay product: fills the link, losses stay rare. Acknowledged every second
 * time, as TCP is: with more, the flow beside it is driven out.
 */
static void narrow_link(void **state)
{
	struct sim s;
	struct rdt_stats *st;
	double ms, acks, best = LARGE / MBIT10 / 1e6;

	(void)state;
	wire(&s, MBIT10, 62500, 0.0);
	ms = transfer(&s, LARGE);
	st = &s.flow[0].end[0].last_stats;
	acks = (double)s.flow[0].end[1].last_stats.acks_sent / st->sent_packets;
	print_message(
		"# 10 Mbit/s: %.0f ms of at least %.0f, lost %.2f %%, %.2f answers a packet\n", ms,
		best, 100.0 * st->lost_packets / st->sent_packets, acks);
	assert_true(ms < best * 1.2);
	assert_true(st->lost_packets < st->sent_packets / 100);
	assert_int_equal(st->pto_total, 0);
	assert_true(acks < 0.6);
	sim_free(&s);
}

/*
 * 10 Mbit/s with room for 39 packets, a path never seen: slow start must find its end before the queue does.
 */
static void short_queue(void **state)
{
	struct sim s;
	struct rdt_stats *st;
	double ms, best = RTT / 2e6 + MIDDLE * (1.0 + 92.0 / 1408) / MBIT10 / 1e6;

	(void)state;
	wire(&s, MBIT10, 39ull * 1500, 0.0);
	ms = transfer(&s, MIDDLE);
	st = &s.flow[0].end[0].last_stats;
	print_message(
		"# 10 Mbit/s, short queue: %.0f ms, the link alone takes %.0f; lost %llu of %llu\n",
		ms, best, (unsigned long long)st->lost_packets,
		(unsigned long long)st->sent_packets);
	assert_int_equal(st->lost_packets, 0);
	assert_true(ms < 1.2 * best);
	sim_free(&s);
}

/* Random loss: at least what Mathis's model gives a Reno flow with delayed acknowledgements. */
static void random_loss(void **state)
{
	static const double loss[] = { 0.001, 0.01, 0.02, 0.05, 0.1 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		uint64_t bytes = 4 << 20;
		struct sim s;
		struct rdt_stats *st;
		double ms, goodput, floor;

		wire(&s, GBIT, 8 << 20, loss[i]);
		ms = transfer(&s, bytes);
		goodput = bytes / ms;
		floor = TCP_MSS / (RTT / 1e6) * 0.93 / sqrt(loss[i]);
		st = &s.flow[0].end[0].last_stats;
		print_message(
			"# loss %.1f %%: %.0f KB/s, model %.0f, sent again %.2f %%, pto %llu\n",
			loss[i] * 100, goodput, floor, 100.0 * st->rtx_packets / st->sent_packets,
			(unsigned long long)st->pto_total);
		assert_true(goodput >= floor);
		assert_true(st->rtx_packets < 1.3 * loss[i] * st->sent_packets + 20);
		sim_free(&s);
	}
}

/* netem's reordering: some packets skip the delay. No storm of needless repetitions. */
static void reordering(void **state)
{
	struct sim s;
	struct rdt_stats *st;
	double ms;

	(void)state;
	wire(&s, 0.0125, 1 << 20, 0.0);
	s.link[1].reorder = 0.05;
	ms = transfer(&s, LARGE / 2);
	st = &s.flow[0].end[0].last_stats;
	print_message("# 5 %% reordered, 100 Mbit/s: %.0f ms, sent again %.2f %%\n", ms,
		      100.0 * st->rtx_packets / st->sent_packets);
	assert_true(st->rtx_packets < st->sent_packets / 15);
	assert_true(ms < 2 * LARGE / 2 / 0.0125 / 1e6);
	sim_free(&s);
}

/*
 * One packet in a hundred overtakes half a window on a wide link that loses nothing: neither may those that overtake
 * pass for the round trip's time, nor the overtaken for lost.
 */
static void overtaking(void **state)
{
	struct sim s;
	struct rdt_stats *st;
	double plain, ms;

	(void)state;
	wire(&s, GBIT, 8 << 20, 0.0);
	plain = transfer(&s, LARGE);
	sim_free(&s);
	wire(&s, GBIT, 8 << 20, 0.0);
	for (int d = 0; d < 2; d++)
		s.link[d].reorder = s.link[d].dup = 0.01;
	ms = transfer(&s, LARGE);
	st = &s.flow[0].end[0].last_stats;
	print_message(
		"# 1 %% reordered and doubled, 1 Gbit/s: %.0f ms, without %.0f, srtt %.0f ms\n", ms,
		plain, st->srtt / 1e6);
	assert_true(ms < 1.3 * plain);
	assert_true(st->srtt > 45 * SIM_MS);
	sim_free(&s);
}

/* Two flows, the second five seconds late, share 10 Mbit/s within sane bounds. */
static void fairness(void **state)
{
	struct sim s;
	uint64_t a, b;

	(void)state;
	wire(&s, MBIT10, 62500, 0.0);
	add(&s, 1 << 30);
	add(&s, 1 << 30)->start_at = s.now + 5 * SIM_SEC;
	assert_int_equal(sim_run(&s, s.now + 20 * SIM_SEC), 1);
	a = s.flow[0].end[1].got;
	b = s.flow[1].end[1].got;
	assert_int_equal(sim_run(&s, s.now + 60 * SIM_SEC), 1);
	a = s.flow[0].end[1].got - a;
	b = s.flow[1].end[1].got - b;
	print_message("# two flows: %llu and %llu bytes in 60 s\n", (unsigned long long)a,
		      (unsigned long long)b);
	assert_true(a + b > 0.9 * MBIT10 * 60 * SIM_SEC);
	assert_true(a < 2 * b && b < 2 * a);
	sim_free(&s);
}

/* Linux's CUBIC: it never grows as Reno does, and it is not paced. */
static void linux_on_ack(struct rdt_cc *cc, const struct rdt_cc_ack *a)
{
	cc->cwnd_prior = INFINITY;
	rdt_cc_cubic.on_ack(cc, a);
}

static void linux_on_congestion(struct rdt_cc *cc, uint64_t now)
{
	rdt_cc_cubic.on_congestion(cc, now);
}

static const struct rdt_cc_ops linux_cubic = {
	.name = "linux",
	.on_ack = linux_on_ack,
	.on_congestion = linux_on_congestion,
};

/* A flow of ours beside one as Linux has it: about half each. */
static void beside_linux(void **state)
{
	static const double rates[] = { MBIT10, 0.0125 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sim s;
		uint64_t a, b;
		double share;

		wire(&s, rates[i], (uint64_t)(rates[i] * RTT), 0.0);
		add(&s, 1 << 30);
		add(&s, 1 << 30);
		assert_int_equal(sim_run(&s, s.now + SIM_MS), 1);
		s.flow[1].end[0].conn->cc.ops = &linux_cubic;
		assert_int_equal(sim_run(&s, s.now + 5 * SIM_SEC), 1);
		a = s.flow[0].end[1].got;
		b = s.flow[1].end[1].got;
		assert_int_equal(sim_run(&s, s.now + 60 * SIM_SEC), 1);
		a = s.flow[0].end[1].got - a;
		b = s.flow[1].end[1].got - b;
		share = (double)a / (a + b);
		print_message("# beside Linux's CUBIC, %.0f Mbit/s: %.1f %%\n", rates[i] * 8000,
			      share * 100);
		assert_true(share > 0.4 && share < 0.6);
		sim_free(&s);
	}
}

/* A reader that stops: the writer blocks at the bounds, and all arrives once it goes on. */
static void stopped_reader(void **state)
{
	struct sim s;
	struct sim_flow *f;
	struct rdt_stats st[2];
	uint64_t start;

	(void)state;
	wire(&s, GBIT, 8 << 20, 0.0);
	start = s.now;
	f = add(&s, 40 << 20);
	f->end[1].read_max = 1 << 20;
	f->end[1].read_pause = 1;
	f->end[1].read_at = s.now + 60 * SIM_SEC;
	assert_int_equal(sim_run(&s, s.now + 59 * SIM_SEC), 1);
	assert_int_equal(f->end[1].got, 0);
	for (int e = 0; e < 2; e++)
		rdt_stats(f->end[e].conn, &st[e]);
	print_message("# stopped reader: written %llu, memory %llu and %llu, %llu probes\n",
		      (unsigned long long)f->end[0].written, (unsigned long long)st[0].memory,
		      (unsigned long long)st[1].memory, (unsigned long long)st[0].pto_total);
	assert_true(f->end[0].written <= (8 << 20));
	assert_true(st[0].memory < (5 << 20) && st[1].memory < (5 << 20));
	assert_true(st[0].pto_total < 60);
	finish(&s);
	assert_int_equal(f->end[1].got, 40 << 20);
	print_message("# and read on: done %.0f ms later\n",
		      (f->end[1].done_at - start - 60 * SIM_SEC) / 1e6);
	assert_true(f->end[1].done_at < start + 62 * SIM_SEC);
	sim_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_slow_start), cmocka_unit_test(known_path),
		cmocka_unit_test(jump_in_powers),     cmocka_unit_test(shared_memory),
		cmocka_unit_test(after_a_few_bytes),  cmocka_unit_test(wrong_memory),
		cmocka_unit_test(narrow_link),	      cmocka_unit_test(short_queue),
		cmocka_unit_test(random_loss),	      cmocka_unit_test(reordering),
		cmocka_unit_test(overtaking),	      cmocka_unit_test(silence),
		cmocka_unit_test(fairness),	      cmocka_unit_test(stopped_reader),
		cmocka_unit_test(beside_linux),	      cmocka_unit_test(ageing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rdt performance shapes", tests, NULL, NULL);
}
