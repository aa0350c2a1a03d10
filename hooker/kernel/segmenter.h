/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The segmenter: a macvlan device on a network interface that sends one TCP segment at a time. A GSO
 * super-packet redirected to it comes back to the interface's tc egress as ordinary segments, in the
 * same call, in order, still owned by its socket (bpf/lib/kernel_tx.bpf.h). It receives nothing
 * (mode "source" without a source) and has no address.
 */
#ifndef HOOKER_KERNEL_SEGMENTER_H
#define HOOKER_KERNEL_SEGMENTER_H

#include <stdbool.h>

/**
 * Makes the segmenter of @ifindex in the current network namespace, named "hkseg" and that index; a
 * leftover of that name is replaced. Returns its interface index, or -errno: -EBUSY, the interface is
 * a port of a bridge or bond (attach to that instead); -EOPNOTSUPP, the kernel has no macvlan.
 */
int hk_segmenter_create(int ifindex);

/* Sets again what some kernels forget when the interface's features change. Returns 0 or -errno. */
int hk_segmenter_refresh(int segmenter);

/* Is @name that of a segmenter? */
bool hk_is_segmenter(const char *name);

/* Removes what hk_segmenter_create(@ifindex) made, now or in another process; absence is fine. */
void hk_segmenter_remove(int ifindex);

#endif
