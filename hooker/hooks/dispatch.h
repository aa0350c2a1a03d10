/* SPDX-License-Identifier: GPL-2.0 */
/* The XDP dispatcher (bpf/dispatch.bpf.c) on one network interface. */
#ifndef HOOKER_DISPATCH_H
#define HOOKER_DISPATCH_H

#include <stdbool.h>

struct hk_dispatch;

enum hk_xdp_mode {
	HK_XDP_AUTO,   /* native, or generic with a warning where the driver has no native XDP */
	HK_XDP_NATIVE, /* fail if the driver has none */
	HK_XDP_GENERIC,
};

/**
 * Loads the dispatcher and attaches it to @ifindex by a bpf_link, so that it vanishes with its owner.
 * @count_fd: the hk_count map to share, or -1 for one of its own.
 * Returns 0 or -errno; -EBUSY: another XDP program is attached there.
 */
int hk_dispatch_open(struct hk_dispatch **out, int ifindex, enum hk_xdp_mode mode, int count_fd);

/**
 * Puts the XDP program @prog_fd into @slot (HK_RX_FIRST or HK_RX_SECOND of an IP protocol, bpf/abi.h),
 * atomically replacing what was there; @prog_fd -1 empties the slot. Returns 0 or -errno.
 */
int hk_dispatch_set(struct hk_dispatch *dispatch, unsigned int slot, int prog_fd);

/* File descriptor of the PROG_ARRAY, for steps that tail-call HK_RX_SECOND themselves. */
int hk_dispatch_map_fd(const struct hk_dispatch *dispatch);

/* File descriptor of the link, to pin it. Pin the map too: a PROG_ARRAY without a user empties itself. */
int hk_dispatch_link_fd(const struct hk_dispatch *dispatch);

bool hk_dispatch_is_native(const struct hk_dispatch *dispatch);

/* Detaches and frees; NULL is fine. */
void hk_dispatch_close(struct hk_dispatch *dispatch);

#endif
