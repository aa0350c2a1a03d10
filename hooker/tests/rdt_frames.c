// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "hooker/tests/rdt_frames.h"

const struct rdt_identity frames_a = { .key = { 0x0100000a, 0x0200000a, 40000, 80 },
				       .local_isn = 0x11223344,
				       .remote_isn = 0x55667788 };
const struct rdt_identity frames_b = { .key = { 0x0200000a, 0x0100000a, 80, 40000 },
				       .local_isn = 0x55667788,
				       .remote_isn = 0x11223344 };

struct rdt_conn *frames_conn(const struct rdt_identity *id)
{
	struct rdt_config cfg;
	struct rdt_conn *c;

	rdt_config_default(&cfg);
	c = rdt_conn_create(&cfg, id, NULL, FRAMES_NOW);
	assert_non_null(c);
	return c;
}

size_t frames_flat(const struct rdt_datagram *d, uint8_t *buf)
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
size_t frames_sample(uint8_t *buf)
{
	struct rdt_conn *a = frames_conn(&frames_a);
	struct rdt_datagram d;
	size_t n;

	assert_int_equal(rdt_write(a, "hello", 5), 5);
	assert_int_equal(rdt_output(a, FRAMES_NOW, &d), 1);
	n = frames_flat(&d, buf);
	rdt_conn_destroy(a);
	return n;
}

int frames_feed(struct rdt_conn *c, const uint8_t *buf, size_t len)
{
	struct rdt_frame f;
	int err = rdt_frame_parse(buf, len, &f);

	return err ? err : rdt_input(c, FRAMES_NOW, &f, NULL);
}

void frames_put64(uint8_t *at, uint64_t v)
{
	v = htobe64(v);
	memcpy(at, &v, 8);
}
