/* SPDX-License-Identifier: GPL-2.0 */
/* Counters by reason. Objects loaded together share one hk_count map (bpf_map__reuse_fd). */
#ifndef HOOKER_COUNT_BPF_H
#define HOOKER_COUNT_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"

/* enum hk_counter -> events; written by every program, read by `hooker stats`. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HK_COUNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} hk_count SEC(".maps");

static __always_inline void hk_counter_add(__u32 counter, __u64 number)
{
	__u64 *value = bpf_map_lookup_elem(&hk_count, &counter);

	if (value)
		*value += number;
}

static __always_inline void hk_counter_inc(__u32 counter)
{
	hk_counter_add(counter, 1);
}

#endif
