/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel datapath (bpf/kernel.bpf.c) on one network interface. */
#ifndef HOOKER_KERNEL_KERNEL_H
#define HOOKER_KERNEL_KERNEL_H

#include <stdbool.h>

struct hk_dispatch;
struct hk_kernel;

struct hk_kernel_options {
	int ifindex;
	/* XDP on the same interface, must outlive the kernel datapath; NULL = receive at tc ingress. */
	struct hk_dispatch *dispatch;
	bool damage; /* rules may tolerate damage: XDP then needs a program at tc ingress as well */
	/* Maps of the sock_ops object, shared. */
	int flows_fd;
	int half_fd;
	int paths_fd;
	int config_fd;
	int count_fd;
	int journal_fd;
	int reasons_fd;
};

/**
 * Loads the datapath, makes the segmenter, attaches to tc, and to the dispatcher if there is one. From then on the flows
 * that sock_ops negotiates are redirected on this interface; until then, and after hk_kernel_close(),
 * they stay on TCP. Returns 0 or -errno, having reported what is missing.
 */
int hk_kernel_open(struct hk_kernel **out, const struct hk_kernel_options *options);

/* Keeps the segmenter as it must be when the interface changes; once a second. NULL is fine. */
void hk_kernel_refresh(struct hk_kernel *kernel);

/* Detaches and frees; flows go on in TCP. NULL is fine. */
void hk_kernel_close(struct hk_kernel *kernel);

#endif
