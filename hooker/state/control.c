// SPDX-License-Identifier: GPL-2.0
#include "hooker/state/control.h"

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

#include "hooker/base/exit.h"
#include "hooker/base/log.h"

#define REQUEST_MAX   65536
#define UNREAD_MAX    (1 << 20) /* bytes; a follower that is further behind is dropped */
#define FOLLOWERS_MAX 16

struct hk_control {
	struct event_base *base;
	struct evconnlistener *listener;
	hk_control_handler handler;
	void *arg;
	struct bufferevent *followers[FOLLOWERS_MAX];
	int follower_count;
	void (*followers_changed)(void *arg, int count);
	void *followers_arg;
};

static socklen_t control_address(struct sockaddr_un *addr)
{
	static const char name[] = "\0hooker";

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	memcpy(addr->sun_path, name, sizeof(name) - 1);
	return offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1;
}

/* ---- followers ---- */

static void tell_followers_changed(const struct hk_control *control)
{
	if (control->followers_changed)
		control->followers_changed(control->followers_arg, control->follower_count);
}

static void drop_follower(struct hk_control *control, int i)
{
	bufferevent_free(control->followers[i]);
	control->followers[i] = control->followers[--control->follower_count];
	if (!control->follower_count)
		tell_followers_changed(control);
}

static void on_follower_gone(struct bufferevent *bev, short what, void *arg)
{
	struct hk_control *control = arg;
	int i;

	(void)what;
	for (i = 0; i < control->follower_count; i++)
		if (control->followers[i] == bev)
			break;
	if (i < control->follower_count)
		drop_follower(control, i);
}

static bool add_follower(struct hk_control *control, struct bufferevent *bev)
{
	if (control->follower_count == FOLLOWERS_MAX)
		return false;
	control->followers[control->follower_count++] = bev;
	/* Nothing more is expected; reading is how the end is noticed. */
	bufferevent_setcb(bev, NULL, NULL, on_follower_gone, control);
	if (control->follower_count == 1)
		tell_followers_changed(control);
	return true;
}

void hk_control_on_followers(struct hk_control *control, void (*changed)(void *arg, int count),
			     void *arg)
{
	control->followers_changed = changed;
	control->followers_arg = arg;
}

static int send_object(struct bufferevent *bev, const json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));
	int ret = text ? evbuffer_add_printf(bufferevent_get_output(bev), "%s\n", text) : -1;

	free(text);
	return ret < 0 ? -ENOMEM : 0;
}

void hk_control_publish(struct hk_control *control, json_t *object)
{
	int i;

	for (i = control->follower_count - 1; i >= 0; i--)
		if (send_object(control->followers[i], object) ||
		    evbuffer_get_length(bufferevent_get_output(control->followers[i])) > UNREAD_MAX)
			drop_follower(control, i);
	json_decref(object);
}

/* ---- serving ---- */

static json_t *answer(struct hk_control *control, const json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "command"));

	return command ? control->handler(control->arg, command, request) :
			 json_pack("{s:s}", "error", "malformed request");
}

static void on_sent(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_free(bev);
}

static void on_request(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF);
	json_t *request, *reply;
	bool follow;

	if (!line) {
		if (evbuffer_get_length(in) > REQUEST_MAX)
			bufferevent_free(bev);
		return;
	}
	request = json_loads(line, 0, NULL);
	free(line);
	reply = answer(arg, request);
	follow = json_is_true(json_object_get(request, "follow")) &&
		 !json_object_get(reply, "error") && add_follower(arg, bev);
	json_decref(request);
	if (!follow) {
		bufferevent_disable(bev, EV_READ);
		bufferevent_setcb(bev, NULL, on_sent, NULL, NULL);
	}
	if (send_object(bev, reply) && !follow)
		bufferevent_free(bev);
	json_decref(reply);
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
	while (control->follower_count)
		drop_follower(control, 0);
	evconnlistener_free(control->listener);
	free(control);
}

/* ---- calling ---- */

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

/* Sends @request, released. A stream to read answers from, or NULL with errno, reported. */
static FILE *ask(json_t *request)
{
	int fd = connect_daemon();
	FILE *stream;

	exit_code = HK_EXIT_FAILURE;
	if (fd < 0) {
		hk_error("no Hooker runs in this network namespace: start one with `hooker run`");
		json_decref(request);
		errno = -fd;
		return NULL;
	}
	stream = fdopen(fd, "r+");
	if (stream) {
		json_dumpf(request, stream, JSON_COMPACT);
		fputc('\n', stream);
		fflush(stream);
	} else {
		close(fd);
	}
	json_decref(request);
	return stream;
}

static int hear(FILE *stream, json_t **object)
{
	char *text = NULL;
	size_t size = 0;
	int err = -ECONNRESET;

	if (getline(&text, &size, stream) >= 0)
		err = parse_reply(text, object);
	free(text);
	return err;
}

int hk_control_call(json_t *request, json_t **reply)
{
	FILE *stream = ask(request);
	int err;

	*reply = NULL;
	if (!stream)
		return -errno;
	err = hear(stream, reply);
	if (err == -ECONNRESET)
		hk_error("the daemon ended before it answered");
	fclose(stream);
	return err;
}

int hk_control_follow(json_t *request, int (*each)(void *arg, const json_t *object), void *arg)
{
	FILE *stream = ask(request);
	json_t *object;
	int err = stream ? 0 : -errno;

	while (!err) {
		err = hear(stream, &object);
		if (err)
			break;
		err = each(arg, object);
		json_decref(object);
	}
	if (stream)
		fclose(stream);
	return err == -ECONNRESET ? 0 : err;
}
