// SPDX-License-Identifier: GPL-2.0
/* What is deployed, where, since when, and what its steps have counted. */
#include "hooker/transport/internal.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/if_link.h>
#include <bpf/bpf.h>

const struct hk_transport_desc *const hk_transports[] = { &hk_transport_udplite, NULL };

const struct hk_transport_desc *hk_transport_find(const char *name)
{
	for (int i = 0; hk_transports[i]; i++)
		if (!strcmp(hk_transports[i]->name, name))
			return hk_transports[i];
	return NULL;
}

bool hk_transport_is_native(const struct hk_transport_desc *desc)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, desc->protocol);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int hk_deployment_count(const struct hk_deployment *deployment, const char *name,
			unsigned int reason, uint64_t *packets)
{
	unsigned int slot = 0;
	const struct hk_step_desc *step = hk_step_find(deployment->desc, name, &slot);
	int cpus = libbpf_num_possible_cpus(), err = 0;
	__u64 *values;
	__u32 key;

	if (!step || reason >= HK_STEP_REASONS)
		return -ENOENT;
	if (cpus < 0)
		return cpus;
	values = calloc(cpus, sizeof(*values));
	if (!values)
		return -ENOMEM;
	key = HK_STEP_COUNTER(step->hook, slot, reason);
	*packets = 0;
	if (bpf_map_lookup_elem(hk_map_fd(deployment, "hk_step_count"), &key, values))
		err = -errno;
	for (int i = 0; !err && i < cpus; i++)
		*packets += values[i];
	free(values);
	return err;
}

/* Load times of programs are since boot. */
static json_t *since(__u64 load_time)
{
	struct timespec boot, now;
	char text[40];
	struct tm tm;
	time_t at;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &now);
	at = now.tv_sec - (boot.tv_sec - (time_t)(load_time / 1000000000));
	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static int program_info(int fd, struct bpf_prog_info *info)
{
	__u32 size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &size) ? -errno : 0;
}

/* A PROG_ARRAY gives the identifier of the program in a slot. */
static int slot_info(const struct hk_deployment *deployment, const struct hk_step_desc *step,
		     unsigned int slot, struct bpf_prog_info *info)
{
	__u32 id;
	int fd, err;

	if (bpf_map_lookup_elem(hk_map_fd(deployment, hk_step_maps[step->hook]), &slot, &id))
		return -errno;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return -errno;
	err = program_info(fd, info);
	close(fd);
	return err;
}

static json_t *reasons_status(const struct hk_deployment *deployment,
			      const struct hk_step_desc *step)
{
	static const struct hk_step_reason none[] = { { 0 } };
	const struct hk_step_reason *reason;
	json_t *reasons = json_object();
	uint64_t packets;

	for (reason = step->reasons ? step->reasons : none; reason->name; reason++) {
		if (hk_deployment_count(deployment, step->name, reason->number, &packets))
			continue;
		json_object_set_new(reasons, reason->name,
				    json_pack("{s:I, s:s}", "packets", (json_int_t)packets,
					      "action", reason->drop ? "drop" : "pass"));
	}
	if (!hk_deployment_count(deployment, step->name, HK_STEP_MISSING, &packets) && packets)
		json_object_set_new(reasons, "next-step-missing",
				    json_pack("{s:I, s:s}", "packets", (json_int_t)packets,
					      "action", "pass"));
	return reasons;
}

static json_t *step_status(const struct hk_deployment *deployment, const struct hk_step_desc *step)
{
	static const char *const hooks[] = { "xdp", "tc-egress" };
	struct bpf_prog_info info;
	uint64_t packets = 0;
	unsigned int slot = 0;
	json_t *status;

	hk_step_find(deployment->desc, step->name, &slot);
	hk_deployment_count(deployment, step->name, 0, &packets);
	status = json_pack("{s:s, s:s, s:i, s:I}", "name", step->name, "hook", hooks[step->hook],
			   "slot", slot, "packets", (json_int_t)packets);
	if (!slot_info(deployment, step, slot, &info)) {
		json_object_set_new(status, "program", json_string(info.name));
		json_object_set_new(status, "program_id", json_integer(info.id));
		json_object_set_new(status, "since", since(info.load_time));
	}
	json_object_set_new(status, "reasons", reasons_status(deployment, step));
	return status;
}

static json_t *interface_status(const struct deployed_interface *iface)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	const char *xdp = "none", *tx = iface->tx ? hk_tc_kind(iface->tx) : iface->tx_kind;
	char name[IF_NAMESIZE] = "";

	if (!if_indextoname(iface->ifindex, name))
		snprintf(name, sizeof(name), "(gone)");
	else if (!bpf_xdp_query(iface->ifindex, 0, &query))
		xdp = query.attach_mode == XDP_ATTACHED_DRV ? "native" :
		      query.attach_mode == XDP_ATTACHED_SKB ? "generic" :
							      "none";
	return json_pack("{s:s, s:i, s:s, s:s}", "name", name, "ifindex", iface->ifindex, "xdp",
			 xdp, "tc_egress", tx ? tx : "none");
}

static json_t *ports_status(const struct hk_deployment *deployment)
{
	json_t *ports = json_array();
	struct hk_lite_port value;
	__u32 key, *previous = NULL;
	int fd;

	if (!deployment->desc->ports_map)
		return ports;
	fd = hk_map_fd(deployment, deployment->desc->ports_map);
	while (fd >= 0 && !bpf_map_get_next_key(fd, previous, &key)) {
		previous = &key;
		if (bpf_map_lookup_elem(fd, &key, &value))
			continue;
		json_array_append_new(ports,
				      json_pack("{s:i, s:i, s:i, s:b}", "port", key, "coverage",
						value.coverage, "min_coverage", value.min_coverage,
						"no_check6", !!(value.flags & HK_LITE_NO_CHECK6)));
	}
	return ports;
}

json_t *hk_deployment_status(const struct hk_deployment *deployment)
{
	const struct hk_transport_desc *desc = deployment->desc;
	json_t *status, *interfaces = json_array(), *steps = json_array();
	struct bpf_prog_info info;

	for (size_t i = 0; i < deployment->interface_count; i++)
		json_array_append_new(interfaces, interface_status(&deployment->interfaces[i]));
	for (const struct hk_step_desc *step = desc->steps; step->name; step++)
		json_array_append_new(steps, step_status(deployment, step));
	status = json_pack("{s:s, s:i, s:b, s:b, s:s, s:b}", "name", desc->name, "protocol",
			   desc->protocol, "native", hk_transport_is_native(desc), "deployed", 1,
			   "from", deployment->from_source ? "source" : "built", "pinned",
			   deployment->pin_dir[0] != '\0');
	if (!program_info(deployment->entry_fd, &info))
		json_object_set_new(status, "since", since(info.load_time));
	json_object_set_new(status, "interfaces", interfaces);
	json_object_set_new(status, "ports", ports_status(deployment));
	json_object_set_new(status, "steps", steps);
	return status;
}
