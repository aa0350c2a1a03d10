// SPDX-License-Identifier: GPL-2.0
#include "hooker/kernel/gc.h"

#include <time.h>
#include <bpf/bpf.h>

#include "bpf/abi.h"
#include "hooker/state/flows.h"

#define TABLE_SIZE    65536 /* max_entries of hk_flows */
#define LINGER_FULL_S 2

struct sweep {
	int flows_fd;
	__u64 now, linger_ns;
	int left, stuck;
};

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static int is_over(const struct sweep *sweep, const struct hk_flow *flow)
{
	return flow->datapath == HK_DATAPATH_KERNEL && flow->state == HK_FLOW_CLOSING &&
	       sweep->now > flow->changed_ns && sweep->now - flow->changed_ns >= sweep->linger_ns;
}

static int visit(void *arg, const struct hk_flow_key *key, const struct hk_flow *flow)
{
	struct sweep *sweep = arg;

	sweep->stuck += flow->stuck && flow->state != HK_FLOW_CLOSING;
	sweep->left += !is_over(sweep, flow) || bpf_map_delete_elem(sweep->flows_fd, key);
	return 0;
}

/* One pass; @stuck as in hk_kernel_gc(). Returns how many are left, or -errno. */
static int sweep(int flows_fd, unsigned int linger_s, int *stuck)
{
	struct sweep sweep = {
		.flows_fd = flows_fd,
		.now = now_ns(),
		.linger_ns = linger_s * 1000000000ULL,
	};
	int err = hk_flows_each(flows_fd, visit, &sweep);

	*stuck = sweep.stuck;
	return err ?: sweep.left;
}

int hk_kernel_gc(int flows_fd, unsigned int linger_s, int *stuck)
{
	int left = sweep(flows_fd, linger_s, stuck);

	if (left > TABLE_SIZE / 2 && linger_s > LINGER_FULL_S)
		left = sweep(flows_fd, LINGER_FULL_S, stuck);
	return left;
}
