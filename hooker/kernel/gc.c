// SPDX-License-Identifier: GPL-2.0
#include "hooker/kernel/gc.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <bpf/bpf.h>

#include "bpf/abi.h"

#define BATCH	      256
#define TABLE_SIZE    65536 /* max_entries of hk_flows */
#define LINGER_FULL_S 2

struct batch {
	struct hk_flow_key keys[BATCH];
	struct hk_flow flows[BATCH];
};

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static int is_over(const struct hk_flow *flow, __u64 now, __u64 linger_ns)
{
	return flow->datapath == HK_DATAPATH_KERNEL && flow->state == HK_FLOW_CLOSING &&
	       now > flow->changed_ns && now - flow->changed_ns >= linger_ns;
}

/* One pass; counts into @total all flows seen and returns how many were removed, or -errno. */
static int sweep(int flows_fd, struct batch *batch, __u64 linger_ns, int *total, int *stuck)
{
	__u64 now = now_ns();
	__u32 next, count, i;
	void *from = NULL;
	int removed = 0, err;

	*total = *stuck = 0;
	do {
		count = BATCH;
		err = bpf_map_lookup_batch(flows_fd, from, &next, batch->keys, batch->flows, &count,
					   NULL);
		if (err && errno != ENOENT)
			return -errno; /* ENOSPC: a bucket larger than the batch, impossible here */
		for (i = 0; i < count; i++) {
			*stuck += batch->flows[i].stuck && batch->flows[i].state != HK_FLOW_CLOSING;
			if (is_over(&batch->flows[i], now, linger_ns) &&
			    !bpf_map_delete_elem(flows_fd, &batch->keys[i]))
				removed++;
		}
		*total += count;
		from = &next;
	} while (!err);
	return removed;
}

int hk_kernel_gc(int flows_fd, unsigned int linger_s, int *stuck)
{
	struct batch *batch = malloc(sizeof(*batch));
	int removed, total;

	if (!batch)
		return -ENOMEM;
	removed = sweep(flows_fd, batch, linger_s * 1000000000ULL, &total, stuck);
	if (removed >= 0 && total - removed > TABLE_SIZE / 2 && linger_s > LINGER_FULL_S)
		removed = sweep(flows_fd, batch, LINGER_FULL_S * 1000000000ULL, &total, stuck);
	free(batch);
	return removed < 0 ? removed : total - removed;
}
