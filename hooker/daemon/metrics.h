/* SPDX-License-Identifier: GPL-2.0 */
/* Counters in Prometheus' text exposition format, and the HTTP server that gives them out. */
#ifndef HOOKER_DAEMON_METRICS_H
#define HOOKER_DAEMON_METRICS_H

struct daemon;
struct hk_metrics_server;

/* All metrics as text; free() it. NULL if out of memory. */
char *hk_metrics_text(const struct daemon *daemon);

/**
 * Serves GET /metrics at @endpoint, ADDRESS:PORT or unix:PATH (a socket, made with mode 0660; one left by
 * a killed daemon is replaced). Returns 0 or -errno, reported.
 */
int hk_metrics_open(struct hk_metrics_server **out, const struct daemon *daemon,
		    const char *endpoint);

/* NULL is fine. */
void hk_metrics_close(struct hk_metrics_server *server);

#endif
