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

/* hk_config and then the rules decide; static functions, not inlined, keep the program small. */
static __noinline int hk_rule_matches(const struct hk_rule *rule, const struct hk_flow_key *key,
				      __u32 in_cgroup)
{
	if (!rule || !key)
		return 0;
	if ((rule->local_port && rule->local_port != key->local_port) ||
	    (rule->remote_port && rule->remote_port != key->remote_port) ||
	    (rule->cgroup && !in_cgroup))
		return 0;
	return (key->remote_ip[0] & rule->remote_mask[0]) == rule->remote_ip[0] &&
	       (key->remote_ip[1] & rule->remote_mask[1]) == rule->remote_ip[1] &&
	       (key->remote_ip[2] & rule->remote_mask[2]) == rule->remote_ip[2] &&
	       (key->remote_ip[3] & rule->remote_mask[3]) == rule->remote_ip[3];
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
 * Fills @choice for the connection @key, of a socket in the cgroups of rules @classes. Returns 0, or the enum hk_reason for staying on TCP. Static
 * and not inlined: verified once, called from every callback.
 */
static __noinline int hk_choose(const struct hk_flow_key *key, struct hk_half *choice,
				__u32 classes)
{
	struct hk_config *config = hk_config_get();
	__u32 i;

	if (!config || !key || !choice)
		return HK_REASON_RULE;
	choice->datapath = config->datapath;
	choice->transport = config->transport;
	choice->coverage = config->coverage;
	choice->damage = !!(config->flags & HK_CONFIG_DAMAGE);
	for (i = 0; i < HK_RULES_MAX; i++) {
		__u32 index = config->rules_first + i;
		struct hk_rule *rule;

		if (i >= config->rules_count)
			break;
		rule = bpf_map_lookup_elem(&hk_rules, &index);
		if (!rule || !hk_rule_matches(rule, key, classes & 1U << i))
			continue;
		choice->datapath = rule->datapath;
		choice->transport = rule->transport;
		choice->coverage = rule->coverage;
		choice->damage = rule->damage;
		break;
	}
	if (choice->datapath == HK_DATAPATH_NONE)
		return HK_REASON_RULE;
	if (hk_key_is_loopback(key))
		return HK_REASON_LOOPBACK;
	if (choice->datapath == HK_DATAPATH_RELAY) {
		if (!(config->flags & HK_CONFIG_RELAY_LITE))
			choice->transport = HK_TRANSPORT_UDP;
		if (!hk_key_is_ip4(key))
			return HK_REASON_IPV6;
	}
	return hk_path_refused(key, choice->transport) ? HK_REASON_PATH_CACHED : 0;
}

#endif
