/* SPDX-License-Identifier: GPL-2.0 */
/* What a new connection asks for or agrees to: the list of rules, then what is known of the path. */
#ifndef HOOKER_CHOOSE_BPF_H
#define HOOKER_CHOOSE_BPF_H

#include "bpf/lib/flow.bpf.h"

/* Two lists of HK_RULES_MAX: the one in force (hk_config.rules_first) and a spare. By userspace. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * HK_RULES_MAX);
	__type(key, __u32);
	__type(value, struct hk_rule);
} hk_rules SEC(".maps");

static __always_inline int hk_rule_matches(const struct hk_rule *rule, __u64 remote_high,
					   __u64 remote_low, __u16 local_port, __u16 remote_port,
					   int in_cgroup)
{
	if ((rule->local_port && rule->local_port != local_port) ||
	    (rule->remote_port && rule->remote_port != remote_port) || (rule->cgroup && !in_cgroup))
		return 0;
	return ((remote_high >> 32) & rule->remote_mask[0]) == rule->remote_ip[0] &&
	       ((__u32)remote_high & rule->remote_mask[1]) == rule->remote_ip[1] &&
	       ((remote_low >> 32) & rule->remote_mask[2]) == rule->remote_ip[2] &&
	       ((__u32)remote_low & rule->remote_mask[3]) == rule->remote_ip[3];
}

/*
 * The index in hk_rules of the first rule that matches, or -1. A global function: the verifier walks
 * the list once, instead of in every callback that leads here. On Linux 5.10 such a function can take
 * numbers only, so the key comes in pieces: the address in two halves, the ports in one number.
 */
__noinline int hk_rule_find(__u64 remote_high, __u64 remote_low, __u32 ports, __u64 classes)
{
	struct hk_config *config = hk_config_get();
	__u32 i, first, count;

	if (!config)
		return -1;
	first = config->rules_first;
	count = config->rules_count;
	for (i = 0; i < HK_RULES_MAX; i++) {
		__u32 index = first + i;
		struct hk_rule *rule;

		if (i >= count)
			break;
		rule = bpf_map_lookup_elem(&hk_rules, &index);
		if (rule && hk_rule_matches(rule, remote_high, remote_low, ports >> 16, ports,
					    classes >> i & 1))
			return index;
	}
	return -1;
}

static __always_inline int hk_key_is_ip4(const struct hk_flow_key *key)
{
	return !key->remote_ip[0] && !key->remote_ip[1] && key->remote_ip[2] == bpf_htonl(0xffff);
}

static __always_inline int hk_key_is_loopback(const struct hk_flow_key *key)
{
	if (hk_key_is_ip4(key) && bpf_ntohl(key->remote_ip[3]) >> 24 == 127)
		return 1;
	return key->local_ip[0] == key->remote_ip[0] && key->local_ip[1] == key->remote_ip[1] &&
	       key->local_ip[2] == key->remote_ip[2] && key->local_ip[3] == key->remote_ip[3];
}

/*
 * Where UDP-Lite is not deployed, or no longer, its connections use UDP. So they do in the relay, whose
 * daemon has one coverage for all, if another was asked for: a side that covers less would hand the
 * other's application damage it never asked for.
 */
static __always_inline void hk_choice_possible(struct hk_half *choice,
					       const struct hk_config *config)
{
	if (choice->transport != HK_TRANSPORT_UDPLITE ||
	    (config->flags & HK_CONFIG_LITE &&
	     (choice->datapath != HK_DATAPATH_RELAY || choice->coverage == config->coverage)))
		return;
	choice->transport = HK_TRANSPORT_UDP;
	choice->coverage = 0;
}

/*
 * hk_config and then the rules decide: fills @choice for the connection @key, of a socket in the
 * cgroups of rules @classes. Returns 0, or the enum hk_reason for staying on TCP. Static and not
 * inlined: keeps the program small.
 */
static __noinline int hk_choose(const struct hk_flow_key *key, struct hk_half *choice,
				__u64 classes)
{
	struct hk_config *config = hk_config_get();
	struct hk_rule *rule;
	__u32 index;

	if (!config || !key || !choice)
		return HK_REASON_RULE;
	choice->datapath = config->datapath;
	choice->transport = config->transport;
	choice->coverage = config->coverage;
	choice->damage = !!(config->flags & HK_CONFIG_DAMAGE);
	index = hk_rule_find((__u64)key->remote_ip[0] << 32 | key->remote_ip[1],
			     (__u64)key->remote_ip[2] << 32 | key->remote_ip[3],
			     (__u32)key->local_port << 16 | key->remote_port, classes);
	rule = index == (__u32)-1 ? NULL : bpf_map_lookup_elem(&hk_rules, &index);
	if (rule) {
		choice->datapath = rule->datapath;
		choice->transport = rule->transport;
		/* The relay's rules need not say what its daemon was told. */
		if (rule->coverage || choice->datapath != HK_DATAPATH_RELAY)
			choice->coverage = rule->coverage;
		choice->damage = rule->damage;
	}
	if (choice->datapath == HK_DATAPATH_NONE)
		return HK_REASON_RULE;
	if (hk_key_is_loopback(key))
		return HK_REASON_LOOPBACK;
	hk_choice_possible(choice, config);
	if (choice->datapath == HK_DATAPATH_RELAY && !hk_key_is_ip4(key))
		return HK_REASON_IPV6;
	return hk_path_refused(key, choice->transport) ? HK_REASON_PATH_CACHED : 0;
}

#endif
