// SPDX-License-Identifier: GPL-2.0
#include "hooker/daemon/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "hooker/daemon/internal.h"
#include "hooker/base/log.h"

#define IDLE_SECONDS	  10
#define MAX_HEADERS_BYTES 8192

struct hk_metrics_server {
	const struct daemon *daemon;
	struct evhttp *http;
	char *path; /* of a unix socket, to remove */
};

static void on_metrics(struct evhttp_request *request, void *arg)
{
	struct hk_metrics_server *server = arg;
	struct evbuffer *body = evbuffer_new();
	char *text = hk_metrics_text(server->daemon);

	if (!body || !text || evbuffer_add(body, text, strlen(text))) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
	} else {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
				  "text/plain; version=0.0.4; charset=utf-8");
		evhttp_send_reply(request, HTTP_OK, "OK", body);
	}
	free(text);
	if (body)
		evbuffer_free(body);
}

static int bind_unix(struct hk_metrics_server *server, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct evconnlistener *listener;
	struct stat st;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode))
		unlink(path);
	listener = evconnlistener_new_bind(server->daemon->base, NULL, NULL,
					   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16,
					   (struct sockaddr *)&addr, sizeof(addr));
	if (!listener)
		return -errno;
	server->path = strdup(path);
	chmod(path, 0660);
	if (evhttp_bind_listener(server->http, listener))
		return 0;
	evconnlistener_free(listener);
	return -ENOMEM;
}

/* "ADDRESS:PORT"; IPv6 addresses stand in brackets. */
static int bind_inet(struct hk_metrics_server *server, const char *endpoint)
{
	const char *colon = strrchr(endpoint, ':');
	char address[64];
	int bracket = *endpoint == '[';

	snprintf(address, sizeof(address), "%.*s", (int)(colon - endpoint) - 2 * bracket,
		 endpoint + bracket);
	errno = EINVAL; /* an address that is none sets nothing */
	return evhttp_bind_socket(server->http, address, atoi(colon + 1)) ? -errno : 0;
}

int hk_metrics_open(struct hk_metrics_server **out, const struct daemon *daemon,
		    const char *endpoint)
{
	struct hk_metrics_server *server = calloc(1, sizeof(*server));
	int err;

	if (!server)
		return -ENOMEM;
	server->daemon = daemon;
	server->http = evhttp_new(daemon->base);
	if (!server->http) {
		free(server);
		return -ENOMEM;
	}
	evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_timeout(server->http, IDLE_SECONDS);
	evhttp_set_max_headers_size(server->http, MAX_HEADERS_BYTES);
	evhttp_set_max_body_size(server->http, 0);
	evhttp_set_cb(server->http, "/metrics", on_metrics, server);
	err = !strncmp(endpoint, "unix:", 5) ? bind_unix(server, endpoint + 5) :
					       bind_inet(server, endpoint);
	if (err) {
		hk_error("can't serve metrics at '%s': %s", endpoint, strerror(-err));
		hk_metrics_close(server);
		return err;
	}
	*out = server;
	return 0;
}

void hk_metrics_close(struct hk_metrics_server *server)
{
	if (!server)
		return;
	evhttp_free(server->http);
	if (server->path)
		unlink(server->path);
	free(server->path);
	free(server);
}
