/* SPDX-License-Identifier: GPL-2.0 */
/* The TCP sockets of this network namespace as the kernel sees them, and whose they are. */
#ifndef HOOKER_SOCKETS_H
#define HOOKER_SOCKETS_H

#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

struct hk_socket {
	uint64_t cookie;
	uint32_t inode, uid;
	double rtt_ms;
	uint64_t acked_bytes, received_bytes; /* payload that has arrived there, here */
	uint32_t retransmissions;	      /* segments */
	pid_t pid;			      /* a process that has it open, 0 = not found */
	char process[16];
	UT_hash_handle hh;
};

/**
 * All of them but listeners, with processes as far as /proc shows them; a hash by cookie. NULL if there
 * are none or the kernel does not tell. hk_sockets_free() afterwards.
 */
struct hk_socket *hk_sockets_read(void);

struct hk_socket *hk_sockets_find(struct hk_socket *sockets, uint64_t cookie);

void hk_sockets_free(struct hk_socket *sockets);

#endif
