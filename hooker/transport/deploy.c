// SPDX-License-Identifier: GPL-2.0
/* Loads a transport's object, fills its chains, attaches them; and takes it all away again. */
#include "hooker/transport/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "bpf/abi.h"
#include "hooker/base/measure.h"

static int open_built(struct hk_deployment *deployment)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = deployment->desc->name);
	size_t size;
	const void *elf = deployment->desc->object(&size);

	deployment->obj = bpf_object__open_mem(elf, size, &opts);
	return deployment->obj ? 0 : -errno;
}

static int open_source(struct hk_deployment *deployment, const char *source_dir)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = deployment->desc->name);
	double start = hk_measure_now();
	char path[PATH_MAX];
	int err = hk_source_compile(source_dir, deployment->desc->source, path, sizeof(path));

	deployment->times.compile = hk_measure_now() - start;
	if (err)
		return err;
	deployment->obj = bpf_object__open_file(path, &opts);
	err = deployment->obj ? 0 : -errno;
	unlink(path);
	return err;
}

static int collect_maps(struct hk_deployment *deployment)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, deployment->obj)
	{
		struct named_map *entry = &deployment->maps[deployment->map_count];

		if (bpf_map__is_internal(map))
			continue;
		if (deployment->map_count == MAPS_MAX)
			return -E2BIG;
		strncpy(entry->name, bpf_map__name(map), sizeof(entry->name) - 1);
		entry->fd = bpf_map__fd(map);
		deployment->map_count++;
	}
	return 0;
}

static int load_programs(struct hk_deployment *deployment, bool time_verifier)
{
	double start = hk_measure_now();
	char *logs = NULL;
	int err = time_verifier ? hk_verifier_watch(deployment->obj, &logs) : 0;

	err = err ?: bpf_object__load(deployment->obj);
	deployment->times.load = hk_measure_now() - start;
	if (!err && logs)
		deployment->times.verify = hk_verifier_ms(deployment->obj, logs);
	free(logs);
	return err;
}

static int load(struct hk_deployment *deployment, const struct hk_deploy_options *options)
{
	struct bpf_program *entry;
	struct bpf_map *count;
	double start = hk_measure_now();
	int err;

	err = options->source_dir ? open_source(deployment, options->source_dir) :
				    open_built(deployment);
	if (err)
		return err;
	deployment->from_source = options->source_dir;
	deployment->times.open = hk_measure_now() - start - deployment->times.compile;
	count = bpf_object__find_map_by_name(deployment->obj, "hk_count");
	if (count && options->count_fd >= 0) {
		err = bpf_map__reuse_fd(count, options->count_fd);
		if (err)
			return err;
	}
	err = load_programs(deployment, options->time_verifier);
	if (err)
		return err;
	entry = bpf_object__find_program_by_name(deployment->obj, "hk_rx_entry");
	if (!entry)
		return -ENOENT;
	deployment->entry_fd = bpf_program__fd(entry);
	return collect_maps(deployment);
}

static bool has_steps(const struct hk_transport_desc *desc, enum hk_step_hook hook)
{
	for (const struct hk_step_desc *step = desc->steps; step->name; step++)
		if (step->hook == hook)
			return true;
	return false;
}

static int entry_fd(const struct hk_deployment *deployment, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(deployment->obj, name);

	return program ? bpf_program__fd(program) : -ENOENT;
}

/* Packets may come there whose checksum nobody has computed. */
static int expect_unfinished(struct hk_deployment *deployment, __u32 ifindex)
{
	int fd = hk_map_fd(deployment, "hk_unfinished");
	__u32 place = ifindex % HK_UNFINISHED, one = 1;

	if (fd < 0)
		return 0; /* a transport that needs not know */
	return bpf_map_update_elem(fd, &place, &one, BPF_ANY) ? -errno : 0;
}

