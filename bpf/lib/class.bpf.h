/* SPDX-License-Identifier: GPL-2.0 */
/* Which rules' cgroups the socket at hand belongs to: written by bpf/class.bpf.c, read by hk_sockops. */
#ifndef HOOKER_CLASS_BPF_H
#define HOOKER_CLASS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct hk_class {
	__u64 cookie; /* of the socket; a softirq may have put another in between */
	__u64 rules;  /* bit i: rule i of the list in force */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hk_class);
} hk_class SEC(".maps");

static __always_inline struct hk_class *hk_class_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hk_class, &zero);
}

/* The rules whose cgroup the socket of @ctx is in; each call of the programs tells anew. */
static __always_inline __u64 hk_class_rules(struct bpf_sock_ops *ctx)
{
	struct hk_class *class = hk_class_get();
	__u64 rules = 0;

	if (!class)
		return 0;
	if (class->cookie == bpf_get_socket_cookie(ctx))
		rules = class->rules;
	class->rules = 0;
	return rules;
}

#endif
