/* SPDX-License-Identifier: GPL-2.0 */
/* What link.c and links.c share: one link, and all of them. */
#ifndef HOOKER_LINK_H
#define HOOKER_LINK_H

#include "hooker/relay/internal.h"

struct bufferevent;

struct link {
	struct loop *loop;
	uint32_t local_ip4, remote_ip4;
	struct bufferevent *bev;
	bool up;
	bool ours;	      /* connected by this end, which also closes it when idle */
	bool proven;	      /* a frame for a connection of ours has come */
	struct conn *waiting; /* for room to send, in turn */
	uint64_t opened_at, used_at;
	struct link *prev, *next;
};

struct links {
	struct loop *loop;
	int listener;
	struct event *acceptable, *tick;
	struct link *all;
	unsigned int count;
	uint64_t connects, failures, accepted, strangers, sent, received, malformed;
};

/* A socket option that it works without, if not as well. */
void link_option(int fd, int level, int option, int value);

/* On @fd, which it takes. NULL: no memory, @fd is closed. */
struct link *link_new(struct loop *loop, int fd, uint32_t local_ip4, uint32_t remote_ip4);
/* The accepting end greets: up at once. */
void link_greet(struct link *link);
/* The connecting end waits for the greeting. Returns 0 or -ENOMEM: release it. */
int link_await(struct link *link);
/* Its connections are told why, @err: a positive errno. Settle afterwards. */
void link_drop(struct link *link, int err);
/* The last resets, if the kernel takes them. */
void link_flush(struct link *link);
/* Without a word to its connections. */
void link_release(struct link *link);

#endif
