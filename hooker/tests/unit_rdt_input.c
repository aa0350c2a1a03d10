// links: hooker/tests/rdt_sim.c hooker/tests/rdt_sim_link.c hooker/tests/rdt_sim_end.c hooker/tests/rdt_frames.c hooker/rdt/*.c
// SPDX-License-Identifier: GPL-2.0
/* What arrives: each byte once and in place, junk changes nothing, a hostile peer breaks nothing. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hooker/tests/rdt_frames.h"

/* Overlapping pieces, as after a change of datagram size, and repetitions: each byte once, in place. */
static void overlaps(void **state)
{
	static const int pieces[][2] = { { 0, 10 }, { 5, 20 },	{ 40, 60 }, { 30, 50 },
					 { 0, 20 }, { 15, 35 }, { 55, 80 }, { 70, 75 } };
	static const int have[] = { 10, 20, 20, 20, 20, 60, 80, 80 };
	struct rdt_conn *b = frames_conn(&frames_b);
	struct iovec iov[2];
	struct rdt_stats st;
	uint8_t buf[256];

	(void)state;
	for (int i = 0; i < 8; i++) {
		int from = pieces[i][0], len = pieces[i][1] - from;

		for (int twice = 0; twice < 2; twice++) {
			frames_sample(buf);
			buf[3] = len;
			buf[31] = i + 1;
			frames_put64(buf + 36, from);
			memcpy(buf + 64, sim_pattern(from), len);
			assert_true(frames_feed(b, buf, 64 + len) >= 0);
			assert_int_equal(rdt_received(b), have[i]);
		}
	}
	assert_int_equal(rdt_read_vec(b, iov), 1);
	assert_int_equal(iov[0].iov_len, 80);
	assert_memory_equal(iov[0].iov_base, sim_pattern(0), 80);
	rdt_stats(b, &st);
	assert_int_equal(st.dup_packets, 8);
	assert_int_equal(st.recv_packets, 8);
	rdt_conn_destroy(b);
}

/* Credit that became free is announced by itself, but not for every few bytes. */
static void announces_credit(void **state)
{
	struct rdt_conn *b = frames_conn(&frames_b);
	struct rdt_datagram d;
	struct rdt_frame f;
	uint8_t buf[2048];
	uint64_t off = 0;

	(void)state;
	frames_sample(buf);
	for (uint32_t pn = 1; off < 4 << 20; pn++, off += 1024) {
		uint32_t be = htobe32(pn);

		buf[2] = 1024 >> 8;
		buf[3] = 0;
		memcpy(buf + 28, &be, 4);
		frames_put64(buf + 36, off);
		assert_true(frames_feed(b, buf, 64 + 1024) >= 0);
		while (rdt_output(b, FRAMES_NOW, &d))
			;
	}
	rdt_consume(b, FRAMES_NOW, 100);
	assert_int_equal(rdt_output(b, FRAMES_NOW, &d), 0);
	rdt_consume(b, FRAMES_NOW, 1 << 20);
	assert_true(rdt_next_timeout(b) <= FRAMES_NOW);
	assert_int_equal(rdt_output(b, FRAMES_NOW, &d), 1);
	assert_int_equal(rdt_frame_parse(buf, frames_flat(&d, buf), &f), 0);
	assert_int_equal(f.kind, HK_FRAME_ACK);
	assert_int_equal(f.cum + f.window, (5 << 20) + 100);
	rdt_conn_destroy(b);
}

/* An acknowledgement held longer than its field can say is no measure of the round trip. */
static void old_acknowledgement(void **state)
{
	struct rdt_conn *a = frames_conn(&frames_a), *b = frames_conn(&frames_b);
	struct rdt_datagram d;
	struct rdt_stats st;
	struct rdt_frame f;
	uint8_t buf[2048];

	(void)state;
	rdt_write(a, "x", 1);
	assert_int_equal(rdt_output(a, FRAMES_NOW, &d), 1);
	assert_int_equal(frames_feed(b, buf, frames_flat(&d, buf)), RDT_EV_READABLE);
	rdt_write(b, "y", 1);
	assert_int_equal(rdt_output(b, FRAMES_NOW + 20 * SIM_SEC, &d), 1);
	assert_int_equal(rdt_frame_parse(buf, frames_flat(&d, buf), &f), 0);
	assert_int_equal(f.ack_delay_us, UINT16_MAX);
	assert_true(rdt_input(a, FRAMES_NOW + 20 * SIM_SEC, &f, NULL) >= 0);
	rdt_stats(a, &st);
	assert_int_equal(st.acked_packets, 1);
	assert_int_equal(st.srtt, 0);
	rdt_conn_destroy(a);
	rdt_conn_destroy(b);
}

