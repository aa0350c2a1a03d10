// links: hooker/config/config.c hooker/config/settings.c hooker/rules/parse.c hooker/base/file.c hooker/base/log.c
// libs: -lbpf
// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <cmocka.h>

#include "hooker/config/config.h"
#include "hooker/config/settings.h"
#include "hooker/base/log.h"

static char path[] = "/tmp/unit_config.XXXXXX";
static struct hk_settings *settings;
static json_t *errors;

/* Reads @text as the file "path", after @given on the command line. */
static int read_text(const char *text, const struct hk_given *given, int given_count)
{
	struct hk_config_source source = { .path = path, .given_count = given_count };
	FILE *file = fopen(path, "w");
	int err;

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	if (given_count)
		memcpy(source.given, given, given_count * sizeof(*given));
	err = hk_config_read(&settings, &source, &errors);
	/* What the options point to must be the settings' own, not the source's. */
	memset(&source, 0xff, sizeof(source));
	return err;
}

static void done(void)
{
	hk_config_free(settings);
	settings = NULL;
	json_decref(errors);
	errors = NULL;
}

static void assert_errors(const char *const *expected)
{
	char line[512];
	size_t i;

	for (i = 0; expected[i]; i++) {
		snprintf(line, sizeof(line), "%s:%s", path, expected[i]);
		assert_string_equal(json_string_value(json_array_get(errors, i)) ?: "no error",
				    line);
	}
	assert_int_equal(json_array_size(errors), i);
}

static void reads_settings_and_rules(void **state)
{
	const struct hk_options *options;

	(void)state;
	assert_int_equal(read_text("# of the office\n"
				   "datapath kernel\n"
				   "\n"
				   "interface eth0 # the first\n"
				   "interface eth1\n"
				   "interface eth0\n"
				   "transport udplite\n"
				   "accept-damage\n"
				   "remember 7\n"
				   "remote 10.0.0.0/8 use tcp\n"
				   "log-level warning\n"
				   "busy-poll 0\n"
				   "loops 3\n"
				   "cgroup /sys/fs/cgroup use udp\n"
				   "cgroup /sys/fs/cgroup",
				   NULL, 0),
			 0);
	options = &settings->options;
	assert_int_equal(json_array_size(errors), 0);
	assert_int_equal(options->datapath, HK_DATAPATH_KERNEL);
	assert_int_equal(options->transport, HK_TRANSPORT_UDPLITE);
	assert_int_equal(options->interface_count, 2);
	assert_string_equal(options->interfaces[1], "eth1");
	assert_true(options->damage);
	assert_int_equal(options->path_ttl_s, 7);
	assert_int_equal(options->log_level, HK_LOG_WARN);
	assert_int_equal(options->busy_poll_us, 0);
	assert_int_equal(options->loops, 3);
	assert_string_equal(options->cgroup, "/sys/fs/cgroup");
	/* Rules keep their lines, for messages about them. */
	assert_string_equal(options->rules_text,
			    "\n\n\n\n\n\n\n\n\nremote 10.0.0.0/8 use tcp\n\n\n\n"
			    "cgroup /sys/fs/cgroup use udp\n\n");
	done();
}

static void names_every_fault(void **state)
{
	(void)state;
	assert_int_equal(read_text("datapath warp\n"
				   "transport udp udplite\n"
				   "remote 10.0.0.0/99 use tcp\n"
				   "colour red\n"
				   "accept-damage yes\n"
				   "remember 1\n"
				   "remember 2\n"
				   "local-port 99999 use udp\n"
				   "interface\n"
				   "coverage 7\n"
				   "memory 1M\n"
				   "metrics 9100\n"
				   "remote-port 80\n"
				   "busy-poll 1s\n"
				   "loops 0\n",
				   NULL, 0),
			 -EINVAL);
	assert_errors((const char *const[]){
		"1: datapath is relay|kernel|none, not 'warp'",
		"2: transport needs one value: udp|udplite",
		"4: 'colour' is no setting, and a rule needs `use tcp`, `use udp` or `use udplite`",
		"5: accept-damage takes no value",
		"7: remember was set in line 6 already",
		"9: interface needs one value: NAME",
		"10: coverage is 0 or 72 to 65535, not '7'",
		"11: memory is 4M or more, not '1M'",
		"12: metrics is ADDRESS:PORT|unix:PATH, not '9100'",
		"13: 'remote-port' is no setting, and a rule needs `use tcp`, `use udp` or `use udplite`",
		"14: busy-poll is 0 to 10000 microseconds, not '1s'",
		"15: loops is 1 to 16, not '0'",
		"3: '10.0.0.0/99' is not an address or prefix",
		"8: '99999' is not a port",
		NULL,
	});
	done();
}

