// SPDX-License-Identifier: GPL-2.0
/*
 * Rules by cgroup: this sock_ops program, once per rule, sits on the cgroup the rule names. Programs of
 * a descendant run before those of its ancestors, so it leaves word for hk_sockops (bpf/lib/choose.bpf.h)
 * that the socket at hand belongs there. No helper of 5.10 tells a sock_ops program the socket's cgroup.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"
#include "bpf/lib/class.bpf.h"

/* The rule's bit; set before load. */
const volatile __u64 hk_rule_bit = 0;

SEC("sockops")
int hk_classify(struct bpf_sock_ops *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct hk_class *class = hk_class_get();

	if (!class)
		return 1;
	if (class->cookie != cookie) {
		class->cookie = cookie;
		class->rules = 0;
	}
	class->rules |= hk_rule_bit;
	return 1;
}

char _license[] SEC("license") = "GPL";
