// links: hooker/tests/rdt_sim.c hooker/rdt/*.c
// SPDX-License-Identifier: GPL-2.0
/* The wire form: what is accepted, what is refused and why, and that junk changes nothing. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hooker/tests/rdt_sim.h"

#define NOW (5 * SIM_SEC)

static const struct rdt_identity id_a = { .key = { 0x0100000a, 0x0200000a, 40000, 80 },
					  .local_isn = 0x11223344,
					  .remote_isn = 0x55667788 };
static const struct rdt_identity id_b = { .key = { 0x0200000a, 0x0100000a, 80, 40000 },
					  .local_isn = 0x55667788,
					  .remote_isn = 0x11223344 };

static struct rdt_conn *conn(const struct rdt_identity *id)
{
	struct rdt_config cfg;
	struct rdt_conn *c;

	rdt_config_default(&cfg);
	c = rdt_conn_create(&cfg, id, NULL, NOW);
	assert_non_null(c);
	return c;
}

static size_t flat(const struct rdt_datagram *d, uint8_t *buf)
{
	size_t n = 0;

	for (int i = 0; i < d->niov; i++) {
		memcpy(buf + n, d->iov[i].iov_base, d->iov[i].iov_len);
		n += d->iov[i].iov_len;
	}
	assert_int_equal(n, d->len);
	return n;
}

/* A valid DATA frame of 5 bytes from a to b, as bytes. */
static size_t sample(uint8_t *buf)
{
	struct rdt_conn *a = conn(&id_a);
	struct rdt_datagram d;
	size_t n;

	assert_int_equal(rdt_write(a, "hello", 5), 5);
	assert_int_equal(rdt_output(a, NOW, &d), 1);
	n = flat(&d, buf);
	rdt_conn_destroy(a);
	return n;
}

static void layout(void **state)
{
	static const uint8_t expect[] = { 0x11, 0x00, 0x00, 0x05, 10,	0,    0,    1,	  10, 0,
					  0,	2,    0,    0,	  0x9c, 0x40, 0,    0,	  0,  80,
					  0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0,  0,
					  0,	1,    0,    0,	  0,	1,    0,    0,	  0,  0,
					  0,	0,    0,    0,	  0,	0,    0,    0,	  0,  0,
					  0,	0,    0,    0x40, 0,	0,    0,    0,	  0,  0,
					  0,	0,    0,    0,	  'h',	'e',  'l',  'l',  'o' };
	uint8_t buf[2048];
	struct rdt_frame f;
	size_t n = sample(buf);

	(void)state;
	assert_int_equal(n, sizeof(expect));
	assert_memory_equal(buf, expect, n);
	assert_int_equal(rdt_frame_parse(buf, n, &f), 0);
	assert_memory_equal(&f.id, &id_b, sizeof(id_b));
	assert_int_equal(f.kind, HK_FRAME_DATA);
	assert_int_equal(f.pn, 1);
	assert_int_equal(f.len, 5);
	assert_int_equal(f.window, 4 << 20);
	assert_false(f.has_ack);
	assert_int_equal(rdt_frame_size(buf, 3), 0);
	assert_int_equal(rdt_frame_size(buf, 4), n);
}

struct bad_case {
	int at, reason;
	uint8_t value;
	int cut; /* bytes taken off the end */
};

