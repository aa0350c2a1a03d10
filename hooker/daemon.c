// SPDX-License-Identifier: GPL-2.0
#include "hooker/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <event2/event.h>

#include "bpf/sockops.skel.h"
#include "hooker/control.h"
#include "hooker/flows.h"
#include "hooker/log.h"
#include "hooker/measure.h"
#include "hooker/names.h"
#include "hooker/relay/relay.h"
#include "hooker/rules/rules.h"
#include "hooker/sockdestroy.h"

/* Hooker userspace: what the child process holds. */
struct daemon {
	struct hk_attach *attach;
	struct event_base *base;
	struct hk_control *control;
	struct hk_relay *relay;
	struct hk_rules_force *force; /* rules in force, NULL = none */
	char *rules_text;	      /* as they were given */
};

/* ---- answers to the CLI ---- */

struct flows_reply {
	const struct daemon *daemon;
	json_t *list;
};

static int add_flow(void *arg, const struct hk_flow_key *key, const struct hk_flow *flow)
{
	struct flows_reply *reply = arg;
	json_t *object = hk_flow_json(key, flow), *more = NULL;
	struct sock_key sock;

	if (reply->daemon->relay && flow->state != HK_FLOW_TCP && hk_flow_key_to_sock(key, &sock))
		more = hk_relay_flow_json(reply->daemon->relay, &sock, flow->local_isn);
	if (more)
		json_object_update(object, more);
	json_decref(more);
	return json_array_append_new(reply->list, object);
}

static json_t *flows_reply(const struct daemon *daemon)
{
	struct flows_reply reply = { .daemon = daemon, .list = json_array() };

	hk_flows_each(bpf_map__fd(daemon->attach->sockops->maps.hk_flows), add_flow, &reply);
	return json_pack("{s:i, s:o}", "schema", 1, "flows", reply.list);
}

static json_t *counters_json(int map_fd)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	json_t *counters = json_object();
	__u64 *values = calloc(cpus > 0 ? cpus : 1, sizeof(*values));
	__u32 i;

	for (i = 0; values && i < HK_COUNT_MAX; i++) {
		__u64 sum = 0;

		if (!hk_counter_name(i) || bpf_map_lookup_elem(map_fd, &i, values))
			continue;
		for (cpu = 0; cpu < cpus; cpu++)
			sum += values[cpu];
		json_object_set_new(counters, hk_counter_name(i), json_integer(sum));
	}
	free(values);
	return counters;
}

static json_t *stats_reply(const struct daemon *daemon)
{
	const struct hk_options *options = daemon->attach->options;
	json_t *reply = json_pack(
		"{s:i, s:s, s:s, s:i, s:o}", "schema", 1, "datapath",
		hk_datapath_name(options->datapath), "transport",
		hk_transport_name(options->transport), "coverage", options->coverage, "counters",
		counters_json(bpf_map__fd(daemon->attach->sockops->maps.hk_count)));

	json_object_set_new(
		reply, "memory",
		json_pack("{s:I, s:I}", "flow_table_bytes",
			  hk_map_bytes(bpf_map__fd(daemon->attach->sockops->maps.hk_flows)),
			  "userspace_bytes", hk_resident_bytes()));
	if (daemon->relay)
		json_object_set_new(reply, "relay", hk_relay_stats_json(daemon->relay));
	return reply;
}

/* Parses @text and puts it in force. Returns a message for the caller, or NULL; free() it. */
static char *use_rules(struct daemon *daemon, const char *text, const char *name)
{
	const struct sockops_bpf *so = daemon->attach->sockops;
	const struct hk_options *options = daemon->attach->options;
	struct hk_rules rules;
	char error[256] = "";
	int err;

	err = hk_rules_parse(&rules, text, name, options->datapath, error, sizeof(error));
	if (err)
		return strdup(error);
	if (hk_rules_want_damage(&rules) && !options->damage && !options->damage_rules)
		snprintf(error, sizeof(error), "%s: accept-damage needs a daemon started with it",
			 name);
	else if ((err = hk_rules_apply(&daemon->force, &rules, bpf_map__fd(so->maps.hk_config),
				       bpf_map__fd(so->maps.hk_rules),
				       bpf_map__fd(so->maps.hk_class))))
		snprintf(error, sizeof(error), "can't put the rules in force: %s", strerror(-err));
	hk_rules_free(&rules);
	if (*error)
		return strdup(error);
	free(daemon->rules_text);
	daemon->rules_text = strdup(text);
	return NULL;
}

