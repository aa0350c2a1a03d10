// links: hooker/rdt/*.c
// SPDX-License-Identifier: GPL-2.0
/* Without recovery: what is lost stays lost, nothing waits for it, and nothing is acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hooker/rdt/rdt.h"

#define NOW   1000000000ull
#define BYTES 100000

static const struct rdt_identity id_a = { { 1, 2, 40000, 80 }, 11, 22 };
static const struct rdt_identity id_b = { { 2, 1, 80, 40000 }, 22, 11 };

struct ends {
	struct rdt_conn *a, *b;
	uint8_t sent[BYTES], got[BYTES];
	size_t got_len;
	unsigned int frames, replies;
};

static struct rdt_conn *open_end(const struct rdt_identity *id)
{
	struct rdt_config cfg;
	struct rdt_conn *conn;

	rdt_config_default(&cfg);
	cfg.no_recovery = true;
	conn = rdt_conn_create(&cfg, id, NULL, NOW);
	assert_non_null(conn);
	return conn;
}

/* All that a has goes to b, except frame number @lost. @refuse: the application takes nothing yet. */
static void run(struct ends *e, unsigned int lost, bool refuse)
{
	uint8_t flat[2048];
	struct rdt_datagram d;
	struct rdt_frame f;
	struct iovec direct, vec[2];

	while (rdt_output(e->a, NOW, &d) > 0) {
		size_t len = 0;

		for (int i = 0; i < d.niov; len += d.iov[i++].iov_len)
			memcpy(flat + len, d.iov[i].iov_base, d.iov[i].iov_len);
		if (++e->frames == lost)
			continue;
		assert_int_equal(rdt_frame_parse(flat, len, &f), 0);
		if (!(rdt_input(e->b, NOW, &f, &direct) & RDT_EV_DIRECT))
			continue;
		if (!refuse) {
			memcpy(e->got + e->got_len, direct.iov_base, direct.iov_len);
			e->got_len += direct.iov_len;
		}
		rdt_direct_done(e->b, NOW, &direct, 1, refuse ? 0 : direct.iov_len);
	}
	for (int n; !refuse && (n = rdt_read_vec(e->b, vec)) > 0;)
		for (int i = 0; i < n; i++) {
			memcpy(e->got + e->got_len, vec[i].iov_base, vec[i].iov_len);
			e->got_len += vec[i].iov_len;
			rdt_consume(e->b, NOW, vec[i].iov_len);
		}
	while (rdt_output(e->b, NOW, &d) > 0)
		e->replies++;
}

static struct ends *start(void)
{
	struct ends *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	e->a = open_end(&id_a);
	e->b = open_end(&id_b);
	for (int i = 0; i < BYTES; i++)
		e->sent[i] = i * 7 + i / 256;
	assert_int_equal(rdt_write(e->a, e->sent, BYTES), BYTES);
	assert_int_equal(rdt_finish(e->a, HK_CODE_OK), 0);
	return e;
}

static void stop(struct ends *e)
{
	assert_int_equal(e->replies, 0);
	assert_int_equal(rdt_next_timeout(e->a), RDT_NEVER);
	rdt_conn_destroy(e->a);
	rdt_conn_destroy(e->b);
	free(e);
}

static void all_arrives(void **state)
{
	struct ends *e = start();

	(void)state;
	run(e, 0, false);
	assert_int_equal(e->got_len, BYTES);
	assert_memory_equal(e->got, e->sent, BYTES);
	assert_true(rdt_delivered_all(e->b));
	stop(e);
}

static void refused_bytes_wait(void **state)
{
	struct ends *e = start();

	(void)state;
	run(e, 0, true);
	assert_int_equal(rdt_readable(e->b), BYTES);
	assert_false(rdt_delivered_all(e->b));
	run(e, 0, false);
	assert_memory_equal(e->got, e->sent, BYTES);
	assert_true(rdt_delivered_all(e->b));
	stop(e);
}

static void a_hole_stays(void **state)
{
	struct ends *e = start();

	(void)state;
	run(e, 3, false);
	assert_int_equal(e->got_len, BYTES - (1472 - 64));
	assert_memory_equal(e->got, e->sent, 2 * (1472 - 64));
	assert_memory_equal(e->got + 2 * (1472 - 64), e->sent + 3 * (1472 - 64), 1472 - 64);
	assert_false(rdt_received_all(e->b));
	rdt_write_off(e->b);
	assert_true(rdt_delivered_all(e->b));
	stop(e);
}

static void a_reset_is_said_once(void **state)
{
	struct ends *e = start();

	(void)state;
	rdt_abort(e->a, HK_CODE_RST);
	run(e, 0, false);
	assert_int_equal(e->frames, 1);
	assert_int_equal(rdt_reset_code(e->b), HK_CODE_RST);
	assert_int_equal(rdt_state(e->a, NOW), RDT_CLOSED);
	stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_arrives),
		cmocka_unit_test(refused_bytes_wait),
		cmocka_unit_test(a_hole_stays),
		cmocka_unit_test(a_reset_is_said_once),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