static void malformed(void **state)
{
	static const struct bad_case cases[] = {
		{ 0, RDT_BAD_VERSION, 0x21, 0 },
		{ 0, RDT_BAD_KIND, 0x10, 0 },
		{ 0, RDT_BAD_KIND, 0x16, 0 },
		{ 0, RDT_BAD_LENGTH, 0x14, 0 }, /* RESET without code */
		{ 1, RDT_BAD_FLAGS, 0x02, 0 },
		{ 1, RDT_BAD_FLAGS, 0x10, 0 },
		{ 1, RDT_BAD_FLAGS, 0x80, 0 },
		{ 3, RDT_BAD_LENGTH, 6, 0 },
		{ 3, RDT_BAD_LENGTH, 4, 0 },
		{ 3, RDT_BAD_LENGTH, 0, 0 },
		{ 3, RDT_BAD_LENGTH, 0, 5 },
		{ 36, RDT_BAD_NUMBER, 0x80, 0 },
		{ 44, RDT_BAD_NUMBER, 0x80, 0 },
		{ 0, RDT_BAD_SHORT, 0x11, 6 },
	};
	uint8_t good[2048], buf[2048];
	struct rdt_frame f;
	size_t n = sample(good);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct bad_case *b = &cases[i];
		int want = b->reason, got;

		memcpy(buf, good, n);
		buf[b->at] = b->value;
		if (b->at == 0 && b->value == 0x14)
			want = RDT_BAD_FLAGS;
		got = RDT_BAD(rdt_frame_parse(buf, n - b->cut, &f));
		if (got != want)
			print_error("case %zu: %s instead of %s\n", i, rdt_bad_name(got),
				    rdt_bad_name(want));
		assert_int_equal(got, want);
	}
	for (size_t len = 0; len < n; len++)
		assert_true(rdt_frame_parse(good, len, &f) < 0);
	good[0] = 0x21;
	assert_int_equal(RDT_BAD(rdt_frame_size(good, 64)), RDT_BAD_VERSION);
}

static size_t make_ack(uint8_t *buf, uint32_t largest, uint16_t first, const uint32_t *pairs, int n)
{
	struct hk_frame h;

	rdt_frame_identity(&h, &id_b);
	h.version_kind = HK_WIRE_VERSION << 4 | HK_FRAME_ACK;
	h.flags_code = HK_FRAME_F_ACK;
	h.len = htobe16(n * 8);
	h.ack_largest = htobe32(largest);
	h.ack_first = htobe16(first);
	h.window = htobe32(4 << 20);
	memcpy(buf, &h, sizeof(h));
	for (int i = 0; i < 2 * n; i++) {
		uint32_t v = htobe32(pairs[i]);

		memcpy(buf + sizeof(h) + 4 * i, &v, 4);
	}
	return sizeof(h) + 8 * n;
}

static void ack_ranges(void **state)
{
	static const uint32_t fine[] = { 5, 7, 2, 3 }, touching[] = { 5, 8 },
			      rising[] = { 2, 3, 5, 7 }, inside_out[] = { 7, 5 };
	uint8_t buf[256];
	struct rdt_frame f;

	(void)state;
	assert_int_equal(rdt_frame_parse(buf, make_ack(buf, 10, 1, fine, 2), &f), 0);
	assert_int_equal(rdt_frame_parse(buf, make_ack(buf, 10, 1, touching, 1), &f),
			 -1000 - RDT_BAD_RANGES);
	assert_int_equal(rdt_frame_parse(buf, make_ack(buf, 10, 1, rising, 2), &f),
			 -1000 - RDT_BAD_RANGES);
	assert_int_equal(rdt_frame_parse(buf, make_ack(buf, 10, 1, inside_out, 1), &f),
			 -1000 - RDT_BAD_RANGES);
	make_ack(buf, 10, 1, fine, 1);
	buf[3] = 7;
	assert_int_equal(rdt_frame_parse(buf, 71, &f), -1000 - RDT_BAD_LENGTH);
}

static int feed(struct rdt_conn *c, const uint8_t *buf, size_t len)
{
	struct rdt_frame f;
	int err = rdt_frame_parse(buf, len, &f);

	return err ? err : rdt_input(c, NOW, &f, NULL);
}

static void put64(uint8_t *at, uint64_t v)
{
	v = htobe64(v);
	memcpy(at, &v, 8);
}

