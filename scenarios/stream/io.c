// SPDX-License-Identifier: GPL-2.0
/* Bytes, sockets and the clock: what both sides of `stream` share. */
#include <errno.h>
#include <poll.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "scenarios/stream/stream.h"

int st_bytes_map(struct st_bytes *b, const char *path)
{
	struct stat st;
	void *data;
	int err = 0;
	int fd;

	*b = (struct st_bytes){ 0 };
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		err = -errno;
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err = -EINVAL;
		goto out;
	}
	if (!st.st_size)
		goto out;
	data = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (data == MAP_FAILED) {
		err = -errno;
		goto out;
	}
	b->data = data;
	b->len = b->room = st.st_size;
out:
	close(fd);
	return err;
}

int st_bytes_reserve(struct st_bytes *b, size_t room)
{
	void *data;

	if (room <= b->room)
		return 0;
	/* Populated now, so that no page fault falls into a timed section. */
	data = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		    -1, 0);
	if (data == MAP_FAILED)
		return -errno;
	if (b->len)
		memcpy(data, b->data, b->len);
	if (b->data)
		munmap(b->data, b->room);
	b->data = data;
	b->room = room;
	return 0;
}

void st_bytes_free(struct st_bytes *b)
{
	if (b->data)
		munmap(b->data, b->room);
	*b = (struct st_bytes){ 0 };
}

void st_bytes_sha256(const struct st_bytes *b, char hex[STREAM_SHA256_HEX])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	EVP_Digest(b->data ? b->data : (const unsigned char *)"", b->len, md, &len, EVP_sha256(),
		   NULL);
	for (unsigned int i = 0; i < len && 2 * i + 2 < STREAM_SHA256_HEX; i++)
		snprintf(hex + 2 * i, 3, "%02x", md[i]);
}

uint64_t st_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

int st_write_all(int fd, const void *data, size_t len, int msg_flags)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, msg_flags | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		p += n;
		len -= n;
	}
	return 0;
}

/* What SO_RCVTIMEO says, for poll(). */
static int patience_ms(int fd)
{
	struct timeval tv = { 0 };
	socklen_t len = sizeof(tv);

	getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len);
	return tv.tv_sec || tv.tv_usec ? tv.tv_sec * 1000 + tv.tv_usec / 1000 : -1;
}

ssize_t st_read(int fd, void *data, size_t len)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	for (;;) {
		ssize_t n = recv(fd, data, len, MSG_DONTWAIT);

		if (n >= 0)
			return n;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (errno == EAGAIN && !poll(&wait, 1, patience_ms(fd)))
			return -ETIMEDOUT;
	}
}

int st_read_line(int fd, char *line, size_t room)
{
	size_t len = 0;

	while (len < room) {
		ssize_t n = st_read(fd, line + len, 1);

		if (n < 0)
			return n;
		if (n == 0)
			return -EPROTO;
		if (line[len] == '\n') {
			line[len] = '\0';
			return 0;
		}
		len++;
	}
	return -EPROTO;
}

int st_drain(int fd, struct st_bytes *into)
{
	for (;;) {
		ssize_t n;
		int err = 0;

		if (into->len == into->room)
			err = st_bytes_reserve(into, into->room ? 2 * into->room : 1 << 20);
		if (err)
			return err;
		n = st_read(fd, into->data + into->len, into->room - into->len);
		if (n <= 0)
			return n;
		into->len += n;
	}
}

void st_abort(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}