/*
 * A packet given up without anything else in flight waits no more: the next one, a minute later, begins a
 * silence of its own, or its connection would count as dead before an answer can come.
 */
static void new_silence(void **state)
{
	struct rdt_conn *a = frames_conn(&frames_a), *b = frames_conn(&frames_b);
	uint64_t now = FRAMES_NOW;
	struct rdt_datagram d;
	struct rdt_stats st;
	struct rdt_frame f;
	uint8_t buf[2048];

	(void)state;
	rdt_write(a, "x", 1);
	assert_int_equal(rdt_output(a, now, &d), 1); /* lost */
	now = rdt_next_timeout(a);
	rdt_on_timeout(a, now);
	while (rdt_output(a, now, &d))
		assert_true(frames_feed(b, buf, frames_flat(&d, buf)) >= 0);
	assert_int_equal(rdt_output(b, FRAMES_NOW, &d), 1);
	assert_int_equal(rdt_frame_parse(buf, frames_flat(&d, buf), &f), 0);
	now += 50 * SIM_MS;
	assert_true(rdt_input(a, now, &f, NULL) >= 0);
	rdt_stats(a, &st);
	assert_int_equal(st.lost_packets, 1);
	assert_int_equal(st.waiting_since, 0);
	now += 60 * SIM_SEC;
	rdt_probe(a);
	assert_int_equal(rdt_output(a, now, &d), 1);
	rdt_stats(a, &st);
	assert_int_equal(st.waiting_since, now);
	rdt_conn_destroy(a);
	rdt_conn_destroy(b);
}

/* Damaged copies of real frames and plain noise: never a crash, and the stream stays what it is. */
static void noise(void **state)
{
	struct rdt_conn *end[2] = { frames_conn(&frames_a), frames_conn(&frames_b) };
	struct sim_rng rng = { 99 };
	uint64_t wrote[2] = { 0 }, got[2] = { 0 };
	uint8_t buf[2048], junk[2048];

	(void)state;
	for (int step = 0; step < 20000; step++) {
		int me = sim_below(&rng, 2);
		struct rdt_datagram d;
		struct iovec iov[2];
		int k;

		wrote[me] += rdt_write(end[me], sim_pattern(wrote[me]), sim_below(&rng, 3000));
		while (rdt_output(end[me], FRAMES_NOW + step * SIM_MS, &d)) {
			size_t n = frames_flat(&d, buf);
			struct rdt_frame f;

			/* Noise a checksum would have caught; only kinds that cannot carry stream bytes. */
			memcpy(junk, buf, n);
			for (k = 1 + sim_below(&rng, 3); k; k--)
				junk[sim_below(&rng, 4)] = sim_rand(&rng);
			if (sim_chance(&rng, 0.5))
				for (size_t i = 0; i < n; i++)
					junk[i] = sim_rand(&rng);
			if (sim_chance(&rng, 0.3))
				junk[0] = HK_WIRE_VERSION << 4 | (1 + sim_below(&rng, 5));
			if (!rdt_frame_parse(junk, n, &f) && f.kind == HK_FRAME_ACK)
				rdt_input(end[!me], FRAMES_NOW + step * SIM_MS, &f, NULL);
			rdt_frame_parse(junk, sim_below(&rng, n + 1), &f);
			if (sim_chance(&rng, 0.9)) {
				assert_int_equal(rdt_frame_parse(buf, n, &f), 0);
				assert_true(rdt_input(end[!me], FRAMES_NOW + step * SIM_MS, &f,
						      NULL) >= 0);
			}
		}
		rdt_on_timeout(end[me], FRAMES_NOW + step * SIM_MS);
		k = rdt_read_vec(end[me], iov);
		for (int i = 0; i < k; i++) {
			size_t len = iov[i].iov_len < SIM_PATTERN ? iov[i].iov_len : SIM_PATTERN;

			assert_memory_equal(iov[i].iov_base, sim_pattern(got[me]), len);
			rdt_consume(end[me], FRAMES_NOW + step * SIM_MS, len);
			got[me] += len;
			if (len < iov[i].iov_len)
				break;
		}
	}
	assert_true(got[0] > 1000000 && got[1] > 1000000);
	rdt_conn_destroy(end[0]);
	rdt_conn_destroy(end[1]);
}

