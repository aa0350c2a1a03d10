// SPDX-License-Identifier: GPL-2.0
/* The chain: slots of PROG_ARRAYs, filled when a transport is deployed and swapped while it runs. */
#include "hooker/transport/internal.h"

#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>

const char *const hk_step_maps[HK_STEP_HOOKS] = {
	[HK_STEP_RX] = "hk_rx_steps",
	[HK_STEP_TX] = "hk_tx_steps",
};

int hk_map_fd(const struct hk_deployment *deployment, const char *name)
{
	for (int i = 0; i < deployment->map_count; i++)
		if (!strcmp(deployment->maps[i].name, name))
			return deployment->maps[i].fd;
	return -ENOENT;
}

const struct hk_step_desc *hk_step_find(const struct hk_transport_desc *desc, const char *name,
					unsigned int *slot)
{
	unsigned int next[HK_STEP_HOOKS] = { 0 };

	for (const struct hk_step_desc *step = desc->steps; step->name; step++) {
		*slot = next[step->hook]++;
		if (!strcmp(step->name, name))
			return step;
	}
	return NULL;
}

static int set_slot(const struct hk_deployment *deployment, const struct hk_step_desc *step,
		    unsigned int slot, const struct bpf_object *obj, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(obj, name);
	int map_fd = hk_map_fd(deployment, hk_step_maps[step->hook]);
	int fd;

	if (!program || map_fd < 0)
		return -ENOENT;
	fd = bpf_program__fd(program);
	return bpf_map_update_elem(map_fd, &slot, &fd, BPF_ANY) ? -errno : 0;
}

int hk_steps_fill(struct hk_deployment *deployment)
{
	const struct hk_step_desc *step;
	unsigned int slot = 0;
	int err = 0;

	for (step = deployment->desc->steps; !err && step->name; step++) {
		hk_step_find(deployment->desc, step->name, &slot);
		if (slot >= HK_STEPS_MAX)
			return -E2BIG;
		err = set_slot(deployment, step, slot, deployment->obj, step->program);
	}
	return err;
}

/* Loads nothing of @obj but @program, and that on the deployment's maps. */
static int load_program(const struct hk_deployment *deployment, struct bpf_object *obj,
			const char *program)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	int fd, err;

	bpf_object__for_each_program(prog, obj)
		bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), program));
	bpf_object__for_each_map(map, obj)
	{
		fd = hk_map_fd(deployment, bpf_map__name(map));
		err = fd < 0 ? 0 : bpf_map__reuse_fd(map, fd);
		if (err)
			return err;
	}
	return bpf_object__load(obj);
}

int hk_deployment_swap_step(struct hk_deployment *deployment, const char *step, const char *object,
			    const char *program)
{
	unsigned int slot = 0;
	const struct hk_step_desc *desc = hk_step_find(deployment->desc, step, &slot);
	struct bpf_object *obj;
	const void *elf;
	size_t size;
	int err;

	if (!desc)
		return -ESRCH;
	if (!program)
		program = desc->program;
	if (object) {
		obj = bpf_object__open_file(object, NULL);
	} else {
		elf = deployment->desc->object(&size);
		obj = bpf_object__open_mem(elf, size, NULL);
	}
	if (!obj)
		return -errno;
	err = bpf_object__find_program_by_name(obj, program) ? 0 : -ENOENT;
	err = err ?: load_program(deployment, obj, program);
	err = err ?: set_slot(deployment, desc, slot, obj, program);
	bpf_object__close(obj);
	return err;
}

int hk_deployment_add_port(struct hk_deployment *deployment, uint16_t port, uint16_t coverage,
			   uint16_t min_coverage, uint32_t flags)
{
	struct hk_lite_port value = {
		.coverage = coverage,
		.min_coverage = min_coverage,
		.flags = flags,
	};
	__u32 key = port;
	int fd;

	if (!port || (coverage && coverage < 8) || (min_coverage && min_coverage < 8))
		return -EINVAL;
	if (!deployment->desc->ports_map)
		return -EOPNOTSUPP;
	fd = hk_map_fd(deployment, deployment->desc->ports_map);
	if (fd < 0)
		return fd;
	return bpf_map_update_elem(fd, &key, &value, BPF_ANY) ? -errno : 0;
}

int hk_deployment_set_segmenter(struct hk_deployment *deployment, int ifindex, int segmenter)
{
	__u32 key = ifindex, value = segmenter;
	int fd = hk_map_fd(deployment, "hk_lite_cutters");

	if (fd < 0)
		return fd;
	return bpf_map_update_elem(fd, &key, &value, BPF_ANY) ? -errno : 0;
}

int hk_deployment_del_port(struct hk_deployment *deployment, uint16_t port)
{
	__u32 key = port;
	int fd;

	if (!deployment->desc->ports_map)
		return -EOPNOTSUPP;
	fd = hk_map_fd(deployment, deployment->desc->ports_map);
	if (fd < 0)
		return fd;
	return bpf_map_delete_elem(fd, &key) ? -errno : 0;
}
