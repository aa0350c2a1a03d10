// SPDX-License-Identifier: GPL-2.0
/*
 * `stream fetch`: one transfer, timed. Times count from just before connect(); bytes are hashed
 * or compared only after the last timestamp.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "scenarios/stream/stream.h"

struct fetch {
	const char *host, *port, *name;
	const char *output, *push, *same_as;
	unsigned int timeout_s;
	uint64_t abort_after; /* 0 = never */
	unsigned int clients;
	uint64_t every_ns; /* 0 = no series */
	bool count_damage;

	int fd;
	unsigned int local_port;
	struct st_bytes body, expected, outgoing;
	uint64_t body_size;
	/* nanoseconds since start_ns; 0 = did not happen */
	uint64_t start_ns, connect_ns, first_ns, last_ns, eof_ns, push_sent_ns, push_got_ns;
	char remote_sha256[STREAM_LINE_MAX];
	uint64_t remote_got;
	int push_err;
	json_t *series; /* [[ns, bytes], …] */
	uint64_t next_ns;
	char error[256];
};

__attribute__((format(printf, 2, 3))) static int fail(struct fetch *f, const char *fmt, ...)
{
	va_list ap;

	/* The first error is the cause; what follows from it would only hide it. */
	if (!f->error[0]) {
		va_start(ap, fmt);
		vsnprintf(f->error, sizeof(f->error), fmt, ap);
		va_end(ap);
	}
	return -1;
}

static uint64_t since_start(const struct fetch *f)
{
	return st_now_ns() - f->start_ns;
}

static int dial(struct fetch *f)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct timeval patience = { .tv_sec = f->timeout_s };
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	struct addrinfo *ai = NULL;
	int err;

	err = getaddrinfo(f->host, f->port, &hints, &ai);
	if (err)
		return fail(f, "bad address '%s' port '%s': %s", f->host, f->port,
			    gai_strerror(err));
	f->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->fd < 0) {
		err = fail(f, "socket: %s", strerror(errno));
		goto out;
	}
	/* SO_SNDTIMEO bounds connect() too. */
	setsockopt(f->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	f->start_ns = st_now_ns();
	if (connect(f->fd, ai->ai_addr, ai->ai_addrlen) < 0) {
		err = fail(f, "can't connect to %s port %s: %s", f->host, f->port,
			   errno == EINPROGRESS ? strerror(ETIMEDOUT) : strerror(errno));
		goto out;
	}
	f->connect_ns = since_start(f);
	if (getsockname(f->fd, (struct sockaddr *)&ss, &len) == 0)
		f->local_port = ntohs(((struct sockaddr_in *)&ss)->sin_port);
out:
	freeaddrinfo(ai);
	return err;
}

static void *push_body(void *arg)
{
	struct fetch *f = arg;

	f->push_err = st_write_all(f->fd, f->outgoing.data, f->outgoing.len, 0);
	if (!f->push_err && shutdown(f->fd, SHUT_WR) < 0)
		f->push_err = -errno;
	f->push_sent_ns = since_start(f);
	return NULL;
}

/* Read the answer's first line, then the body it announces. */
/* Points are made when bytes arrive: a pause is a gap between them. */
static void note_progress(struct fetch *f)
{
	uint64_t now = since_start(f);

	if (!f->series || now < f->next_ns)
		return;
	f->next_ns = now - now % f->every_ns + f->every_ns;
	json_array_append_new(f->series,
			      json_pack("[I,I]", (json_int_t)now, (json_int_t)f->body.len));
}

static int receive_body(struct fetch *f)
{
	char line[STREAM_LINE_MAX];
	ssize_t n;
	int err;

	err = st_read_line(f->fd, line, sizeof(line));
	if (err)
		return fail(f, "no answer: %s", strerror(-err));
	f->first_ns = since_start(f);
	if (strncmp(line, "ERR ", 4) == 0)
		return fail(f, "server says: %.200s", line + 4);
	if (sscanf(line, "OK %llu", (unsigned long long *)&f->body_size) != 1)
		return fail(f, "not an answer of stream serve");
	err = st_bytes_reserve(&f->body, f->body_size);
	if (err)
		return fail(f, "no memory for %llu bytes", (unsigned long long)f->body_size);
	while (f->body.len < f->body_size) {
		n = st_read(f->fd, f->body.data + f->body.len, f->body_size - f->body.len);
		if (n < 0)
			return fail(f, "after %zu bytes: %s", f->body.len, strerror(-n));
		if (n == 0)
			return fail(f, "early end: %zu of %llu bytes", f->body.len,
				    (unsigned long long)f->body_size);
		f->body.len += n;
		note_progress(f);
		if (f->abort_after && f->body.len >= f->abort_after) {
			st_abort(f->fd);
			f->fd = -1;
			return fail(f, "aborted as asked after %zu bytes", f->body.len);
		}
	}
	f->last_ns = since_start(f);
	return 0;
}

