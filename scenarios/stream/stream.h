/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of `stream`, an ordinary TCP program: a file server, a client that times what it
 * receives, a generator of test files. It knows nothing of Hooker.
 *
 * Protocol, one request a connection:
 *   client  FETCH NAME\n | PUSH\n | BOTH NAME\n     (PUSH and BOTH: the client's bytes follow,
 *                                                    ended by its half-close)
 *   server  OK SIZE\n and SIZE bytes                (FETCH, BOTH; ERR TEXT\n if it cannot)
 *   server  GOT BYTES\n at once when the client's bytes have ended, then SHA256 HEX\n
 *   server  closes
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STREAM_OK = 0, STREAM_FAILED = 1, STREAM_USAGE = 2 };
enum { STREAM_LINE_MAX = 512, STREAM_SHA256_HEX = 65 };

/* Subcommands: take what followed the subcommand's name, return the exit code. */
int cmd_serve(int argc, char **argv);
int cmd_fetch(int argc, char **argv);
int cmd_generate(int argc, char **argv);

/* A block of bytes: anonymous memory, or a file mapped for reading. */
struct st_bytes {
	unsigned char *data;
	size_t len;
	size_t room;
};

/* Map the whole of file @path for reading. Returns 0 or -errno. An empty file has data NULL. */
int st_bytes_map(struct st_bytes *b, const char *path);
/* Make room for @room bytes, memory already backed by pages. Returns 0 or -errno. */
int st_bytes_reserve(struct st_bytes *b, size_t room);
void st_bytes_free(struct st_bytes *b);
void st_bytes_sha256(const struct st_bytes *b, char hex[STREAM_SHA256_HEX]);

/* Monotonic clock, nanoseconds. */
uint64_t st_now_ns(void);

/* All return 0 (or a count) or -errno; they continue after EINTR and short writes. */
int st_write_all(int fd, const void *data, size_t len, int msg_flags);
ssize_t st_read(int fd, void *data, size_t len);
/* Read one line, byte by byte and so never past its end, without its newline; -EPROTO if it is
 * longer than @room or the stream ends inside it. */
int st_read_line(int fd, char *line, size_t room);
/* Read to the end of the stream, counting the bytes and hashing them once all have arrived. */
int st_drain(int fd, struct st_bytes *into);

/*
 * Be @n clients: each runs @client in a process of its own, which calls st_gate_wait() once it is
 * prepared and goes on when all are. Returns the worst exit status.
 */
struct st_gate;
int st_crowd(unsigned int n, int (*client)(void *arg, struct st_gate *gate), void *arg);
/* Without a gate (NULL) there is nobody to wait for. */
void st_gate_wait(struct st_gate *gate);

/* Close at once with a reset (RST) instead of an end of stream. */
void st_abort(int fd);

#endif
