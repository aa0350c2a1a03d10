/* SPDX-License-Identifier: GPL-2.0 */
/* Milestones of connections: counted by reason always, told one by one while somebody follows. */
#ifndef HOOKER_JOURNAL_BPF_H
#define HOOKER_JOURNAL_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"
#include "bpf/lib/flow.bpf.h"

/* For `hooker events`: struct hk_note. Written while HK_CONFIG_JOURNAL is set. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} hk_journal SEC(".maps");

/* Connections by enum hk_reason: those left on TCP, then from HK_REASONS_ROOM on those that fell back. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2 * HK_REASONS_ROOM);
	__type(key, __u32);
	__type(value, __u64);
} hk_reasons SEC(".maps");

static __always_inline void hk_reason_inc(__u32 first, __u32 reason)
{
	__u32 index = first + reason;
	__u64 *value = bpf_map_lookup_elem(&hk_reasons, &index);

	if (value)
		(*value)++;
}

static __always_inline void hk_note(const struct hk_flow_key *key, const struct hk_flow *flow,
				    __u32 what)
{
	struct hk_config *config = hk_config_get();
	struct hk_note *note;

	if (!config || !(config->flags & HK_CONFIG_JOURNAL))
		return;
	note = bpf_ringbuf_reserve(&hk_journal, sizeof(*note), 0);
	if (!note)
		return;
	note->what = what;
	note->state = flow->state;
	note->datapath = flow->datapath;
	note->transport = flow->transport;
	note->reason = flow->reason;
	note->flags = flow->flags;
	note->pad = 0;
	note->key = *key;
	note->cookie = flow->cookie;
	note->since_ns = flow->since_ns;
	note->at_ns = bpf_ktime_get_ns();
	note->tx_bytes = flow->tx_bytes;
	bpf_ringbuf_submit(note, 0);
}

#endif
