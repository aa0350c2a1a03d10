// SPDX-License-Identifier: GPL-2.0
/*
 * Servers that listen already when Hooker starts: sock_ops sees a listener only in listen(). This
 * iterator over the namespace's TCP sockets gives them the flag that LISTEN_CB would have set.
 * TCP_BPF_SOCK_OPS_CB_FLAGS came with Linux 6.12; before it such servers must be restarted.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#define HK_TCP_LISTEN		     10
#define HK_TCP_BPF_SOCK_OPS_CB_FLAGS 1008

/* The fields used, by CO-RE; the kernel has more. */
struct sock_common {
	unsigned char skc_state;
} __attribute__((preserve_access_index));

struct bpf_iter_meta;

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
} __attribute__((preserve_access_index));

/* Out: how many listeners were given the flag, and how many refused it. */
__u32 hk_listeners_set;
__u32 hk_listeners_refused;

SEC("iter/tcp")
int hk_listeners(struct bpf_iter__tcp *ctx)
{
	int flags = BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG;
	struct sock_common *sk = ctx->sk_common;

	if (!sk || sk->skc_state != HK_TCP_LISTEN)
		return 0;
	if (bpf_setsockopt(sk, IPPROTO_TCP, HK_TCP_BPF_SOCK_OPS_CB_FLAGS, &flags, sizeof(flags)))
		hk_listeners_refused++;
	else
		hk_listeners_set++;
	return 0;
}

char _license[] SEC("license") = "GPL";