/* Well-formed, but not for this connection or not possible in it. */
static void impossible(void **state)
{
	struct rdt_conn *b = conn(&id_b);
	uint8_t good[256], buf[256];
	struct rdt_stats st;
	uint64_t final;
	size_t n = sample(good);

	(void)state;
	for (int at = 4; at < 28; at++) { /* any other key or ISN is somebody else's */
		memcpy(buf, good, n);
		buf[at] ^= 1;
		assert_int_equal(RDT_BAD(feed(b, buf, n)), RDT_BAD_IDENTITY);
	}
	memcpy(buf, good, n);
	buf[1] |= HK_FRAME_F_ACK;
	buf[59] = 1;
	assert_int_equal(RDT_BAD(feed(b, buf, n)), RDT_BAD_ACK); /* b has sent nothing */
	memcpy(buf, good, n);
	put64(buf + 44, 1);
	assert_int_equal(RDT_BAD(feed(b, buf, n)), RDT_BAD_ACK);
	memcpy(buf, good, n);
	put64(buf + 36, (4 << 20) - 4);
	assert_int_equal(RDT_BAD(feed(b, buf, n)), RDT_BAD_CREDIT);
	put64(buf + 36, (4 << 20) - 5);
	assert_int_equal(feed(b, buf, n), 0); /* just fits, waits for what is before it */
	memcpy(buf, good, n);
	buf[0] = 0x12;
	buf[31] = 2;
	assert_int_equal(RDT_BAD(feed(b, buf, n)), RDT_BAD_END); /* END before known bytes */
	assert_false(rdt_end_known(b, &final));
	rdt_stats(b, &st);
	assert_int_equal(st.refused[RDT_BAD_IDENTITY], 24);
	assert_int_equal(st.refused[RDT_BAD_ACK], 2);
	assert_int_equal(st.refused[RDT_BAD_CREDIT], 1);
	assert_int_equal(st.refused[RDT_BAD_END], 1);
	assert_int_equal(rdt_received(b), 0);
	rdt_conn_destroy(b);
}

