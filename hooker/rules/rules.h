/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which transport for which connection. One rule a line, the first that matches decides, the daemon's
 * --transport where none does:
 *
 *   [remote PREFIX] [remote-port N] [local-port N] [cgroup PATH] use tcp|udp|udplite [OPTION…]
 *
 * PREFIX is an IPv4 or IPv6 address with or without /LENGTH, PATH a cgroup v2 directory. OPTION:
 * `accept-damage` (kernel datapath, UDP-Lite: payload outside the checksum coverage may be damaged),
 * `coverage BYTES` (relay: the one its daemon was told; with another one it uses UDP). # begins a comment. Live connections keep what they have.
 */
#ifndef HOOKER_RULES_RULES_H
#define HOOKER_RULES_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/abi.h"

struct hk_rules {
	unsigned int count;
	struct hk_rule rule[HK_RULES_MAX];
	char *cgroup[HK_RULES_MAX]; /* paths, NULL = any */
};

/**
 * Parses @text, which @name stands for in messages; @datapath: that of the rules that do not say tcp.
 * On error puts "NAME:LINE: what is wrong" into @error and returns -EINVAL. hk_rules_free() afterwards.
 */
int hk_rules_parse(struct hk_rules *rules, const char *text, const char *name,
		   enum hk_datapath datapath, char *error, size_t size);

void hk_rules_free(struct hk_rules *rules);

bool hk_rules_want_damage(const struct hk_rules *rules);

/* Does any of them use UDP-Lite? Then it has to be deployed. */
bool hk_rules_want_lite(const struct hk_rules *rules);

struct hk_rules_force;

/**
 * Puts @rules in force: attaches to their cgroups, fills the spare half of the map hk_rules, switches
 * over in one store to hk_config, lets the old list's attachments go. *force is NULL at first and then
 * holds what stays attached. Returns 0 or -errno, reported; then the old rules stay in force.
 * @class_fd: map hk_class of the sock_ops object.
 */
int hk_rules_apply(struct hk_rules_force **force, const struct hk_rules *rules, int config_fd,
		   int rules_fd, int class_fd);

/* Detaches and frees; NULL is fine. */
void hk_rules_release(struct hk_rules_force *force);

#endif
