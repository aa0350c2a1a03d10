// SPDX-License-Identifier: GPL-2.0
/*
 * A deployment that another process owns, as a JSON object of kernel identifiers: enough to ask it for
 * its status, to swap its steps and to register ports, without its owner doing anything.
 */
#include "hooker/transport/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

static json_t *interface_json(const struct deployed_interface *iface)
{
	const char *tx = iface->tx ? hk_tc_kind(iface->tx) : iface->tx_kind;

	return json_pack("{s:i, s:s}", "ifindex", iface->ifindex, "tc_egress", tx ? tx : "none");
}

json_t *hk_deployment_ids(const struct hk_deployment *deployment)
{
	json_t *maps = json_object(), *interfaces = json_array();
	struct bpf_prog_info entry = { 0 };
	__u32 size = sizeof(entry);

	for (int i = 0; i < deployment->map_count; i++) {
		const struct named_map *map = &deployment->maps[i];
		struct bpf_map_info info = { 0 };
		__u32 map_size = sizeof(info);

		if (!bpf_obj_get_info_by_fd(map->fd, &info, &map_size))
			json_object_set_new(maps, map->name, json_integer(info.id));
	}
	for (size_t i = 0; i < deployment->interface_count; i++)
		json_array_append_new(interfaces, interface_json(&deployment->interfaces[i]));
	bpf_obj_get_info_by_fd(deployment->entry_fd, &entry, &size);
	return json_pack("{s:s, s:I, s:b, s:o, s:o}", "name", deployment->desc->name, "entry",
			 (json_int_t)entry.id, "from_source", deployment->from_source, "maps", maps,
			 "interfaces", interfaces);
}

static int open_maps(struct hk_deployment *deployment, json_t *maps)
{
	const char *name;
	json_t *id;

	json_object_foreach(maps, name, id) {
		struct named_map *map = &deployment->maps[deployment->map_count];

		if (deployment->map_count == MAPS_MAX)
			return -E2BIG;
		map->fd = bpf_map_get_fd_by_id(json_integer_value(id));
		if (map->fd < 0)
			return -errno;
		strncpy(map->name, name, sizeof(map->name) - 1);
		deployment->map_count++;
	}
	return 0;
}

static int open_interfaces(struct hk_deployment *deployment, const json_t *interfaces)
{
	const json_t *value;
	size_t i;

	json_array_foreach(interfaces, i, value) {
		struct deployed_interface *iface = &deployment->interfaces[i];
		const char *tx = json_string_value(json_object_get(value, "tc_egress"));

		if (i == INTERFACES_MAX)
			return -E2BIG;
		iface->ifindex = json_integer_value(json_object_get(value, "ifindex"));
		iface->tx_kind = tx && !strcmp(tx, "tcx")    ? "tcx" :
				 tx && !strcmp(tx, "clsact") ? "clsact" :
							       NULL;
		deployment->interface_count++;
	}
	return 0;
}

int hk_deployment_open_ids(const struct hk_transport_desc *desc, const json_t *ids,
			   struct hk_deployment **out)
{
	struct hk_deployment *deployment = calloc(1, sizeof(*deployment));
	int err;

	*out = NULL;
	if (!deployment)
		return -ENOMEM;
	deployment->desc = desc;
	deployment->from_source = json_is_true(json_object_get(ids, "from_source"));
	deployment->entry_fd =
		bpf_prog_get_fd_by_id(json_integer_value(json_object_get(ids, "entry")));
	err = deployment->entry_fd < 0 ? -errno : 0;
	err = err ?: open_maps(deployment, json_object_get(ids, "maps"));
	err = err ?: open_interfaces(deployment, json_object_get(ids, "interfaces"));
	if (err)
		hk_deployment_close(deployment);
	else
		*out = deployment;
	return err;
}
