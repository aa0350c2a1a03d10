// SPDX-License-Identifier: GPL-2.0
/*
 * What an application's socket holds unread. An object of its own: it needs the kernel's BTF, and the
 * relay works without it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"
#include "bpf/lib/apps.bpf.h"

/* What is needed of the kernel's structs; CO-RE finds the fields. */
struct file {
	unsigned int f_flags;
} __attribute__((preserve_access_index));

struct socket {
	struct file *file;
} __attribute__((preserve_access_index));

struct sock {
	struct {
		struct {
			int counter;
		} rmem_alloc;
	} sk_backlog;
	struct socket *sk_socket;
} __attribute__((preserve_access_index));

/*
 * Run by BPF_PROG_TEST_RUN: the packet holds a sock_key behind an Ethernet header, and the answer
 * takes its place. What SK_MSG redirected to a socket and nobody has read is in rmem_alloc.
 */
SEC("tc")
int hk_look(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct sock_key *key = data + sizeof(struct ethhdr);
	struct hk_look look = {};
	struct sock_key asked;
	struct bpf_sock *found;
	struct sock *sk;
	struct file *file;

	if ((void *)(key + 1) > end)
		return TC_ACT_OK;
	asked = *key;
	found = bpf_map_lookup_elem(&hk_apps, &asked);
	/* The verifier lets nobody read past a bpf_sock, but anybody past a tcp_sock. */
	sk = found ? (struct sock *)bpf_skc_to_tcp_sock(found) : 0;
	if (sk) {
		look.found = 1;
		look.unread = BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter);
		file = BPF_CORE_READ(sk, sk_socket, file);
		look.nonblock = file && BPF_CORE_READ(file, f_flags) & 04000;
	}
	if (found)
		bpf_sk_release(found);
	__builtin_memcpy(key, &look, sizeof(look));
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
