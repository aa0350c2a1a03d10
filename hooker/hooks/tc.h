/* SPDX-License-Identifier: GPL-2.0 */
/* A BPF program on a network interface's tc hook: a TCX link where the kernel has them, else clsact. */
#ifndef HOOKER_TC_H
#define HOOKER_TC_H

struct hk_tc;

enum hk_tc_side {
	HK_TC_INGRESS,
	HK_TC_EGRESS,
};

/* Where among the programs on that hook. Hooker has at most one program per side and position. */
enum hk_tc_position {
	HK_TC_FIRST = 1,
	HK_TC_LAST = 2,
};

/**
 * Attaches the SCHED_CLS program @prog_fd to @ifindex in the current network namespace. It should
 * return TC_ACT_UNSPEC (-1) to let the next program see the packet: both kinds of hook agree on it.
 *
 * Linux 6.6 and later: a bpf_link, which vanishes with its owner unless it is pinned (hk_tc_fd).
 * Earlier: a clsact filter, which outlives its owner. It has Hooker's own handle, so that attaching
 * again replaces what a killed process left, and hk_tc_sweep() finds it.
 *
 * Returns 0 or -errno; -ENODEV: no such interface, -EOPNOTSUPP: the kernel has neither hook.
 */
int hk_tc_attach(struct hk_tc **out, int ifindex, enum hk_tc_side side, int prog_fd,
		 enum hk_tc_position position);

/* The same without clsact: -EOPNOTSUPP where the kernel has no TCX (before Linux 6.6). */
int hk_tc_attach_link(struct hk_tc **out, int ifindex, enum hk_tc_side side, int prog_fd,
		      enum hk_tc_position position);

/* The link's file descriptor, to pin it; -1 for a clsact filter. Stays owned by @tc. */
int hk_tc_fd(const struct hk_tc *tc);

/* "tcx" or "clsact", for status. */
const char *hk_tc_kind(const struct hk_tc *tc);

/* Detaches and frees; NULL is fine. The clsact qdisc goes too once no filter is left in it. */
void hk_tc_detach(struct hk_tc *tc);

/*
 * Frees @tc without detaching: a pinned link or a clsact filter stays until its pin is removed or
 * hk_tc_sweep() is called.
 */
void hk_tc_release(struct hk_tc *tc);

/* How many clsact filters of others @ifindex has: they see packets before Hooker's, or steal them. */
int hk_tc_foreign(int ifindex);

/*
 * Removes every clsact filter of Hooker on @ifindex, and the qdisc if nothing else uses it.
 * Returns how many filters were removed, or -errno.
 */
int hk_tc_sweep(int ifindex);

#endif
