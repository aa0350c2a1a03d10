// SPDX-License-Identifier: GPL-2.0
#include "hooker/rules/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/class.skel.h"
#include "hooker/hooks/cgroup.h"
#include "hooker/base/log.h"

/* What a list of rules keeps attached: one program for each rule that names a cgroup. */
struct hk_rules_force {
	struct class_bpf *skel[HK_RULES_MAX];
	int link[HK_RULES_MAX]; /* file descriptors, -1 = none */
};

static int attach_cgroup(struct hk_rules_force *force, unsigned int i, const char *path,
			 int class_fd)
{
	int cgroup_fd, err;

	force->skel[i] = class_bpf__open();
	if (!force->skel[i])
		return -errno;
	force->skel[i]->rodata->hk_rule_bit = 1ULL << i;
	err = bpf_map__reuse_fd(force->skel[i]->maps.hk_class, class_fd);
	if (!err)
		err = class_bpf__load(force->skel[i]);
	if (err)
		return err;
	cgroup_fd = hk_cgroup_open(path);
	if (cgroup_fd < 0)
		return cgroup_fd;
	force->link[i] = bpf_link_create(bpf_program__fd(force->skel[i]->progs.hk_classify),
					 cgroup_fd, BPF_CGROUP_SOCK_OPS, NULL);
	err = force->link[i] < 0 ? -errno : 0;
	close(cgroup_fd);
	return err;
}

void hk_rules_release(struct hk_rules_force *force)
{
	int i;

	if (!force)
		return;
	for (i = 0; i < HK_RULES_MAX; i++) {
		if (force->link[i] >= 0)
			close(force->link[i]);
		class_bpf__destroy(force->skel[i]);
	}
	free(force);
}

static int attach_all(struct hk_rules_force **out, const struct hk_rules *rules, int class_fd)
{
	struct hk_rules_force *force = calloc(1, sizeof(*force));
	unsigned int i;
	int err = 0;

	*out = force;
	if (!force)
		return -ENOMEM;
	memset(force->link, 0xff, sizeof(force->link));
	for (i = 0; !err && i < rules->count; i++) {
		if (!rules->cgroup[i])
			continue;
		err = attach_cgroup(force, i, rules->cgroup[i], class_fd);
		if (err)
			hk_error("can't attach to cgroup '%s': %s", rules->cgroup[i],
				 strerror(-err));
	}
	return err;
}

/* The half that is not in use, then the switch: 8 bytes that sock_ops reads one after the other. */
static int write_rules(const struct hk_rules *rules, int config_fd, int rules_fd)
{
	struct hk_config config;
	struct hk_rule rule;
	__u32 zero = 0, i, index;

	if (bpf_map_lookup_elem(config_fd, &zero, &config))
		return -errno;
	config.rules_first = config.rules_first ? 0 : HK_RULES_MAX;
	for (i = 0; i < rules->count; i++) {
		rule = rules->rule[i];
		rule.cgroup = !!rules->cgroup[i];
		index = config.rules_first + i;
		if (bpf_map_update_elem(rules_fd, &index, &rule, BPF_ANY))
			return -errno;
	}
	config.rules_count = rules->count;
	return bpf_map_update_elem(config_fd, &zero, &config, BPF_ANY) ? -errno : 0;
}

int hk_rules_apply(struct hk_rules_force **force, const struct hk_rules *rules, int config_fd,
		   int rules_fd, int class_fd)
{
	struct hk_rules_force *fresh;
	int err = attach_all(&fresh, rules, class_fd);

	if (!err) {
		err = write_rules(rules, config_fd, rules_fd);
		if (err)
			hk_error("can't write the rules: %s", strerror(-err));
	}
	if (err) {
		hk_rules_release(fresh);
		return err;
	}
	hk_rules_release(*force);
	*force = fresh;
	return 0;
}
