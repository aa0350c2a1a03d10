// SPDX-License-Identifier: GPL-2.0
/* Hooker userspace: the main thread, with an event loop for the CLI, housekeeping and a part of the relay. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <event2/event.h>

#include "hooker/state/control.h"
#include "hooker/daemon/internal.h"
#include "hooker/daemon/journal.h"
#include "hooker/daemon/metrics.h"
#include "hooker/base/event_base.h"
#include "hooker/base/log.h"
#include "hooker/relay/relay.h"
#include "hooker/rules/rules.h"

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)fd, (void)what;
	event_base_loopbreak(daemon->base);
}

static void on_hangup(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	json_decref(reload(arg));
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)fd, (void)what;
	hk_attach_tick(daemon->attach);
}

static const struct {
	int signo;
	event_callback_fn act;
} signals[] = {
	{ SIGTERM, on_stop },
	{ SIGINT, on_stop },
	{ SIGHUP, on_hangup },
};

#define SIGNAL_COUNT (sizeof(signals) / sizeof(signals[0]))

static int open_rules(struct daemon *daemon)
{
	const struct hk_options *options = daemon->attach->options;
	char error[256];
	int err;

	if (!options->rules_text)
		return 0;
	err = use_rules(daemon, options->rules_text, options->rules_name, error, sizeof(error));
	if (err)
		hk_error("%s", error);
	return err;
}

static void on_fallback(void *arg, const struct sock_key *key, int reason)
{
	struct daemon *daemon = arg;

	hk_journal_fell_back(daemon->journal, key, reason);
}

static int open_relay(struct daemon *daemon)
{
	const struct hk_options *options = daemon->attach->options;
	struct hk_relay_options relay_options;

	if (!daemon->attach->relay)
		return 0;
	hk_relay_options_default(&relay_options);
	if (options->connection_memory)
		relay_options.connection_memory = options->connection_memory;
	relay_options.paper = options->paper;
	/* As published it would sleep. */
	relay_options.busy_poll_us = options->paper ? 0 : options->busy_poll_us;
	relay_options.on_fallback = on_fallback;
	relay_options.arg = daemon;
	if (options->memory)
		relay_options.memory = options->memory;
	return hk_relay_open(&daemon->relay, daemon->attach, daemon->base, &relay_options);
}

static int open_control(struct daemon *daemon)
{
	int err = hk_control_open(&daemon->control, daemon->base, answer_command, daemon);

	if (err == -EADDRINUSE)
		hk_error("another Hooker runs in this network namespace: see `hooker status`");
	else if (err)
		hk_error("can't open the control socket: %s", strerror(-err));
	return err;
}

static int daemon_open(struct daemon *daemon)
{
	const char *metrics = daemon->attach->options->metrics;
	int err;

	daemon->base = hk_event_base_new();
	if (!daemon->base)
		return -ENOMEM;
	err = open_rules(daemon);
	if (!err)
		err = open_relay(daemon);
	if (!err)
		err = open_control(daemon);
	if (!err)
		err = hk_journal_open(&daemon->journal, daemon->attach, daemon->base,
				      daemon->control);
	if (!err && metrics)
		err = hk_metrics_open(&daemon->metrics, daemon, metrics);
	return err;
}

static void daemon_close(struct daemon *daemon)
{
	hk_metrics_close(daemon->metrics);
	hk_journal_close(daemon->journal);
	hk_control_close(daemon->control);
	hk_relay_close(daemon->relay);
	hk_rules_release(daemon->force);
	free(daemon->rules_text);
	if (daemon->base)
		event_base_free(daemon->base);
}

int serve(struct hk_attach *attach, struct hk_settings *settings,
	  const struct hk_config_source *source, int ready_fd)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct daemon daemon = {
		.attach = attach,
		.settings = settings,
		.source = source,
		.damage_ready = attach->options->damage || attach->options->damage_rules,
		.since = time(NULL),
	};
	struct event *events[SIGNAL_COUNT] = { NULL }, *tick = NULL;
	size_t i;
	int err;

	signal(SIGPIPE, SIG_IGN);
	/* What libevent restores at the end: Ctrl-C reaches both processes, and the supervisor then
	 * sends SIGTERM on top, which must not cut the resets short. */
	for (i = 0; i < SIGNAL_COUNT; i++)
		signal(signals[i].signo, SIG_IGN);
	err = daemon_open(&daemon);
	for (i = 0; !err && i < SIGNAL_COUNT; i++) {
		events[i] = evsignal_new(daemon.base, signals[i].signo, signals[i].act, &daemon);
		if (!events[i] || event_add(events[i], NULL))
			err = -ENOMEM;
	}
	if (err)
		goto out;
	tick = event_new(daemon.base, -1, EV_PERSIST, on_second, &daemon);
	if (!tick || event_add(tick, &second)) {
		err = -ENOMEM;
		goto out;
	}
	if (write(ready_fd, "", 1) != 1) {
		err = -EPIPE; /* the supervisor is gone */
		goto out;
	}
	if (daemon.relay) {
		hk_relay_serve(daemon.relay);
		hk_relay_abort_all(daemon.relay);
	} else {
		event_base_dispatch(daemon.base);
	}
out:
	for (i = 0; i < SIGNAL_COUNT; i++)
		if (events[i])
			event_free(events[i]);
	if (tick)
		event_free(tick);
	daemon_close(&daemon);
	return err;
}
