// SPDX-License-Identifier: GPL-2.0
#include "hooker/hooks/lite.h"

#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>

#include "bpf/sockops.skel.h"
#include "bpf/wire.h"
#include "hooker/hooks/attach.h"
#include "hooker/base/log.h"
#include "hooker/relay/relay.h"
#include "hooker/hooks/segments.h"
#include "hooker/transport/transport.h"

int hk_lite_deploy(struct hk_attach *attach)
{
	struct hk_deploy_interface interfaces[HK_INTERFACES_MAX];
	struct hk_deploy_options options = {
		.interfaces = interfaces,
		.interface_count = attach->options->interface_count,
		.xdp_mode = attach->options->xdp_mode,
		.count_fd = bpf_map__fd(attach->sockops->maps.hk_count),
	};
	uint16_t coverage = attach->options->coverage;
	int err;

	for (int i = 0; i < attach->options->interface_count; i++) {
		interfaces[i].ifindex = attach->ifindex[i];
		interfaces[i].dispatch = attach->dispatch[i];
	}
	err = hk_transport_deploy(&hk_transport_udplite, &options, &attach->udplite);
	/* Accepted is what is sent: who covers everything wants no damage (and negotiates for it). */
	if (!err)
		err = hk_deployment_add_port(attach->udplite, HK_RELAY_LITE_PORT, coverage,
					     coverage, 0);
	if (err)
		hk_error("can't deploy UDP-Lite: %s", strerror(-err));
	else
		hk_segments_open(attach);
	return err;
}

/* Returns the flags as they were, or -errno. The rules in force stay. */
static int clear_flag(struct hk_attach *attach, __u32 flag)
{
	int fd = bpf_map__fd(attach->sockops->maps.hk_config);
	struct hk_config config;
	__u32 zero = 0, before;

	if (bpf_map_lookup_elem(fd, &zero, &config))
		return -errno;
	before = config.flags;
	config.flags &= ~flag;
	if (bpf_map_update_elem(fd, &zero, &config, BPF_ANY))
		return -errno;
	return before;
}

int hk_lite_undeploy(struct hk_attach *attach, struct hk_relay *relay)
{
	int before = clear_flag(attach, HK_CONFIG_LITE);

	if (before < 0)
		return before;
	if (!(before & HK_CONFIG_LITE))
		return -ENOENT;
	if (relay)
		hk_relay_leave_udplite(relay);
	/* The supervisor holds the same links and maps, so closing is not enough: this detaches. */
	hk_transport_undeploy(attach->udplite);
	attach->udplite = NULL;
	attach->lite_undeployed = true;
	return 0;
}

json_t *hk_lite_json(const struct hk_attach *attach)
{
	struct hk_config config;
	__u32 zero = 0;

	if (attach->udplite)
		return hk_deployment_ids(attach->udplite);
	if (bpf_map_lookup_elem(bpf_map__fd(attach->sockops->maps.hk_config), &zero, &config) ||
	    !(config.flags & HK_CONFIG_LITE))
		return NULL;
	return json_pack("{s:s, s:s}", "name", hk_transport_udplite.name, "datapath", "kernel");
}