static int receive_receipt(struct fetch *f)
{
	char line[STREAM_LINE_MAX];
	int err;

	err = st_read_line(f->fd, line, sizeof(line));
	if (!err && sscanf(line, "GOT %llu", (unsigned long long *)&f->remote_got) != 1)
		err = -EPROTO;
	f->push_got_ns = since_start(f);
	if (!err)
		err = st_read_line(f->fd, line, sizeof(line));
	if (!err && strncmp(line, "SHA256 ", 7) != 0)
		err = -EPROTO;
	if (err)
		return fail(f, "the server did not confirm the push: %s", strerror(-err));
	snprintf(f->remote_sha256, sizeof(f->remote_sha256), "%s", line + 7);
	return 0;
}

static int expect_eof(struct fetch *f)
{
	char byte;
	ssize_t n = st_read(f->fd, &byte, 1);

	f->eof_ns = since_start(f);
	if (n < 0)
		return fail(f, "instead of the end of the stream: %s", strerror(-n));
	if (n > 0)
		return fail(f, "bytes beyond the announced %llu", (unsigned long long)f->body_size);
	return 0;
}

static int transfer(struct fetch *f)
{
	bool fetching = strcmp(f->name, "-") != 0;
	char request[STREAM_LINE_MAX];
	bool pushing = false;
	pthread_t pusher;
	int err;

	if (dial(f))
		return -1;
	if (f->push)
		snprintf(request, sizeof(request), fetching ? "BOTH %s\n" : "PUSH\n", f->name);
	else
		snprintf(request, sizeof(request), "FETCH %s\n", f->name);
	err = st_write_all(f->fd, request, strlen(request), 0);
	if (err)
		return fail(f, "can't send the request: %s", strerror(-err));
	if (f->push) {
		err = pthread_create(&pusher, NULL, push_body, f);
		if (err)
			return fail(f, "can't start a thread: %s", strerror(err));
		pushing = true;
	}
	err = 0;
	if (fetching)
		err = receive_body(f);
	if (err && pushing && f->fd >= 0)
		shutdown(f->fd, SHUT_RDWR);
	if (!err && f->push)
		err = receive_receipt(f);
	if (!err)
		err = expect_eof(f);
	if (pushing)
		pthread_join(pusher, NULL);
	if (!err && f->push_err)
		err = fail(f, "push: %s", strerror(-f->push_err));
	return err;
}

static void count_damage(const struct fetch *f, json_t *out)
{
	size_t n = f->body.len < f->expected.len ? f->body.len : f->expected.len;
	json_int_t bytes = 0, bits = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char flipped = f->body.data[i] ^ f->expected.data[i];

		bytes += flipped != 0;
		bits += __builtin_popcount(flipped);
	}
	json_object_set_new(out, "damaged_bytes", json_integer(bytes));
	json_object_set_new(out, "damaged_bits", json_integer(bits));
}

/* After the clock has stopped: is it all there, is it right, where does it go? */
static void examine(struct fetch *f, json_t *out)
{
	char hex[STREAM_SHA256_HEX] = "";
	FILE *file;

	if (f->same_as) {
		bool whole = f->body.len == f->expected.len;
		bool same = whole &&
			    (!f->body.len || !memcmp(f->body.data, f->expected.data, f->body.len));

		json_object_set_new(out, "identical", json_boolean(same));
		if (f->count_damage)
			count_damage(f, out);
		if (f->count_damage ? !whole : !same)
			fail(f, "the bytes received differ from %s", f->same_as);
	} else {
		st_bytes_sha256(&f->body, hex);
		json_object_set_new(out, "sha256", json_string(hex));
	}
	if (f->push) {
		st_bytes_sha256(&f->outgoing, hex);
		if (f->remote_sha256[0] &&
		    (f->remote_got != f->outgoing.len || strcmp(hex, f->remote_sha256) != 0))
			fail(f, "the server received other bytes than were pushed");
		json_object_set_new(out, "pushed_bytes", json_integer(f->remote_got));
		json_object_set_new(out, "pushed_sha256", json_string(f->remote_sha256));
		json_object_set_new(out, "push_sent_ns", json_integer(f->push_sent_ns));
		json_object_set_new(out, "push_got_ns", json_integer(f->push_got_ns));
	}
	if (!f->output)
		return;
	file = strcmp(f->output, "-") ? fopen(f->output, "wb") : NULL;
	if (!file || fwrite(f->body.data, 1, f->body.len, file) != f->body.len)
		fail(f, "can't write '%s': %s", f->output, strerror(errno));
	if (file && fclose(file))
		fail(f, "can't write '%s': %s", f->output, strerror(errno));
}

