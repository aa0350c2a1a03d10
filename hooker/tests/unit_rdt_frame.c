// links: hooker/tests/rdt_sim.c hooker/tests/rdt_sim_link.c hooker/tests/rdt_sim_end.c hooker/tests/rdt_frames.c hooker/rdt/*.c
// SPDX-License-Identifier: GPL-2.0
/* The wire form: what is accepted, and what is refused and why. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hooker/tests/rdt_frames.h"

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
	size_t n = frames_sample(buf);

	(void)state;
	assert_int_equal(n, sizeof(expect));
	assert_memory_equal(buf, expect, n);
	assert_int_equal(rdt_frame_parse(buf, n, &f), 0);
	assert_memory_equal(&f.id, &frames_b, sizeof(frames_b));
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
	size_t n = frames_sample(good);

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

	rdt_frame_identity(&h, &frames_b);
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

/* Well-formed, but not for this connection or not possible in it. */
static void impossible(void **state)
{
	struct rdt_conn *b = frames_conn(&frames_b);
	uint8_t good[256], buf[256];
	struct rdt_stats st;
	uint64_t final;
	size_t n = frames_sample(good);

	(void)state;
	for (int at = 4; at < 28; at++) { /* any other key or ISN is somebody else's */
		memcpy(buf, good, n);
		buf[at] ^= 1;
		assert_int_equal(RDT_BAD(frames_feed(b, buf, n)), RDT_BAD_IDENTITY);
	}
	memcpy(buf, good, n);
	buf[1] |= HK_FRAME_F_ACK;
	buf[59] = 1;
	assert_int_equal(RDT_BAD(frames_feed(b, buf, n)), RDT_BAD_ACK); /* b has sent nothing */
	memcpy(buf, good, n);
	frames_put64(buf + 44, 1);
	assert_int_equal(RDT_BAD(frames_feed(b, buf, n)), RDT_BAD_ACK);
	memcpy(buf, good, n);
	frames_put64(buf + 36, (4 << 20) - 4);
	assert_int_equal(RDT_BAD(frames_feed(b, buf, n)), RDT_BAD_CREDIT);
	frames_put64(buf + 36, (4 << 20) - 5);
	assert_int_equal(frames_feed(b, buf, n), 0); /* just fits, waits for what is before it */
	memcpy(buf, good, n);
	buf[0] = 0x12;
	buf[31] = 2;
	assert_int_equal(RDT_BAD(frames_feed(b, buf, n)), RDT_BAD_END); /* END before known bytes */
	assert_false(rdt_end_known(b, &final));
	rdt_stats(b, &st);
	assert_int_equal(st.refused[RDT_BAD_IDENTITY], 24);
	assert_int_equal(st.refused[RDT_BAD_ACK], 2);
	assert_int_equal(st.refused[RDT_BAD_CREDIT], 1);
	assert_int_equal(st.refused[RDT_BAD_END], 1);
	assert_int_equal(rdt_received(b), 0);
	rdt_conn_destroy(b);
}

static void stateless(void **state)
{
	struct rdt_conn *a = frames_conn(&frames_a);
	struct rdt_datagram d;
	struct rdt_frame f;
	uint8_t buf[2048];
	size_t n = frames_sample(buf);

	(void)state;
	rdt_write(a, "hello", 5);
	assert_int_equal(rdt_output(a, FRAMES_NOW, &d), 1);
	assert_int_equal(rdt_frame_parse(buf, n, &f), 0);
	assert_int_equal(rdt_stateless_reset(&f, &d), 1);
	n = frames_flat(&d, buf);
	assert_int_equal(rdt_frame_parse(buf, n, &f), 0);
	assert_int_equal(rdt_input(a, FRAMES_NOW, &f, NULL), RDT_EV_RESET);
	assert_int_equal(rdt_reset_code(a), HK_CODE_UNKNOWN);
	assert_int_equal(rdt_write(a, "x", 1), -EPIPE);
	assert_int_equal(rdt_stateless_reset(&f, &d), 0);	 /* a RESET is not answered */
	assert_int_equal(rdt_input(a, FRAMES_NOW, &f, NULL), 0); /* told once */
	rdt_conn_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),     cmocka_unit_test(malformed),
		cmocka_unit_test(ack_ranges), cmocka_unit_test(impossible),
		cmocka_unit_test(stateless),
	};
	struct sim s;

	sim_init(&s, 1); /* fills the pattern */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rdt frames", tests, NULL, NULL);
}