/* Overlapping pieces, as after a change of datagram size, and repetitions: each byte once, in place. */
static void overlaps(void **state)
{
	static const int pieces[][2] = { { 0, 10 }, { 5, 20 },	{ 40, 60 }, { 30, 50 },
					 { 0, 20 }, { 15, 35 }, { 55, 80 }, { 70, 75 } };
	static const int have[] = { 10, 20, 20, 20, 20, 60, 80, 80 };
	struct rdt_conn *b = conn(&id_b);
	struct iovec iov[2];
	struct rdt_stats st;
	uint8_t buf[256];

	(void)state;
	for (int i = 0; i < 8; i++) {
		int from = pieces[i][0], len = pieces[i][1] - from;

		for (int twice = 0; twice < 2; twice++) {
			sample(buf);
			buf[3] = len;
			buf[31] = i + 1;
			put64(buf + 36, from);
			memcpy(buf + 64, sim_pattern(from), len);
			assert_true(feed(b, buf, 64 + len) >= 0);
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
	struct rdt_conn *b = conn(&id_b);
	struct rdt_datagram d;
	struct rdt_frame f;
	uint8_t buf[2048];
	uint64_t off = 0;

	(void)state;
	sample(buf);
	for (uint32_t pn = 1; off < 4 << 20; pn++, off += 1024) {
		uint32_t be = htobe32(pn);

		buf[2] = 1024 >> 8;
		buf[3] = 0;
		memcpy(buf + 28, &be, 4);
		put64(buf + 36, off);
		assert_true(feed(b, buf, 64 + 1024) >= 0);
		while (rdt_output(b, NOW, &d))
			;
	}
	rdt_consume(b, NOW, 100);
	assert_int_equal(rdt_output(b, NOW, &d), 0);
	rdt_consume(b, NOW, 1 << 20);
	assert_true(rdt_next_timeout(b) <= NOW);
	assert_int_equal(rdt_output(b, NOW, &d), 1);
	assert_int_equal(rdt_frame_parse(buf, flat(&d, buf), &f), 0);
	assert_int_equal(f.kind, HK_FRAME_ACK);
	assert_int_equal(f.cum + f.window, (5 << 20) + 100);
	rdt_conn_destroy(b);
}

/* An acknowledgement held longer than its field can say is no measure of the round trip. */
static void old_acknowledgement(void **state)
{
	struct rdt_conn *a = conn(&id_a), *b = conn(&id_b);
	struct rdt_datagram d;
	struct rdt_stats st;
	struct rdt_frame f;
	uint8_t buf[2048];

	(void)state;
	rdt_write(a, "x", 1);
	assert_int_equal(rdt_output(a, NOW, &d), 1);
	assert_int_equal(feed(b, buf, flat(&d, buf)), RDT_EV_READABLE);
	rdt_write(b, "y", 1);
	assert_int_equal(rdt_output(b, NOW + 20 * SIM_SEC, &d), 1);
	assert_int_equal(rdt_frame_parse(buf, flat(&d, buf), &f), 0);
	assert_int_equal(f.ack_delay_us, UINT16_MAX);
	assert_true(rdt_input(a, NOW + 20 * SIM_SEC, &f, NULL) >= 0);
	rdt_stats(a, &st);
	assert_int_equal(st.acked_packets, 1);
	assert_int_equal(st.srtt, 0);
	rdt_conn_destroy(a);
	rdt_conn_destroy(b);
}

static void stateless(void **state)
{
	struct rdt_conn *a = conn(&id_a);
	struct rdt_datagram d;
	struct rdt_frame f;
	uint8_t buf[2048];
	size_t n = sample(buf);

	(void)state;
	rdt_write(a, "hello", 5);
	assert_int_equal(rdt_output(a, NOW, &d), 1);
	assert_int_equal(rdt_frame_parse(buf, n, &f), 0);
	assert_int_equal(rdt_stateless_reset(&f, &d), 1);
	n = flat(&d, buf);
	assert_int_equal(rdt_frame_parse(buf, n, &f), 0);
	assert_int_equal(rdt_input(a, NOW, &f, NULL), RDT_EV_RESET);
	assert_int_equal(rdt_reset_code(a), HK_CODE_UNKNOWN);
	assert_int_equal(rdt_write(a, "x", 1), -EPIPE);
	assert_int_equal(rdt_stateless_reset(&f, &d), 0); /* a RESET is not answered */
	assert_int_equal(rdt_input(a, NOW, &f, NULL), 0); /* told once */
	rdt_conn_destroy(a);
}

/* Damaged copies of real frames and plain noise: never a crash, and the stream stays what it is. */
static void noise(void **state)
{
	struct rdt_conn *end[2] = { conn(&id_a), conn(&id_b) };
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
		while (rdt_output(end[me], NOW + step * SIM_MS, &d)) {
			size_t n = flat(&d, buf);
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
				rdt_input(end[!me], NOW + step * SIM_MS, &f, NULL);
			rdt_frame_parse(junk, sim_below(&rng, n + 1), &f);
			if (sim_chance(&rng, 0.9)) {
				assert_int_equal(rdt_frame_parse(buf, n, &f), 0);
				assert_true(rdt_input(end[!me], NOW + step * SIM_MS, &f, NULL) >=
					    0);
			}
		}
		rdt_on_timeout(end[me], NOW + step * SIM_MS);
		k = rdt_read_vec(end[me], iov);
		for (int i = 0; i < k; i++) {
			size_t len = iov[i].iov_len < SIM_PATTERN ? iov[i].iov_len : SIM_PATTERN;

			assert_memory_equal(iov[i].iov_base, sim_pattern(got[me]), len);
			rdt_consume(end[me], NOW + step * SIM_MS, len);
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
		struct rdt_conn *c = conn(&id_b);
		struct rdt_datagram d;

		for (int i = 0; i < 200; i++) {
			struct hk_frame h;
			uint8_t buf[1472];
			size_t len = sim_below(&rng, 1000);

			rdt_write(c, sim_pattern(0), sim_below(&rng, 2000));
			rdt_frame_identity(&h, &id_a);
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
			feed(c, buf, 64 + len);
			while (rdt_output(c, NOW + i * SIM_MS, &d))
				flat(&d, buf);
			rdt_on_timeout(c, NOW + i * SIM_MS);
			assert_true(c->highest - c->read_off <= c->cfg.recv_buffer);
			assert_true(c->una <= c->sent_end && c->sent_end <= c->write_end);
			rdt_consume(c, NOW, sim_below(&rng, 5000));
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
		cmocka_unit_test(layout),
		cmocka_unit_test(malformed),
		cmocka_unit_test(ack_ranges),
		cmocka_unit_test(impossible),
		cmocka_unit_test(overlaps),
		cmocka_unit_test(announces_credit),
		cmocka_unit_test(old_acknowledgement),
		cmocka_unit_test(stateless),
		cmocka_unit_test(noise),
		cmocka_unit_test(hostile_peer),
		cmocka_unit_test(ranges),
	};
	struct sim s;

	sim_init(&s, 1); /* fills the pattern */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rdt frames", tests, NULL, NULL);
}
