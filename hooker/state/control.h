/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the CLI talks to the daemon: JSON objects, one a line, over the abstract unix socket
 * "hooker". Abstract names are per network namespace, so each host of a testbed has its own.
 */
#ifndef HOOKER_CONTROL_H
#define HOOKER_CONTROL_H

#include <stdbool.h>
#include <jansson.h>

struct event_base;
struct hk_control;

/*
 * Answers request->"command"; returns a new reply object. For what it can't do: {"error": TEXT}, and
 * perhaps "details": [TEXT…] and an "exit_code" other than 1.
 */
typedef json_t *(*hk_control_handler)(void *arg, const char *command, const json_t *request);

/* Serves callers of the daemon's own user and root. Returns 0 or -errno (-EADDRINUSE: another daemon). */
int hk_control_open(struct hk_control **out, struct event_base *base, hk_control_handler handler,
		    void *arg);
void hk_control_close(struct hk_control *control);

/*
 * A caller whose request has the member "follow": true gets the reply and after it every object that is
 * published, until it goes away. One that does not read is dropped.
 */
void hk_control_publish(struct hk_control *control, json_t *object);

/* Calls @changed with the number of followers whenever that becomes, or ceases to be, zero. */
void hk_control_on_followers(struct hk_control *control, void (*changed)(void *arg, int count),
			     void *arg);

/*
 * Asks the daemon of this network namespace; steals @request. *reply is a new object without
 * "error". Returns 0 or -errno after saying what is wrong (-ECONNREFUSED: no daemon runs here).
 */
int hk_control_call(json_t *request, json_t **reply);

/**
 * As hk_control_call(), but @each gets every object the daemon sends, the reply first, until it returns
 * non-zero or the daemon ends. Returns that, 0, or -errno.
 */
int hk_control_follow(json_t *request, int (*each)(void *arg, const json_t *object), void *arg);

/* The exit code for the call that failed last: what the daemon said, else HK_EXIT_FAILURE. */
int hk_control_exit_code(void);

/* Is there a daemon in this network namespace? */
bool hk_control_is_served(void);

#endif
