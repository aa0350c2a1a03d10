/* SPDX-License-Identifier: GPL-2.0 */
/* Removes flows of the kernel datapath that ended long enough ago from hk_flows. */
#ifndef HOOKER_KERNEL_GC_H
#define HOOKER_KERNEL_GC_H

/**
 * @flows_fd: hk_flows. @linger_s: how long a closed flow stays, for the sake of TIME_WAIT; much less
 * once the table is half full. @stuck: gets the number of flows without an answer on either way. Returns the number of flows left, or -errno.
 */
int hk_kernel_gc(int flows_fd, unsigned int linger_s, int *stuck);

#endif
