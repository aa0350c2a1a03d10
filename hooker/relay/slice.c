// SPDX-License-Identifier: GPL-2.0
/* A file of its own: the kernel's header and <sched.h>, which others include, may not meet. */
#include "hooker/relay/slice.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/sched.h>
#include <linux/sched/types.h>

/*
 * Shorter than any default (0.7 ms on one processor, more on several), so that the daemon runs as soon
 * as an application has written its first bytes and not when it has written them all; longer than one
 * turn of the loop, which a woken application would else cut in two.
 */
#define SLICE_NS 500000

int ask_for_slice(void)
{
	struct sched_attr attr = { .size = sizeof(attr) };

	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0))
		return -errno;
	/* Somebody has given it another policy: that holds. */
	if (attr.sched_policy != SCHED_NORMAL)
		return 0;
	attr.sched_flags |= SCHED_FLAG_RESET_ON_FORK;
	attr.sched_runtime = SLICE_NS;
	return syscall(SYS_sched_setattr, 0, &attr, 0) ? -errno : 0;
}