static int report(struct fetch *f)
{
	json_t *out = json_object();

	json_object_set_new(out, "name", json_string(f->name));
	json_object_set_new(out, "bytes", json_integer(f->body.len));
	json_object_set_new(out, "local_port", json_integer(f->local_port));
	json_object_set_new(out, "connect_ns", json_integer(f->connect_ns));
	json_object_set_new(out, "first_byte_ns", json_integer(f->first_ns));
	json_object_set_new(out, "last_byte_ns", json_integer(f->last_ns));
	json_object_set_new(out, "eof_ns", json_integer(f->eof_ns));
	if (f->series)
		json_object_set(out, "series", f->series);
	examine(f, out);
	json_object_set_new(out, "error", f->error[0] ? json_string(f->error) : json_null());
	json_dumpf(out, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(out);
	return fflush(stdout) || f->error[0] ? STREAM_FAILED : STREAM_OK;
}

/* One client, from its memory to its line of JSON. @gate: NULL, or what all wait at before the first begins. */
static int client(void *arg, struct st_gate *gate)
{
	struct fetch *f = arg;
	int status;
	int err;

	/* In the client's own process: pages that a fork() shares would be copied while the clock runs. */
	if (f->expected.len) {
		err = st_bytes_reserve(&f->body, f->expected.len);
		if (err)
			fail(f, "no memory for %zu bytes: %s", f->expected.len, strerror(-err));
	}
	if (f->every_ns)
		f->series = json_array();
	st_gate_wait(gate);
	if (!f->error[0])
		transfer(f);
	status = report(f);
	if (f->error[0])
		fprintf(stderr, "stream fetch: %s\n", f->error);
	if (f->fd >= 0)
		close(f->fd);
	json_decref(f->series);
	st_bytes_free(&f->body);
	return status;
}

static error_t parse_fetch(int key, char *arg, struct argp_state *state)
{
	struct fetch *f = state->input;
	char *end;

	switch (key) {
	case 'o': f->output = arg; return 0;
	case 'P': f->push = arg; return 0;
	case 'e': f->same_as = arg; return 0;
	case 'd': f->count_damage = true; return 0;
	case 'i':
		f->every_ns = strtoull(arg, &end, 10) * 1000000;
		if (*end || !f->every_ns)
			argp_error(state, "--series takes milliseconds, not '%s'", arg);
		return 0;
	case 'a':
		f->abort_after = strtoull(arg, &end, 10);
		if (*end || !f->abort_after)
			argp_error(state, "--abort-after takes a number of bytes, not '%s'", arg);
		return 0;
	case 'c':
		f->clients = strtoul(arg, &end, 10);
		if (*end || !f->clients)
			argp_error(state, "--clients takes a number, not '%s'", arg);
		return 0;
	case 't':
		f->timeout_s = strtoul(arg, &end, 10);
		if (*end || !f->timeout_s)
			argp_error(state, "--timeout takes whole seconds, not '%s'", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 2)
			argp_error(state, "unexpected argument '%s'", arg);
		*(state->arg_num == 0 ? &f->host : state->arg_num == 1 ? &f->port : &f->name) = arg;
		return 0;
	case ARGP_KEY_END:
		if (state->arg_num < 3)
			argp_error(state, "HOST, PORT and NAME are needed");
		if (strlen(f->name) > STREAM_LINE_MAX - 16 || strchr(f->name, '\n'))
			argp_error(state, "a file name of that kind can't be asked for");
		if (strcmp(f->name, "-") == 0 && !f->push)
			argp_error(state, "NAME '-' (fetch nothing) needs --push");
		if (f->clients > 1 && (f->output || f->every_ns))
			argp_error(state, "--output and --series are for one client");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

int cmd_fetch(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "output", 'o', "FILE", 0, "write what was received", 0 },
		{ "push", 'P', "FILE", 0, "send this file too, at the same time", 0 },
		{ "same-as", 'e', "FILE", 0,
		  "compare with this file instead of hashing (cheaper in an emulated machine)", 0 },
		{ "timeout", 't', "SECONDS", 0, "give up after so long without progress (60)", 0 },
		{ "damage", 'd', NULL, 0,
		  "with --same-as: count the bytes and bits that differ, and do not fail for them",
		  0 },
		{ "series", 'i', "MS", 0, "add [nanoseconds, bytes] at most every MS milliseconds",
		  0 },
		{ "clients", 'c', "N", 0,
		  "be N clients, processes of their own that begin at the same instant; a line each",
		  0 },
		{ "abort-after", 'a', "N", 0, "reset the connection after N bytes", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_fetch,
		.args_doc = "HOST PORT NAME",
		.doc = "Fetch NAME (`-`: nothing) and print one line of JSON; times are nanoseconds "
		       "since just before connect(). Exit 0 only if every byte arrived.",
	};
	struct fetch f = { .fd = -1, .timeout_s = 60, .clients = 1 };
	const char *bad = NULL;
	int status;
	int err = 0;

	argp_err_exit_status = STREAM_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &f);
	if (f.push && (err = st_bytes_map(&f.outgoing, f.push)))
		bad = f.push;
	if (!err && f.same_as && (err = st_bytes_map(&f.expected, f.same_as)))
		bad = f.same_as;
	if (bad)
		fail(&f, "can't read '%s': %s", bad, strerror(-err));
	status = f.clients > 1 ? st_crowd(f.clients, client, &f) : client(&f, NULL);
	st_bytes_free(&f.expected);
	st_bytes_free(&f.outgoing);
	return status;
}