/* Frames of the right connection with random fields: refused or harmless, no promise broken. */
static void hostile_peer(void **state)
{
	struct sim_rng rng = { 5 };

	(void)state;
	for (int run = 0; run < 300; run++) {
		struct rdt_conn *c = frames_conn(&frames_b);
		struct rdt_datagram d;

		for (int i = 0; i < 200; i++) {
			struct hk_frame h;
			uint8_t buf[1472];
			size_t len = sim_below(&rng, 1000);

			rdt_write(c, sim_pattern(0), sim_below(&rng, 2000));
			rdt_frame_identity(&h, &frames_a);
			h.version_kind = HK_WIRE_VERSION << 4 | (1 + sim_below(&rng, 5));
			h.flags_code = sim_below(&rng, 2) | (sim_chance(&rng, 0.01) ? 0x10 : 0);
			if ((h.version_kind & 15) == HK_FRAME_ACK)
				len = 8 * sim_below(&rng, 4);
			if ((h.version_kind & 15) == HK_FRAME_RESET)
				len = 0;
			h.len = htobe16(len);
			h.pn = htobe32(sim_below(&rng, 300) *
				       (sim_chance(&rng, 0.02) ? 1 << 24 : 1));
			h.least = htobe32(sim_below(&rng, 300));
			h.offset =
				htobe64(sim_below(&rng, sim_chance(&rng, 0.1) ? 1 << 23 : 20000));
			h.cum = htobe64(sim_below(&rng, sim_chance(&rng, 0.1) ? 1 << 23 : 5000));
			h.window = htobe32(sim_rand(&rng));
			h.ack_largest = htobe32(sim_below(&rng, 50));
			h.ack_first = htobe16(sim_below(&rng, 20));
			memcpy(buf, &h, sizeof(h));
			for (size_t k = 0; k < len; k++)
				buf[64 + k] = sim_below(&rng, 3) ? 0 : sim_rand(&rng);
			frames_feed(c, buf, 64 + len);
			while (rdt_output(c, FRAMES_NOW + i * SIM_MS, &d))
				frames_flat(&d, buf);
			rdt_on_timeout(c, FRAMES_NOW + i * SIM_MS);
			assert_true(c->highest - c->read_off <= c->cfg.recv_buffer);
			assert_true(c->una <= c->sent_end && c->sent_end <= c->write_end);
			rdt_consume(c, FRAMES_NOW, sim_below(&rng, 5000));
		}
		rdt_conn_destroy(c);
	}
}

static void sum_fresh(void *ctx, uint64_t first, uint64_t end)
{
	*(uint64_t *)ctx += end - first;
}

/* The range set against a plain bitmap. */
static void ranges(void **state)
{
	struct sim_rng rng = { 3 };

	(void)state;
	for (int run = 0; run < 300; run++) {
		uint8_t map[512] = { 0 };
		struct rdt_ranges s;

		rdt_ranges_init(&s, 40);
		for (int i = 0; i < 100; i++) {
			uint64_t first = sim_below(&rng, 500),
				 end = first + 1 + sim_below(&rng, 12);
			uint64_t fresh = 0, want = 0;
			int err = rdt_ranges_insert(&s, first, end, sum_fresh, &fresh);

			for (uint64_t v = first; v < end && !err; v++) {
				want += !map[v];
				map[v] = 1;
			}
			assert_int_equal(fresh, want);
			assert_true(!err || (err == -ENOSPC && s.n == 40));
			if (sim_chance(&rng, 0.05)) {
				uint64_t floor = sim_below(&rng, 100);

				rdt_ranges_prune(&s, floor);
				memset(map, 0, floor);
			}
			if (sim_chance(&rng, 0.05) && s.n) {
				struct rdt_range *r = rdt_ranges_at(&s, 0);

				memset(map + r->first, 0, r->end - r->first);
				rdt_ranges_pop_front(&s);
			}
		}
		for (int v = 0; v < 512; v++)
			assert_int_equal(!!rdt_ranges_contains(&s, v), map[v]);
		for (int i = 1; i < s.n; i++)
			assert_true(rdt_ranges_at(&s, i - 1)->end < rdt_ranges_at(&s, i)->first);
		rdt_ranges_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overlaps),
		cmocka_unit_test(announces_credit),
		cmocka_unit_test(old_acknowledgement),
		cmocka_unit_test(new_silence),
		cmocka_unit_test(noise),
		cmocka_unit_test(hostile_peer),
		cmocka_unit_test(ranges),
	};
	struct sim s;

	sim_init(&s, 1); /* fills the pattern */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rdt input", tests, NULL, NULL);
}
