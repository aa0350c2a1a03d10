// SPDX-License-Identifier: GPL-2.0
/* `stream serve`: one thread a client, blocking calls, as a simple server is written. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenarios/stream/stream.h"

enum { CHUNK = 65536, BACKLOG = 4096, THREAD_STACK = 256 * 1024 };

struct serve_options {
	const char *bind;
	const char *port;
	const char *root;
	bool sendfile;
	uint64_t abort_after; /* 0 = never */
	int root_fd;
};

struct client {
	int fd;
	const struct serve_options *o;
	struct st_bytes pushed;
	int push_err;
};

/* Send the first @size bytes of @file; a file that shrank meanwhile is an error. */
static int send_body(int fd, int file, uint64_t size, bool use_sendfile)
{
	static _Thread_local char chunk[CHUNK];
	int err = 0;

	while (size && !err) {
		size_t want = size < CHUNK ? size : CHUNK;
		ssize_t n;

		if (use_sendfile) {
			n = sendfile(fd, file, NULL, size);
		} else {
			n = read(file, chunk, want);
			if (n > 0)
				err = st_write_all(fd, chunk, n, 0);
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return -EIO;
		size -= n;
	}
	return err;
}

/* Answer with the file @name. Returns 0, or -errno when the connection is of no more use. */
static int serve_file(struct client *c, const char *name)
{
	const struct serve_options *o = c->o;
	struct stat st;
	char head[64];
	int file = -1;
	int err;

	/* One folder, no way out of it. */
	if (name[0] != '.' && !strchr(name, '/'))
		file = openat(o->root_fd, name, O_RDONLY | O_CLOEXEC);
	if (file < 0 || fstat(file, &st) < 0 || !S_ISREG(st.st_mode)) {
		err = st_write_all(c->fd, "ERR no such file\n", 17, 0);
		goto out;
	}
	snprintf(head, sizeof(head), "OK %llu\n", (unsigned long long)st.st_size);
	err = st_write_all(c->fd, head, strlen(head), st.st_size ? MSG_MORE : 0);
	if (err)
		goto out;
	if (o->abort_after && o->abort_after < (uint64_t)st.st_size) {
		err = send_body(c->fd, file, o->abort_after, o->sendfile);
		st_abort(c->fd);
		c->fd = -1;
		err = err ? err : -ECANCELED;
		goto out;
	}
	err = send_body(c->fd, file, st.st_size, o->sendfile);
out:
	if (file >= 0)
		close(file);
	return err;
}

static void *take_push(void *arg)
{
	struct client *c = arg;

	c->push_err = st_drain(c->fd, &c->pushed);
	return NULL;
}

static int acknowledge_push(struct client *c)
{
	char hex[STREAM_SHA256_HEX];
	char line[128];
	int err;

	if (c->push_err)
		return c->push_err;
	/* The count first: the client's clock stops at it, not after the hashing. */
	snprintf(line, sizeof(line), "GOT %zu\n", c->pushed.len);
	err = st_write_all(c->fd, line, strlen(line), 0);
	if (err)
		return err;
	st_bytes_sha256(&c->pushed, hex);
	snprintf(line, sizeof(line), "SHA256 %s\n", hex);
	return st_write_all(c->fd, line, strlen(line), 0);
}

static int serve_request(struct client *c)
{
	char line[STREAM_LINE_MAX];
	pthread_t pusher;
	int err;

	err = st_read_line(c->fd, line, sizeof(line));
	if (err)
		return err;
	if (strncmp(line, "FETCH ", 6) == 0)
		return serve_file(c, line + 6);
	if (strcmp(line, "PUSH") == 0) {
		take_push(c);
		return acknowledge_push(c);
	}
	if (strncmp(line, "BOTH ", 5) == 0) {
		err = -pthread_create(&pusher, NULL, take_push, c);
		if (err)
			return err;
		err = serve_file(c, line + 5);
		if (err && c->fd >= 0)
			shutdown(c->fd, SHUT_RDWR);
		pthread_join(pusher, NULL);
		return err ? err : acknowledge_push(c);
	}
	return st_write_all(c->fd, "ERR bad request\n", 16, 0);
}

static void *serve_client(void *arg)
{
	struct client *c = arg;
	int err = serve_request(c);

	if (err && err != -ECANCELED)
		fprintf(stderr, "stream serve: a client's transfer ended early: %s\n",
			strerror(-err));
	if (c->fd >= 0)
		close(c->fd);
	st_bytes_free(&c->pushed);
	free(c);
	return NULL;
}

static int start_client(int fd, const struct serve_options *o)
{
	struct client *c = calloc(1, sizeof(*c));
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (!c)
		return -ENOMEM;
	c->fd = fd;
	c->o = o;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	err = -pthread_create(&thread, &attr, serve_client, c);
	pthread_attr_destroy(&attr);
	if (err)
		free(c);
	return err;
}

static int open_listener(const struct serve_options *o, unsigned int *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	struct addrinfo *ai = NULL;
	int one = 1;
	int err;
	int fd;

	err = getaddrinfo(o->bind, o->port, &hints, &ai);
	if (err) {
		fprintf(stderr, "stream serve: bad address '%s' port '%s': %s\n", o->bind, o->port,
			gai_strerror(err));
		return -EINVAL;
	}
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto failed;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		goto failed;
	freeaddrinfo(ai);
	/* sin_port and sin6_port lie at the same place. */
	*port = ntohs(((struct sockaddr_in *)&ss)->sin_port);
	return fd;
failed:
	err = -errno;
	fprintf(stderr, "stream serve: can't listen on %s port %s: %s\n", o->bind, o->port,
		strerror(-err));
	if (fd >= 0)
		close(fd);
	freeaddrinfo(ai);
	return err;
}

static void accept_forever(int listener, const struct serve_options *o)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		int err;

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
			/* Out of descriptors: other clients will finish and free some. */
			fprintf(stderr, "stream serve: accept: %s\n", strerror(errno));
			usleep(10000);
			continue;
		}
		if (fd < 0)
			continue; /* EINTR, ECONNABORTED */
		err = start_client(fd, o);
		if (err) {
			fprintf(stderr, "stream serve: can't start a thread: %s\n", strerror(-err));
			close(fd);
		}
	}
}