static json_t *rules_reply(struct daemon *daemon, const json_t *request)
{
	const char *text = json_string_value(json_object_get(request, "text"));
	const char *name = json_string_value(json_object_get(request, "name"));
	char *error = text ? use_rules(daemon, text, name ?: "rules") : NULL;
	json_t *reply;

	if (error)
		reply = json_pack("{s:s}", "error", error);
	else
		reply = json_pack("{s:i, s:s}", "schema", 1, "text", daemon->rules_text ?: "");
	free(error);
	return reply;
}

static json_t *on_command(void *arg, const char *command, const json_t *request)
{
	struct daemon *daemon = arg;

	if (!strcmp(command, "rules"))
		return rules_reply(daemon, request);
	if (!strcmp(command, "flows"))
		return flows_reply(daemon);
	if (!strcmp(command, "stats"))
		return stats_reply(daemon);
	return json_pack("{s:o}", "error", json_sprintf("unknown command '%s'", command));
}

/* ---- the child: Hooker userspace ---- */

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	hk_attach_tick(arg);
}

static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (!config)
		return NULL;
	/* Pacing and delayed acknowledgements need better than epoll's milliseconds. */
	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static int daemon_open(struct daemon *daemon, struct hk_attach *attach)
{
	struct hk_relay_options relay_options;
	int err = 0;

	daemon->attach = attach;
	daemon->base = new_base();
	if (!daemon->base)
		return -ENOMEM;
	if (attach->options->rules_text) {
		char *error =
			use_rules(daemon, attach->options->rules_text, attach->options->rules_name);

		if (error)
			hk_error("%s", error);
		free(error);
		if (!daemon->force)
			return -EINVAL;
	}
	if (attach->relay) {
		hk_relay_options_default(&relay_options);
		if (attach->options->connection_memory)
			relay_options.connection_memory = attach->options->connection_memory;
		relay_options.paper = attach->options->paper;
		if (attach->options->memory)
			relay_options.memory = attach->options->memory;
		err = hk_relay_open(&daemon->relay, attach, daemon->base, &relay_options);
	}
	if (err)
		return err;
	err = hk_control_open(&daemon->control, daemon->base, on_command, daemon);
	if (err == -EADDRINUSE)
		hk_error("another Hooker runs in this network namespace: see `hooker stats`");
	else if (err)
		hk_error("can't open the control socket: %s", strerror(-err));
	return err;
}

static void daemon_close(struct daemon *daemon)
{
	hk_control_close(daemon->control);
	hk_relay_close(daemon->relay);
	hk_rules_release(daemon->force);
	free(daemon->rules_text);
	if (daemon->base)
		event_base_free(daemon->base);
}

/* Serves until told to stop. @ready_fd: gets one byte once everything is in place. */
static int serve(struct hk_attach *attach, int ready_fd)
{
	static const int stops[] = { SIGTERM, SIGINT, SIGHUP };
	static const struct timeval second = { .tv_sec = 1 };
	struct event *signals[3] = { NULL }, *tick = NULL;
	struct daemon daemon = { 0 };
	int err, i;

	signal(SIGPIPE, SIG_IGN);
	/* What libevent restores at the end: Ctrl-C reaches both processes, and the supervisor then
	 * sends SIGTERM on top, which must not cut the resets short. */
	for (i = 0; i < 3; i++)
		signal(stops[i], SIG_IGN);
	err = daemon_open(&daemon, attach);
	if (err)
		goto out;
	for (i = 0; i < 3; i++) {
		signals[i] = evsignal_new(daemon.base, stops[i], on_stop, daemon.base);
		if (!signals[i] || event_add(signals[i], NULL)) {
			err = -ENOMEM;
			goto out;
		}
	}
	tick = event_new(daemon.base, -1, EV_PERSIST, on_second, attach);
	if (!tick || event_add(tick, &second)) {
		err = -ENOMEM;
		goto out;
	}
	if (write(ready_fd, "", 1) != 1) {
		err = -EPIPE; /* the supervisor is gone */
		goto out;
	}
	event_base_dispatch(daemon.base);
	if (daemon.relay)
		hk_relay_abort_all(daemon.relay);
out:
	for (i = 0; i < 3; i++)
		if (signals[i])
			event_free(signals[i]);
	if (tick)
		event_free(tick);
	daemon_close(&daemon);
	return err;
}

/* ---- the supervisor ---- */

static volatile sig_atomic_t stop_signal;
static double stopping; /* since when, in ms; 0 = not yet */

