// SPDX-License-Identifier: GPL-2.0
/* `hooker status`: what is attached where, and what travels how. */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "bpf/relay.skel.h"
#include "bpf/sockops.skel.h"
#include "hooker/hooks/cgroup.h"
#include "hooker/daemon/internal.h"
#include "hooker/base/log.h"
#include "hooker/base/names.h"
#include "hooker/relay/relay.h"
#include "hooker/transport/transport.h"

static const char *xdp_mode(int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	if (bpf_xdp_query(ifindex, 0, &query))
		return "none";
	switch (query.attach_mode) {
	case XDP_ATTACHED_DRV: return "native";
	case XDP_ATTACHED_SKB: return "generic";
	case XDP_ATTACHED_HW: return "offloaded";
	default: return "none";
	}
}

static void add_link(json_t *object, const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
	if (fd >= 0 && !ioctl(fd, SIOCGIFFLAGS, &request))
		json_object_set_new(object, "up", json_boolean(request.ifr_flags & IFF_UP));
	if (fd >= 0 && !ioctl(fd, SIOCGIFMTU, &request))
		json_object_set_new(object, "mtu", json_integer(request.ifr_mtu));
	if (fd >= 0)
		close(fd);
}

static json_t *interfaces_json(const struct hk_attach *attach)
{
	json_t *list = json_array(), *object;
	char name[IF_NAMESIZE];
	int i;

	for (i = 0; i < attach->options->interface_count; i++) {
		bool there = if_indextoname(attach->ifindex[i], name);

		object = json_pack("{s:s, s:i, s:b, s:s, s:s}", "name",
				   there ? name : attach->options->interfaces[i], "ifindex",
				   attach->ifindex[i], "there", there, "xdp",
				   there ? xdp_mode(attach->ifindex[i]) : "none", "receive",
				   hk_attach_receives(attach, i));
		if (there)
			add_link(object, name);
		json_array_append_new(list, object);
	}
	return list;
}

static void add_programs(json_t *list, const struct bpf_object *object)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object) {
		struct bpf_prog_info info = { 0 };
		__u32 size = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			continue;
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:i}", "name", bpf_program__name(program), "type",
				  libbpf_bpf_prog_type_str(bpf_program__type(program)), "id",
				  info.id));
	}
}

static json_t *programs_json(const struct hk_attach *attach)
{
	json_t *list = json_array();

	add_programs(list, attach->sockops->obj);
	if (attach->relay)
		add_programs(list, attach->relay->obj);
	return list;
}

static bool is_attached_to_cgroup(const struct hk_attach *attach)
{
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info), ids[64], count = 64, i;
	int fd = hk_cgroup_open(attach->options->cgroup);
	bool found = false;

	if (fd < 0)
		return false;
	if (!bpf_obj_get_info_by_fd(bpf_program__fd(attach->sockops->progs.hk_sockops), &info,
				    &size) &&
	    !bpf_prog_query(fd, BPF_CGROUP_SOCK_OPS, 0, NULL, ids, &count))
		for (i = 0; i < count; i++)
			found |= ids[i] == info.id;
	close(fd);
	return found;
}

static json_t *deployed_json(const struct hk_attach *attach)
{
	return attach->udplite ? json_pack("[o]", hk_deployment_status(attach->udplite)) :
				 json_array();
}

static int count_rules(const char *text)
{
	int count = 0;

	for (; text && *text; text = strchrnul(text, '\n'), text += *text == '\n') {
		size_t blank = strspn(text, " \t\r");

		count += text[blank] && text[blank] != '\n' && text[blank] != '#';
	}
	return count;
}

json_t *status_json(const struct daemon *daemon)
{
	const struct hk_attach *attach = daemon->attach;
	const struct hk_options *options = attach->options;
	json_t *status, *counters = counters_json(daemon);
	char root[4096] = "";

	if (!options->cgroup)
		hk_cgroup_root(root, sizeof(root));
	status = json_pack("{s:i, s:b, s:s, s:i, s:i, s:I, s:I, s:s, s:s, s:i, s:i, s:s?}",
			   "schema", 1, "running", 1, "version", HOOKER_VERSION, "pid", getppid(),
			   "userspace_pid", getpid(), "since", daemon->since, "uptime_s",
			   time(NULL) - daemon->since, "datapath",
			   hk_datapath_name(options->datapath), "transport",
			   hk_transport_name(options->transport), "coverage", options->coverage,
			   "rules", count_rules(daemon->rules_text), "configuration",
			   daemon->source->path);
	json_object_set_new(status, "cgroup",
			    json_pack("{s:s, s:b}", "path", options->cgroup ?: root, "attached",
				      is_attached_to_cgroup(attach)));
	json_object_set_new(status, "interfaces", interfaces_json(attach));
	json_object_set_new(status, "programs", programs_json(attach));
	json_object_set_new(status, "deployed", deployed_json(attach));
	json_object_set_new(status, "flows", flow_summary_json(daemon));
	json_object_set(status, "redirected", json_object_get(counters, "established"));
	json_decref(counters);
	json_object_set_new(status, "plain", reasons_json(daemon, false));
	json_object_set_new(status, "fallbacks", reasons_json(daemon, true));
	json_object_set_new(status, "health", health_json(daemon, status));
	return status;
}
