/* SPDX-License-Identifier: GPL-2.0 */
/* When the scheduler lets the daemon run. */
#ifndef HOOKER_RELAY_SLICE_H
#define HOOKER_RELAY_SLICE_H

/*
 * Asks for short slices for the calling thread. Since Linux 6.12 (kernel/sched/fair.c) a task with a shorter slice
 * than the running task's takes its place when it wakes; older kernels accept and ignore it. Takes no privilege,
 * and is not inherited by what the thread starts. Returns 0 or -errno.
 */
int ask_for_slice(void);

#endif