static void on_signal(int signo)
{
	stop_signal = signo;
}

struct orphans {
	struct sock_key *keys;
	unsigned int count, room;
};

static int add_orphan(void *arg, const struct hk_flow_key *key, const struct hk_flow *flow)
{
	struct orphans *orphans = arg;
	struct sock_key sock, *keys;

	if (flow->state == HK_FLOW_TCP || flow->datapath != HK_DATAPATH_RELAY ||
	    !hk_flow_key_to_sock(key, &sock))
		return 0;
	if (orphans->count == orphans->room) {
		orphans->room = orphans->room ? 2 * orphans->room : 64;
		keys = realloc(orphans->keys, orphans->room * sizeof(*keys));
		if (!keys)
			return -ENOMEM;
		orphans->keys = keys;
	}
	orphans->keys[orphans->count++] = sock;
	return 0;
}

/* Bytes died with Hooker userspace: its connections must not look as if they went on or ended well. */
static void destroy_orphans(struct hk_attach *attach)
{
	struct orphans orphans = { 0 };
	int ret = hk_flows_each(bpf_map__fd(attach->sockops->maps.hk_flows), add_orphan, &orphans);

	if (!ret && orphans.count)
		ret = hk_sock_destroy(orphans.keys, orphans.count);
	if (ret < 0)
		hk_error("can't destroy the connections left behind: %s", strerror(-ret));
	else if (ret)
		hk_warn("%d connections destroyed", ret);
	free(orphans.keys);
}

/* The BPF objects (bpf/NAME.bpf.c) that a datapath is made of. */
static json_t *objects_json(enum hk_datapath datapath)
{
	json_t *objects = json_pack("[s, s]", "sockops", "dispatch");

	if (datapath == HK_DATAPATH_KERNEL)
		json_array_append_new(objects, json_string("kernel"));
	if (datapath == HK_DATAPATH_RELAY) {
		json_array_append_new(objects, json_string("relay"));
		json_array_append_new(objects, json_string("look"));
	}
	return objects;
}

static void print_line(json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	fflush(stdout);
	json_decref(object);
}

static void print_start(const struct hk_options *options)
{
	json_t *times = hk_phases_json();

	json_object_set_new(times, "objects", objects_json(options->datapath));
	print_line(times);
}

static int start_when_ready(struct hk_attach *attach, int ready_fd)
{
	char byte;
	int err;

	if (read(ready_fd, &byte, 1) != 1)
		return -ECHILD; /* the child has said why */
	err = hk_attach_start(attach);
	if (err)
		return err;
	if (attach->options->timing)
		print_start(attach->options);
	printf("ready\n");
	fflush(stdout);
	return 0;
}

/* Returns the child's fate: 0 = ended as told, -errno otherwise. */
static int wait_for(pid_t child, struct hk_attach *attach)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
		if (stop_signal) {
			if (!stopping)
				stopping = hk_measure_now();
			hk_attach_stop(attach); /* new connections are plain TCP from here on */
			kill(child, SIGTERM);
		}
	}
	if (WIFEXITED(status))
		return WEXITSTATUS(status) ? -ECHILD : 0;
	hk_error("Hooker userspace was killed by signal %d (%s)", WTERMSIG(status),
		 strsignal(WTERMSIG(status)));
	destroy_orphans(attach);
	return -ECHILD;
}

static int supervise(struct hk_attach *attach)
{
	struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART: waits end */
	pid_t child, self = getpid();
	int ready[2], err;

	if (pipe(ready))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (!child) {
		close(ready[0]);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != self)
			_exit(1);
		err = serve(attach, ready[1]);
		/* Killed supervisor: what no bpf_link holds is ours to take away. */
		if (getppid() != self)
			hk_attach_close(attach);
		fflush(NULL);
		_exit(err ? 1 : 0);
	}
	close(ready[1]);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	err = start_when_ready(attach, ready[0]);
	close(ready[0]);
	if (err)
		kill(child, SIGTERM);
	return wait_for(child, attach) ?: err;
}

int hk_daemon_run(const struct hk_options *options)
{
	struct hk_attach attach;
	int err;

	hk_phase(HK_PHASE_OTHER);
	err = hk_attach_open(&attach, options);
	if (err)
		return err;
	err = supervise(&attach);
	hk_attach_close(&attach);
	if (options->timing && stopping)
		print_line(json_pack("{s:f}", "detach_ms", hk_measure_now() - stopping));
	return err;
}
