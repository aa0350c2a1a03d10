/* SPDX-License-Identifier: GPL-2.0 */
/* A TCP connection of a process in a given cgroup, which carries nothing but its own end. */
#ifndef HOOKER_PROBE_H
#define HOOKER_PROBE_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct hk_tree;

struct hk_probe {
	pid_t pid;
	int orders;	   /* a byte: end sending; closed: go */
	int error;	   /* of connect(), 0 = connected */
	double connect_ms; /* how long that took */
	uint64_t cookie;   /* of the socket */
};

/**
 * Connects from within @tree. Returns 0 (then see error) or -errno, reported; -EINTR: a signal is to end
 * this process.
 */
int hk_probe_start(struct hk_probe *probe, const struct hk_tree *tree, const struct sockaddr *to,
		   socklen_t length, double timeout_s);

/* Ends the sending half: what tells the peer so is the first thing that travels. */
void hk_probe_shut(struct hk_probe *probe);

/* Closes the connection and waits for its process. */
void hk_probe_end(struct hk_probe *probe);

#endif