static void looks_at_the_whole(void **state)
{
	(void)state;
	assert_int_equal(read_text("transport udplite\naccept-damage\n", NULL, 0), -EINVAL);
	assert_errors((const char *const[]){ "2: accept-damage is for the kernel datapath", NULL });
	done();
	assert_int_equal(read_text("connection-memory 8M\nmemory 4M\n", NULL, 0), -EINVAL);
	assert_errors((const char *const[]){ "2: memory is less than connection-memory", NULL });
	done();
	assert_int_equal(read_text("memory 9M\n", NULL, 0), -EINVAL);
	assert_errors((const char *const[]){
		"1: memory is less than connection-memory, which is 16M", NULL });
	done();
	assert_int_equal(read_text("connection-memory 4M\nmemory 9M\n", NULL, 0), 0);
	done();
	assert_int_equal(read_text("connection-memory 2G\n", NULL, 0), 0);
	done();
	assert_int_equal(read_text("connection-memory 2049M\n", NULL, 0), -EINVAL);
	assert_errors(
		(const char *const[]){ "1: connection-memory is 4M to 2G, not '2049M'", NULL });
	done();
	assert_int_equal(read_text("datapath kernel\nremote-port 1 use udplite coverage 20\n", NULL,
				   0),
			 -EINVAL);
	assert_errors((const char *const[]){ "2: only the relay has a choice of coverage", NULL });
	done();
	assert_int_equal(read_text("paper\nloops 2\n", NULL, 0), -EINVAL);
	assert_errors((const char *const[]){
		"2: paper has one redirection socket for all, and so one loop", NULL });
	done();
	assert_int_equal(read_text("receive tc\ndatapath none\n", NULL, 0), -EINVAL);
	assert_errors((const char *const[]){ "1: without a datapath nothing is received", NULL });
	done();
	assert_int_equal(read_text("receive tc\nremote-port 1 use udplite\n", NULL, 0), -EINVAL);
	assert_errors((const char *const[]){ "1: the relay receives UDP-Lite at XDP", NULL });
	done();
	assert_int_equal(read_text("receive tc\n", NULL, 0), 0);
	done();
}

static void the_command_line_comes_first(void **state)
{
	const struct hk_given given[] = {
		{ hk_setting_find("transport")->key, "udplite" },
		{ hk_setting_find("interface")->key, "wan0" },
		{ hk_setting_find("interface")->key, "wan1" },
	};

	(void)state;
	assert_int_equal(read_text("transport udp\ninterface eth0\n", given, 3), 0);
	assert_int_equal(settings->options.transport, HK_TRANSPORT_UDPLITE);
	assert_int_equal(settings->options.interface_count, 2);
	assert_string_equal(settings->options.interfaces[0], "wan0");
	done();
}

static void says_what_it_cannot_read(void **state)
{
	struct hk_config_source source = { .path = "/nonexistent/hooker.conf" };

	(void)state;
	assert_int_equal(hk_config_read(&settings, &source, &errors), -ENOENT);
	assert_string_equal(json_string_value(json_array_get(errors, 0)),
			    "can't read '/nonexistent/hooker.conf': No such file or directory");
	done();
}

static int set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 || close(fd);
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_settings_and_rules),
		cmocka_unit_test(names_every_fault),
		cmocka_unit_test(looks_at_the_whole),
		cmocka_unit_test(the_command_line_comes_first),
		cmocka_unit_test(says_what_it_cannot_read),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("config", tests, set_up, tear_down);
}
