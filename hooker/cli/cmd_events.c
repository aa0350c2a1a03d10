// SPDX-License-Identifier: GPL-2.0
/* hooker events: connections as they are established, fall back and end. */
#include "hooker/cli/command.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "hooker/state/control.h"
#include "hooker/base/log.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)key, (void)arg, (void)state;
	return ARGP_ERR_UNKNOWN;
}

const struct argp cmd_events_argp = {
	.parser = parse,
	.doc = "Follows the connections of this host: a line for each that is established, falls back to "
	       "TCP or ends, with the reason, until interrupted.",
};

static void print_event(const json_t *event)
{
	double at = hk_real(event, "time");
	time_t second = at;
	char clock[16], connection[128];
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&second, &tm));
	snprintf(connection, sizeof(connection), "%s:%lld %s %s:%lld",
		 hk_text(event, "local_address"), hk_number(event, "local_port"),
		 json_is_true(json_object_get(event, "client")) ? "->" : "<-",
		 hk_text(event, "remote_address"), hk_number(event, "remote_port"));
	printf("%s.%03d  %-11s  %-46s  %s  %s", clock, (int)((at - second) * 1000),
	       hk_text(event, "event"), connection, hk_text(event, "transport"),
	       hk_text(event, "reason"));
	if (!strcmp(hk_text(event, "event"), "ended"))
		printf("  %.3f s", hk_real(event, "age_s"));
	putchar('\n');
}

/* The reply itself is no event: it says that every event from now on follows. */
static int on_event(void *arg, const json_t *event)
{
	(void)arg;
	if (hk_json()) {
		json_dumpf(event, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
		putchar('\n');
	} else if (json_object_get(event, "event")) {
		print_event(event);
	}
	return fflush(stdout) ? -EPIPE : 0;
}

int cmd_events(int argc, char **argv)
{
	hk_parse(argc, argv, 0, NULL);
	if (hk_control_follow(json_pack("{s:s, s:b}", "command", "events", "follow", 1), on_event,
			      NULL))
		return HK_EXIT_FAILURE;
	hk_warn("Hooker has ended");
	return HK_EXIT_OK;
}
