/* SPDX-License-Identifier: GPL-2.0 */
/* Hooker userspace, the supervisor's child: what its parts share. */
#ifndef HOOKER_DAEMON_INTERNAL_H
#define HOOKER_DAEMON_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <jansson.h>

#include "hooker/hooks/attach.h"
#include "hooker/config/config.h"

struct event_base;
struct hk_control;
struct hk_journal;
struct hk_metrics_server;
struct hk_relay;
struct hk_rules_force;

struct daemon {
	struct hk_attach *attach;
	struct hk_settings *settings; /* in force; attach->options is a part of it */
	const struct hk_config_source *source;
	struct event_base *base;
	struct hk_control *control;
	struct hk_relay *relay;		   /* NULL unless datapath is relay */
	struct hk_metrics_server *metrics; /* NULL unless asked for */
	struct hk_journal *journal;
	struct hk_rules_force *force; /* rules in force, NULL = none */
	char *rules_text;	      /* as they were given */
	bool damage_ready;	      /* attached so that damage can be accepted */
	time_t since;		      /* Unix time of the start */
};

/* ---- serve.c ---- */

/* Serves until told to stop. @ready_fd: gets one byte once everything is in place. */
int serve(struct hk_attach *attach, struct hk_settings *settings,
	  const struct hk_config_source *source, int ready_fd);

/* ---- reload.c ---- */

/*
 * Parses @text, which @name stands for, and puts it in force. Returns 0 or -EINVAL with @error; then
 * the old rules stay in force.
 */
int use_rules(struct daemon *daemon, const char *text, const char *name, char *error, size_t size);

/* Reads the configuration again: the reply of `hooker reload`. */
json_t *reload(struct daemon *daemon);

/* ---- answers.c, status.c ---- */

/* Answers a request of the CLI; see hk_control_handler. */
json_t *answer_command(void *arg, const char *command, const json_t *request);

/* The counters of hk_count by name, and of hk_reasons. */
json_t *counters_json(const struct daemon *daemon);
json_t *reasons_json(const struct daemon *daemon, bool fell_back);

/* How many flows there are, by transport and by reason. */
json_t *flow_summary_json(const struct daemon *daemon);

json_t *status_json(const struct daemon *daemon);

/* What is wrong with what @status shows; see hooker/base/verdict.h. */
json_t *health_json(const struct daemon *daemon, const json_t *status);

#endif
