// links: hooker/rules/parse.c
// libs: -lbpf
// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "hooker/rules/rules.h"

static char error[256];

static int parse(struct hk_rules *rules, const char *text)
{
	error[0] = 0;
	return hk_rules_parse(rules, text, "file", HK_DATAPATH_KERNEL, error, sizeof(error));
}

static void reads_every_word(void **state)
{
	struct hk_rules rules;
	const struct hk_rule *rule = rules.rule;

	(void)state;
	assert_int_equal(parse(&rules,
			       "# comment\n\n"
			       "remote 10.1.2.3/8 remote-port 443 use udplite accept-damage\n"
			       "\tremote fd00:1:2::/40 local-port 22 use tcp # why\n"
			       "cgroup /sys/fs/cgroup/web use udp\n"
			       "use udp"),
			 0);
	assert_int_equal(rules.count, 4);
	assert_int_equal(rule[0].remote_ip[3], htonl(0x0a000000));
	assert_int_equal(rule[0].remote_ip[2], htonl(0xffff));
	assert_int_equal(rule[0].remote_mask[3], htonl(0xff000000));
	assert_int_equal(rule[0].remote_mask[0], 0xffffffff);
	assert_int_equal(rule[0].remote_port, 443);
	assert_int_equal(rule[0].transport, HK_TRANSPORT_UDPLITE);
	assert_int_equal(rule[0].coverage, 24);
	assert_int_equal(rule[0].damage, 1);
	assert_int_equal(rule[1].remote_ip[0], htonl(0xfd000001));
	assert_int_equal(rule[1].remote_ip[1], 0);
	assert_int_equal(rule[1].remote_mask[1], htonl(0xff000000));
	assert_int_equal(rule[1].local_port, 22);
	assert_int_equal(rule[1].datapath, HK_DATAPATH_NONE);
	assert_string_equal(rules.cgroup[2], "/sys/fs/cgroup/web");
	assert_null(rules.cgroup[3]);
	assert_int_equal(rule[3].remote_mask[3], 0);
	assert_int_equal(rule[3].datapath, HK_DATAPATH_KERNEL);
	assert_true(hk_rules_want_damage(&rules));
	hk_rules_free(&rules);
}

static void takes_an_empty_list(void **state)
{
	struct hk_rules rules;

	(void)state;
	assert_int_equal(parse(&rules, ""), 0);
	assert_int_equal(rules.count, 0);
	assert_false(hk_rules_want_damage(&rules));
}

static void names_the_line(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{ "use udp\nremote 10.0.0.0/33 use tcp\n",
		  "file:2: '10.0.0.0/33' is not an address or prefix" },
		{ "remote fd00::/129 use tcp", "file:1: 'fd00::/129' is not an address or prefix" },
		{ "remote host use tcp", "file:1: 'host' is not an address or prefix" },
		{ "remote-port 0 use tcp", "file:1: '0' is not a port" },
		{ "local-port 65536 use tcp", "file:1: '65536' is not a port" },
		{ "\n\nuse sctp", "file:3: use what? tcp, udp or udplite, not 'sctp'" },
		{ "use", "file:1: 'use' is no word of a rule, or lacks its value" },
		{ "colour red use udp", "file:1: 'colour' is no word of a rule" },
		{ "remote-port 80", "file:1: a rule needs `use tcp`, `use udp` or `use udplite`" },
		{ "coverage 24 use udplite", "file:1: only the relay has a choice of coverage" },
		{ "coverage 7 use udplite", "file:1: coverage is 0 or 8 to 65535, not '7'" },
	};
	struct hk_rules rules;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(&rules, bad[i].text), -EINVAL);
		assert_string_equal(error, bad[i].error);
	}
}

static void counts_rules(void **state)
{
	char text[(HK_RULES_MAX + 1) * 8 + 1] = "";
	struct hk_rules rules;
	int i;

	(void)state;
	for (i = 0; i < HK_RULES_MAX; i++)
		strcat(text, "use udp\n");
	assert_int_equal(parse(&rules, text), 0);
	assert_int_equal(rules.count, HK_RULES_MAX);
	strcat(text, "use udp\n");
	assert_int_equal(parse(&rules, text), -EINVAL);
	assert_string_equal(error, "file:65: more than 64 rules");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_word),
		cmocka_unit_test(takes_an_empty_list),
		cmocka_unit_test(names_the_line),
		cmocka_unit_test(counts_rules),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