/* A client takes two descriptors, its connection and the file; the usual soft limit is 1024. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static error_t parse_serve(int key, char *arg, struct argp_state *state)
{
	struct serve_options *o = state->input;
	char *end;

	switch (key) {
	case 'b': o->bind = arg; return 0;
	case 'p': o->port = arg; return 0;
	case 'r': o->root = arg; return 0;
	case 's': o->sendfile = true; return 0;
	case 'S': o->sendfile = false; return 0;
	case 'a':
		o->abort_after = strtoull(arg, &end, 10);
		if (*end || !o->abort_after)
			argp_error(state, "--abort-after takes a number of bytes, not '%s'", arg);
		return 0;
	case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static void stop(int sig)
{
	(void)sig;
	_exit(STREAM_OK);
}

int cmd_serve(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "bind", 'b', "ADDRESS", 0, "listen on this address (0.0.0.0)", 0 },
		{ "port", 'p', "PORT", 0, "listen on this port (8080; 0 = any free one)", 0 },
		{ "root", 'r', "DIR", 0, "serve the files of this folder (.)", 0 },
		{ "sendfile", 's', NULL, 0, "send files by sendfile(2)", 0 },
		{ "send", 'S', NULL, 0, "send files by read(2) and send(2) (the default)", 0 },
		{ "abort-after", 'a', "N", 0, "reset each transfer after N bytes", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_serve,
		.doc = "Serve files over TCP. Prints `listening on ADDRESS PORT` when ready; "
		       "SIGTERM ends it.",
	};
	struct serve_options o = { .bind = "0.0.0.0", .port = "8080", .root = ".", .root_fd = -1 };
	unsigned int port = 0;
	int listener;

	argp_err_exit_status = STREAM_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	o.root_fd = open(o.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (o.root_fd < 0) {
		fprintf(stderr, "stream serve: can't open folder '%s': %s\n", o.root,
			strerror(errno));
		return STREAM_FAILED;
	}
	listener = open_listener(&o, &port);
	if (listener < 0) {
		close(o.root_fd);
		return listener == -EINVAL ? STREAM_USAGE : STREAM_FAILED;
	}
	raise_descriptors();
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	printf("listening on %s %u\n", o.bind, port);
	fflush(stdout);
	accept_forever(listener, &o);
	return STREAM_OK;
}
