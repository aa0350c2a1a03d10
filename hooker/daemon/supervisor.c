// SPDX-License-Identifier: GPL-2.0
#include "hooker/daemon/daemon.h"

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

#include "bpf/sockops.skel.h"
#include "hooker/daemon/internal.h"
#include "hooker/state/flows.h"
#include "hooker/base/log.h"
#include "hooker/base/measure.h"
#include "hooker/base/names.h"
#include "hooker/base/notify.h"
#include "hooker/hooks/sockdestroy.h"

static volatile sig_atomic_t stop_signal, hangup;
static double stopping; /* since when, in ms; 0 = not yet */

static void on_signal(int signo)
{
	if (signo == SIGHUP)
		hangup = 1;
	else if (signo != SIGCHLD) /* that one only ends a wait */
		stop_signal = signo;
}

struct orphans {
	struct hk_victim *victims;
	unsigned int count, room;
};

static int add_orphan(void *arg, const struct hk_flow_key *key, const struct hk_flow *flow)
{
	struct orphans *orphans = arg;
	struct hk_victim *victims;

	if (flow->state == HK_FLOW_TCP || flow->datapath != HK_DATAPATH_RELAY)
		return 0;
	if (orphans->count == orphans->room) {
		orphans->room = orphans->room ? 2 * orphans->room : 64;
		victims = realloc(orphans->victims, orphans->room * sizeof(*victims));
		if (!victims)
			return -ENOMEM;
		orphans->victims = victims;
	}
	orphans->victims[orphans->count++] =
		(struct hk_victim){ .key = *key, .cookie = flow->cookie };
	return 0;
}

/* Bytes died with Hooker userspace: its connections must not look as if they went on or ended well. */
static void destroy_orphans(struct hk_attach *attach)
{
	struct orphans orphans = { 0 };
	int ret = hk_flows_each(bpf_map__fd(attach->sockops->maps.hk_flows), add_orphan, &orphans);

	if (!ret && orphans.count)
		ret = hk_sock_destroy(orphans.victims, orphans.count);
	if (ret < 0)
		hk_error("can't destroy every connection left behind: %s", strerror(-ret));
	else if (ret)
		hk_warn("%d connections destroyed", ret);
	free(orphans.victims);
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

/* To whoever waits for it: a person or a script by stdout, a parent by its pipe, systemd. */
static int tell_ready(const struct hk_options *options, int told_fd)
{
	if (told_fd >= 0)
		return write(told_fd, "", 1) == 1 ? 0 : -EPIPE;
	if (options->timing)
		print_start(options);
	printf("ready\n");
	fflush(stdout);
	hk_notify("READY=1\nSTATUS=Redirects by the %s datapath\n",
		  hk_datapath_name(options->datapath));
	return 0;
}

/* @ready_fd: from the child; @told_fd: as hk_daemon_run() got it. */
static int start_when_ready(struct hk_attach *attach, int ready_fd, int told_fd)
{
	ssize_t got;
	char byte;
	int err;

	do
		got = read(ready_fd, &byte, 1);
	while (got < 0 && errno == EINTR && !stop_signal);
	if (got != 1)
		return -ECHILD; /* the child has said why */
	err = hk_attach_start(attach);
	return err ?: tell_ready(attach->options, told_fd);
}

static void act_on_signals(pid_t child, struct hk_attach *attach)
{
	if (hangup)
		kill(child, SIGHUP); /* which reads the configuration again */
	hangup = 0;
	if (!stop_signal)
		return;
	stop_signal = 0;
	if (!stopping)
		hk_notify("STOPPING=1\n");
	stopping = stopping ?: hk_measure_now();
	hk_attach_stop(attach); /* new connections are plain TCP from here on */
	kill(child, SIGTERM);
}

/* Returns the child's fate: 0 = ended as told, -errno otherwise. */
static int wait_for(pid_t child, struct hk_attach *attach)
{
	sigset_t ours, before;
	int status = 0;
	pid_t ended;

	/* Blocked but while waiting: one that came in between would be waited for in vain. */
	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGHUP);
	sigaddset(&ours, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ours, &before);
	while (!(ended = waitpid(child, &status, WNOHANG))) {
		act_on_signals(child, attach);
		sigsuspend(&before);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (ended < 0)
		return -errno;
	/* First of all, or a new connection would agree to be relayed by nobody. */
	hk_attach_stop(attach);
	if (WIFSIGNALED(status))
		hk_error("Hooker userspace was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	destroy_orphans(attach);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ECHILD;
}

static int supervise(struct hk_attach *attach, struct hk_settings *settings,
		     const struct hk_config_source *source, int told_fd)
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
		err = serve(attach, settings, source, ready[1]);
		/* Killed supervisor: what it would have done is ours to do. */
		if (getppid() != self) {
			destroy_orphans(attach);
			hk_attach_close(attach);
		}
		fflush(NULL);
		_exit(err ? 1 : 0);
	}
	close(ready[1]);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGCHLD, &action, NULL);
	err = start_when_ready(attach, ready[0], told_fd);
	close(ready[0]);
	if (err)
		kill(child, SIGTERM);
	return wait_for(child, attach) ?: err;
}

int hk_daemon_run(struct hk_settings *settings, const struct hk_config_source *source, int ready_fd)
{
	struct hk_attach attach;
	int err;

	hk_phase(HK_PHASE_OTHER);
	err = hk_attach_open(&attach, &settings->options);
	if (err)
		return err;
	err = supervise(&attach, settings, source, ready_fd);
	hk_attach_close(&attach);
	if (settings->options.timing && stopping)
		print_line(json_pack("{s:f}", "detach_ms", hk_measure_now() - stopping));
	return err;
}