/* Receiving comes first: nobody is to be answered in a protocol that is not understood here yet. */
static int attach_interface(struct hk_deployment *deployment,
			    const struct hk_deploy_options *options,
			    const struct hk_deploy_interface *wanted)
{
	const struct hk_transport_desc *desc = deployment->desc;
	struct deployed_interface *iface;
	int err = hk_transport_interface_check(wanted->ifindex);

	if (err)
		return err;
	if (deployment->interface_count == INTERFACES_MAX)
		return -E2BIG;
	iface = &deployment->interfaces[deployment->interface_count++];
	iface->ifindex = wanted->ifindex;
	iface->dispatch = wanted->dispatch;
	iface->own_dispatch = !wanted->dispatch;
	if (!iface->dispatch) {
		err = hk_dispatch_open(&iface->dispatch, wanted->ifindex, options->xdp_mode,
				       options->count_fd);
		if (err)
			return err;
	}
	if (hk_iface_has_unfinished(iface->ifindex, hk_dispatch_is_native(iface->dispatch)))
		err = expect_unfinished(deployment, iface->ifindex);
	err = err   ?:
		      hk_dispatch_set(iface->dispatch, HK_RX_SECOND(desc->protocol),
				      deployment->entry_fd);
	if (!err && has_steps(desc, HK_STEP_TX))
		err = hk_tc_attach(&iface->tx, iface->ifindex, HK_TC_EGRESS,
				   entry_fd(deployment, "hk_tx_entry"), HK_TC_LAST);
	if (!err && deployment->pin_dir[0])
		err = hk_pins_add_interface(deployment, iface);
	return err;
}

int hk_transport_deploy(const struct hk_transport_desc *desc,
			const struct hk_deploy_options *options, struct hk_deployment **out)
{
	struct hk_deployment *deployment = calloc(1, sizeof(*deployment));
	double start = hk_measure_now(), attach;
	int err;

	*out = NULL;
	if (!deployment)
		return -ENOMEM;
	deployment->desc = desc;
	deployment->entry_fd = -1;
	err = load(deployment, options);
	attach = hk_measure_now();
	if (!err && options->pin_dir)
		err = hk_pins_create(deployment, options->pin_dir);
	err = err ?: hk_steps_fill(deployment);
	for (size_t i = 0; !err && i < options->interface_count; i++)
		err = attach_interface(deployment, options, &options->interfaces[i]);
	deployment->times.attach = hk_measure_now() - attach;
	deployment->times.total = hk_measure_now() - start;
	if (err)
		hk_transport_undeploy(deployment);
	else
		*out = deployment;
	return err;
}

void hk_deployment_times(const struct hk_deployment *deployment, struct hk_deploy_times *times)
{
	*times = deployment->times;
}

/* Sending ends first, so that no changed packet meets an emptied chain. */
static void detach_interface(struct hk_deployment *deployment, struct deployed_interface *iface)
{
	hk_tc_detach(iface->tx);
	if (iface->dispatch && !iface->own_dispatch)
		hk_dispatch_set(iface->dispatch, HK_RX_SECOND(deployment->desc->protocol), -1);
	if (iface->own_dispatch)
		hk_dispatch_close(iface->dispatch);
}

void hk_transport_undeploy(struct hk_deployment *deployment)
{
	size_t i;

	if (!deployment)
		return;
	if (deployment->pin_dir[0])
		hk_transport_unpin(deployment->pin_dir);
	for (i = 0; i < deployment->interface_count; i++)
		detach_interface(deployment, &deployment->interfaces[i]);
	deployment->interface_count = 0;
	deployment->pin_dir[0] = '\0';
	hk_deployment_close(deployment);
}

void hk_deployment_close(struct hk_deployment *deployment)
{
	if (!deployment)
		return;
	for (size_t i = 0; i < deployment->interface_count; i++) {
		struct deployed_interface *iface = &deployment->interfaces[i];

		if (!deployment->pin_dir[0]) {
			detach_interface(deployment, iface);
			continue;
		}
		hk_tc_release(iface->tx);
		if (iface->own_dispatch)
			hk_dispatch_close(iface->dispatch);
	}
	if (deployment->obj) {
		bpf_object__close(deployment->obj);
	} else {
		for (int i = 0; i < deployment->map_count; i++)
			close(deployment->maps[i].fd);
		if (deployment->entry_fd >= 0)
			close(deployment->entry_fd);
	}
	free(deployment);
}
