// links: hooker/cli/flow_list.c hooker/base/json.c
// libs: -lbpf
// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "hooker/cli/command.h"
#include "hooker/cli/flow_list.h"
#include "hooker/state/sockets.h"

/* What hooker/state/sockets.c would say; here there is neither daemon nor kernel. */
struct hk_socket *hk_sockets_read(void)
{
	return NULL;
}

struct hk_socket *hk_sockets_find(struct hk_socket *sockets, uint64_t cookie)
{
	(void)sockets, (void)cookie;
	return NULL;
}

void hk_sockets_free(struct hk_socket *sockets)
{
	(void)sockets;
}

static json_t *flow(const char *remote, int port, const char *transport, int cookie, int bytes)
{
	return json_pack("{s:s, s:i, s:s, s:s, s:i, s:i, s:i, s:f}", "remote_address", remote,
			 "remote_port", port, "transport", transport, "reason", "negotiated",
			 "cookie", cookie, "tx_bytes", bytes, "rx_bytes", 0, "age_s",
			 (double)cookie);
}

static bool matches(const char *address, json_t *object)
{
	struct hk_flow_filter filter = { 0 };
	bool match;

	assert_int_equal(hk_flow_filter_address(&filter, address), 0);
	match = hk_flow_filter_match(&filter, object);
	json_decref(object);
	return match;
}

static void filters_by_address(void **state)
{
	(void)state;
	assert_true(matches("10.1.2.3", flow("10.1.2.3", 80, "udp", 1, 0)));
	assert_false(matches("10.1.2.3", flow("10.1.2.4", 80, "udp", 1, 0)));
	assert_true(matches("10.1.0.0/16", flow("10.1.2.4", 80, "udp", 1, 0)));
	assert_true(matches("10.1.2.0/23", flow("10.1.3.4", 80, "udp", 1, 0)));
	assert_false(matches("10.1.2.0/24", flow("10.1.3.4", 80, "udp", 1, 0)));
	assert_true(matches("10.1.2.3:80", flow("10.1.2.3", 80, "udp", 1, 0)));
	assert_false(matches("10.1.2.3:81", flow("10.1.2.3", 80, "udp", 1, 0)));
	assert_true(matches("fd00::/8", flow("fd12::1", 80, "udp", 1, 0)));
	assert_true(matches("[fd12::1]:80", flow("fd12::1", 80, "udp", 1, 0)));
	assert_false(matches("[fd12::1]:81", flow("fd12::1", 80, "udp", 1, 0)));
	assert_false(matches("fd00::/8", flow("10.1.2.3", 80, "udp", 1, 0)));
	assert_false(matches("0.0.0.0/0", flow("fd12::1", 80, "udp", 1, 0)));
	assert_true(matches("0.0.0.0/0", flow("10.1.2.3", 80, "udp", 1, 0)));
}

static void refuses_what_is_no_address(void **state)
{
	static const char *const bad[] = { "",		 "host",       "10.0.0.0/33", "10.0.0.0/",
					   "10.0.0.1:0", "10.0.0.1:x", "[::1",	      "::1/129" };
	struct hk_flow_filter filter;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(hk_flow_filter_address(&filter, bad[i]), -EINVAL);
}

static void selects_and_sorts(void **state)
{
	json_t *flows = json_pack("[o, o, o]", flow("10.0.0.1", 1, "udp", 1, 10),
				  flow("10.0.0.2", 2, "tcp", 2, 30),
				  flow("10.0.0.3", 3, "udp", 3, 20)),
	       *selected;
	struct hk_flow_filter all = { 0 }, udp = { .transport = "udp" };

	(void)state;
	selected = hk_flows_select(flows, &all, "bytes");
	assert_int_equal(json_array_size(selected), 3);
	assert_int_equal(hk_number(json_array_get(selected, 0), "cookie"), 2);
	assert_int_equal(hk_number(json_array_get(selected, 2), "cookie"), 1);
	json_decref(selected);
	selected = hk_flows_select(flows, &udp, "age"); /* the newest first */
	assert_int_equal(json_array_size(selected), 2);
	assert_int_equal(hk_number(json_array_get(selected, 0), "cookie"), 1);
	json_decref(selected);
	json_decref(flows);
	assert_true(hk_flow_column("goodput"));
	assert_false(hk_flow_column("colour"));
}

static void computes_goodput(void **state)
{
	json_t *before = json_pack("[o]", flow("10.0.0.1", 1, "udp", 4, 1000)),
	       *now = json_pack("[o, o]", flow("10.0.0.1", 1, "udp", 4, 3000),
				flow("10.0.0.1", 2, "udp", 5, 5000));

	(void)state;
	hk_flows_add_goodput(now, before, 2);
	assert_float_equal(hk_real(json_array_get(now, 0), "goodput_bps"), 8000, 0.1);
	/* Not there before: over its life of 5 seconds. */
	assert_float_equal(hk_real(json_array_get(now, 1), "goodput_bps"), 8000, 0.1);
	hk_flows_add_goodput(now, NULL, 0);
	assert_float_equal(hk_real(json_array_get(now, 0), "goodput_bps"), 6000, 0.1);
	json_decref(before);
	json_decref(now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_by_address),
		cmocka_unit_test(refuses_what_is_no_address),
		cmocka_unit_test(selects_and_sorts),
		cmocka_unit_test(computes_goodput),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("flow_list", tests, NULL, NULL);
}
