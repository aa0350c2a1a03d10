/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOOKER_APPS_BPF_H
#define HOOKER_APPS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"

/* sock_key -> application socket of a redirected connection. Written by sock_ops on ESTABLISHED. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 65536);
	__type(key, struct sock_key);
	__type(value, __u64);
} hk_apps SEC(".maps");

#endif
