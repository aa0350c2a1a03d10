// SPDX-License-Identifier: GPL-2.0
#include "hooker/control.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "hooker/command.h"
#include "hooker/log.h"

#define REQUEST_MAX 65536

struct hk_control {
	struct event_base *base;
	struct evconnlistener *listener;
	hk_control_handler handler;
	void *arg;
};

static socklen_t control_address(struct sockaddr_un *addr)
{
	static const char name[] = "\0hooker";

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	memcpy(addr->sun_path, name, sizeof(name) - 1);
	return offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1;
}

static json_t *answer(struct hk_control *control, const char *line)
{
	json_t *request = json_loads(line, 0, NULL);
	const char *command = json_string_value(json_object_get(request, "command"));
	json_t *reply = command ? control->handler(control->arg, command, request) :
				  json_pack("{s:s}", "error", "malformed request");

	json_decref(request);
	return reply;
}

static void on_sent(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_free(bev);
}

static void on_request(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF), *text;
	json_t *reply;

	if (!line) {
		if (evbuffer_get_length(in) > REQUEST_MAX)
			bufferevent_free(bev);
		return;
	}
	reply = answer(arg, line);
	free(line);
	text = json_dumps(reply, JSON_COMPACT);
	json_decref(reply);
	bufferevent_disable(bev, EV_READ);
	bufferevent_setcb(bev, NULL, on_sent, NULL, NULL);
	if (text)
		evbuffer_add_printf(bufferevent_get_output(bev), "%s\n", text);
	else
		bufferevent_free(bev);
	free(text);
}

static void on_closed(struct bufferevent *bev, short what, void *arg)
{
	(void)what, (void)arg;
	bufferevent_free(bev);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
		      int len, void *arg)
{
	struct hk_control *control = arg;
	struct bufferevent *bev;
	struct ucred peer;
	socklen_t size = sizeof(peer);

	(void)listener, (void)addr, (void)len;
	/* Abstract sockets have no file mode: look at who is calling. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) ||
	    (peer.uid && peer.uid != getuid())) {
		close(fd);
		return;
	}
	bev = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!bev) {
		close(fd);
		return;
	}
	bufferevent_setcb(bev, on_request, NULL, on_closed, control);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

int hk_control_open(struct hk_control **out, struct event_base *base, hk_control_handler handler,
		    void *arg)
{
	struct hk_control *control = calloc(1, sizeof(*control));
	struct sockaddr_un addr;
	socklen_t len = control_address(&addr);

	if (!control)
		return -ENOMEM;
	control->base = base;
	control->handler = handler;
	control->arg = arg;
	control->listener = evconnlistener_new_bind(base, on_accept, control,
						    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
						    16, (struct sockaddr *)&addr, len);
	if (!control->listener) {
		int err = -errno;

		free(control);
		return err;
	}
	*out = control;
	return 0;
}

void hk_control_close(struct hk_control *control)
{
	if (!control)
		return;
	evconnlistener_free(control->listener);
	free(control);
}

/* Returns the reply's text, or NULL with errno. */
static char *exchange(int fd, const char *request)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = fdopen(fd, "r+");

	if (!stream) {
		close(fd);
		return NULL;
	}
	fprintf(stream, "%s\n", request);
	fflush(stream);
	if (getline(&text, &size, stream) < 0) {
		free(text);
		text = NULL;
		errno = ECONNRESET;
	}
	fclose(stream);
	return text;
}

static int exit_code;

int hk_control_exit_code(void)
{
	return exit_code;
}

static int parse_reply(const char *text, json_t **reply)
{
	const json_t *detail;
	const char *error;
	size_t i;

	*reply = json_loads(text, 0, NULL);
	if (!*reply)
		return -EPROTO;
	error = json_string_value(json_object_get(*reply, "error"));
	if (!error)
		return 0;
	hk_error("%s", error);
	json_array_foreach(json_object_get(*reply, "details"), i, detail)
		hk_error("%s", json_string_value(detail));
	exit_code = json_integer_value(json_object_get(*reply, "exit_code")) ?: HK_EXIT_FAILURE;
	json_decref(*reply);
	*reply = NULL;
	return -EINVAL;
}

static int connect_daemon(void)
{
	struct sockaddr_un addr;
	socklen_t len = control_address(&addr);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&addr, len))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

bool hk_control_is_served(void)
{
	int fd = connect_daemon();

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int hk_control_call(json_t *request, json_t **reply)
{
	char *line = json_dumps(request, JSON_COMPACT), *text;
	int fd = connect_daemon(), err;

	json_decref(request);
	*reply = NULL;
	exit_code = HK_EXIT_FAILURE;
	if (fd < 0) {
		hk_error("no Hooker runs in this network namespace: start one with `hooker run`");
		free(line);
		return fd;
	}
	text = line ? exchange(fd, line) : NULL; /* closes fd with its stream */
	err = text ? parse_reply(text, reply) : -errno;
	if (!text)
		hk_error("the daemon does not answer: %s", strerror(-err));
	free(line);
	free(text);
	return err;
}
