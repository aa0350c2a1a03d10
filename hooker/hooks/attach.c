// SPDX-License-Identifier: GPL-2.0
#include "hooker/hooks/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/listeners.skel.h"
#include "bpf/relay.skel.h"
#include "bpf/sockops.skel.h"
#include "bpf/wire.h"
#include "hooker/hooks/cgroup.h"
#include "hooker/kernel/gc.h"
#include "hooker/kernel/kernel.h"
#include "hooker/kernel/rescue.h"
#include "hooker/hooks/lite.h"
#include "hooker/base/log.h"
#include "hooker/base/measure.h"
#include "hooker/base/privilege.h"
#include "hooker/hooks/segments.h"
#include "hooker/hooks/tc.h"
#include "hooker/transport/transport.h"

/* Of this process; 0 = this kernel does not tell, or not to sock_ops (5.14). */
static uint64_t netns_cookie(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) ||
	    libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCK_OPS, BPF_FUNC_get_netns_cookie, NULL) != 1)
		cookie = 0;
	close(fd);
	return cookie;
}

static int load_sockops(struct hk_attach *attach)
{
	int err;

	hk_phase(HK_PHASE_OPEN);
	attach->sockops = sockops_bpf__open();
	if (attach->sockops)
		attach->sockops->rodata->hk_netns = netns_cookie();
	if (attach->sockops)
		attach->sockops->rodata->hk_loops = attach->loops;
	hk_phase(HK_PHASE_LOAD);
	err = attach->sockops ? sockops_bpf__load(attach->sockops) : -errno;
	hk_phase(HK_PHASE_OTHER);
	if (!err)
		return 0;
	hk_error("can't load the sock_ops program: %s", strerror(-err));
	return err;
}

static int load_relay(struct hk_attach *attach)
{
	struct sockops_bpf *so = attach->sockops;
	struct relay_bpf *relay;
	uint64_t magic;
	int err;

	if (getrandom(&magic, sizeof(magic), 0) != sizeof(magic))
		return -errno;
	hk_phase(HK_PHASE_OPEN);
	relay = relay_bpf__open();
	if (!relay)
		return -errno;
	attach->relay = relay;
	relay->rodata->hk_loops = attach->loops;
	relay->rodata->hk_magic = magic;
	err = bpf_map__reuse_fd(relay->maps.hk_count, bpf_map__fd(so->maps.hk_count));
	if (!err)
		err = bpf_map__reuse_fd(relay->maps.hk_flows, bpf_map__fd(so->maps.hk_flows));
	if (!err)
		err = bpf_map__reuse_fd(relay->maps.hk_config, bpf_map__fd(so->maps.hk_config));
	if (!err)
		err = bpf_map__reuse_fd(relay->maps.hk_apps, bpf_map__fd(so->maps.hk_apps));
	if (!err)
		err = bpf_map__reuse_fd(relay->maps.hk_rings, bpf_map__fd(so->maps.hk_rings));
	if (!err)
		err = bpf_map__reuse_fd(relay->maps.hk_orders, bpf_map__fd(so->maps.hk_orders));
	if (!err)
		err = bpf_map__reuse_fd(relay->maps.hk_slots, bpf_map__fd(so->maps.hk_slots));
	if (!err)
		err = bpf_map__reuse_fd(relay->maps.hk_room, bpf_map__fd(so->maps.hk_room));
	hk_phase(HK_PHASE_LOAD);
	if (!err)
		err = relay_bpf__load(relay);
	hk_phase(HK_PHASE_ATTACH);
	/* An sk_msg program is attached to a map and runs for the sockets in it: msg_redirector for
	 * applications, delivery for the redirection socket. It goes when the map goes. */
	if (!err && bpf_prog_attach(bpf_program__fd(relay->progs.hk_redirector),
				    bpf_map__fd(so->maps.hk_apps), BPF_SK_MSG_VERDICT, 0))
		err = -errno;
	if (!err && bpf_prog_attach(bpf_program__fd(relay->progs.hk_deliver),
				    bpf_map__fd(relay->maps.hk_redir), BPF_SK_MSG_VERDICT, 0))
		err = -errno;
	hk_phase(HK_PHASE_OTHER);
	if (err)
		hk_error("can't load the relay's programs: %s", strerror(-err));
	return err;
}

/* TIME_WAIT takes 60 s; until it is over a segment of the peer may have to be understood. */
#define HK_LINGER_S 60

static int open_kernel(struct hk_attach *attach, int i)
{
	struct sockops_bpf *so = attach->sockops;
	struct hk_kernel_options options = {
		.ifindex = attach->ifindex[i],
		.dispatch = attach->dispatch[i],
		.damage = attach->options->damage || attach->options->damage_rules,
		.flows_fd = bpf_map__fd(so->maps.hk_flows),
		.half_fd = bpf_map__fd(so->maps.hk_half),
		.paths_fd = bpf_map__fd(so->maps.hk_paths),
		.config_fd = bpf_map__fd(so->maps.hk_config),
		.count_fd = bpf_map__fd(so->maps.hk_count),
		.journal_fd = bpf_map__fd(so->maps.hk_journal),
		.reasons_fd = bpf_map__fd(so->maps.hk_reasons),
	};

	return hk_kernel_open(&attach->kernel[i], &options);
}

static int open_rescue(struct hk_attach *attach)
{
	struct hk_rescue_options options = {
		.flows_fd = bpf_map__fd(attach->sockops->maps.hk_flows),
		.paths_fd = bpf_map__fd(attach->sockops->maps.hk_paths),
		.ifindex = attach->ifindex,
		.interface_count = attach->options->interface_count,
	};

	return hk_rescue_open(&attach->rescue, &options);
}

static int open_dispatch(struct hk_attach *attach, int i, enum hk_xdp_mode mode, bool may_fail)
{
	const char *name = attach->options->interfaces[i];
	int err = hk_dispatch_open(&attach->dispatch[i], attach->ifindex[i], mode,
				   bpf_map__fd(attach->sockops->maps.hk_count));

	if (err == -EBUSY)
		hk_error("interface '%s' already has an XDP program: see `ip link show %s`", name,
			 name);
	else if (err && !may_fail)
		hk_error("can't attach XDP to interface '%s': %s", name, strerror(-err));
	return err;
}

/*
 * The relay's look at TCP, without XDP: -EOPNOTSUPP where it would outlive a killed Hooker, and hold
 * every FIN for ever.
 */
static int open_ingress(struct hk_attach *attach, int i)
{
	const struct hk_options *options = attach->options;
	int err;

	hk_phase(HK_PHASE_ATTACH);
	err = hk_tc_attach_link(&attach->ingress[i], attach->ifindex[i], HK_TC_INGRESS,
				bpf_program__fd(attach->relay->progs.hk_relay_in), HK_TC_FIRST);
	hk_phase(HK_PHASE_OTHER);
	if (err == -EOPNOTSUPP && options->receive == HK_RECEIVE_TC)
		hk_error(
			"the relay receives at tc ingress from Linux 6.6 on: leave out --receive tc");
	else if (err && err != -EOPNOTSUPP)
		hk_error("can't attach to tc ingress of interface '%s': %s", options->interfaces[i],
			 strerror(-err));
	return err;
}

/*
 * The relay looks at nothing but TCP and gets its datagrams from sockets, behind GRO. XDP it needs for
 * UDP-Lite only; without that, XDP would look at each datagram in vain, and on a veth copy it. The
 * published design has XDP.
 */
static int open_relay_receive(struct hk_attach *attach, int i)
{
	const struct hk_options *options = attach->options;
	bool lite = options->transport == HK_TRANSPORT_UDPLITE || options->lite_rules;
	int err = -EOPNOTSUPP;

	if (options->receive == HK_RECEIVE_TC)
		return open_ingress(attach, i);
	if (options->receive == HK_RECEIVE_AUTO && options->xdp_mode == HK_XDP_AUTO && !lite &&
	    !options->paper)
		err = open_ingress(attach, i);
	if (err != -EOPNOTSUPP)
		return err;
	err = open_dispatch(attach, i, options->xdp_mode, false);
	return err ? err :
		     hk_dispatch_set(attach->dispatch[i], HK_RX_SECOND(IPPROTO_TCP),
				     bpf_program__fd(attach->relay->progs.hk_relay_rx));
}

static int open_relay(struct hk_attach *attach, int i)
{
	int err = open_relay_receive(attach, i);

	/* As published: whatever TCP does at the end of a connection, it does. */
	if (err || attach->options->paper)
		return err;
	hk_phase(HK_PHASE_ATTACH);
	err = hk_tc_attach_link(&attach->egress[i], attach->ifindex[i], HK_TC_EGRESS,
				bpf_program__fd(attach->relay->progs.hk_relay_out), HK_TC_FIRST);
	hk_phase(HK_PHASE_OTHER);
	if (!err || err == -EOPNOTSUPP)
		return 0;
	hk_error("can't attach to tc egress of interface '%s': %s", attach->options->interfaces[i],
		 strerror(-err));
	return err;
}

/* What has no dispatcher is received at tc ingress. */
static int open_kernel_receive(struct hk_attach *attach, int i)
{
	const struct hk_options *options = attach->options;
	bool choice = options->receive == HK_RECEIVE_AUTO && options->xdp_mode == HK_XDP_AUTO;
	int err;

	if (options->receive == HK_RECEIVE_TC)
		return 0;
	err = open_dispatch(attach, i, choice ? HK_XDP_NATIVE : options->xdp_mode, choice);
	return choice && err != -EBUSY ? 0 : err;
}

static int open_interface(struct hk_attach *attach, int i)
{
	const char *name = attach->options->interfaces[i];
	int err;

	attach->ifindex[i] = if_nametoindex(name);
	if (!attach->ifindex[i]) {
		hk_error("no interface '%s' here: see `ip link`", name);
		return -ENODEV;
	}
	switch (attach->options->datapath) {
	case HK_DATAPATH_RELAY: return open_relay(attach, i);
	case HK_DATAPATH_KERNEL:
		err = open_kernel_receive(attach, i);
		return err ? err : open_kernel(attach, i);
	default: return open_dispatch(attach, i, attach->options->xdp_mode, false);
	}
}

/*
 * A writer that got EAGAIN is woken by setting TCP_NOTSENT_LOWAT from sock_ops, known since 5.11. Without
 * that, edge-triggered applications would hang.
 */
static bool can_wake_writers(void)
{
	struct utsname name;
	int major, minor;

	if (uname(&name) || sscanf(name.release, "%d.%d", &major, &minor) != 2 || major > 5 ||
	    (major == 5 && minor >= 11))
		return true;
	hk_warn("this kernel can't wake writers: what applications may send ahead is not bounded "
		"(Linux 5.11 can)");
	return false;
}

/* One a processor that this process may use. With one redirection socket for all, that is the bottleneck. */
static unsigned int choose_loops(const struct hk_attach *attach)
{
	unsigned int loops = attach->options->loops;
	cpu_set_t set;

	if (attach->shared)
		return 1;
	if (!loops)
		loops = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
	return loops < HK_LOOPS_MAX ? loops : HK_LOOPS_MAX;
}

int hk_attach_open(struct hk_attach *attach, const struct hk_options *options)
{
	int err, i;

	memset(attach, 0, sizeof(*attach));
	attach->options = options;
	attach->sockops_link = -1;
	err = hk_privilege_check();
	if (err)
		return err;
	attach->shared = options->paper || !can_wake_writers();
	attach->loops = choose_loops(attach);
	err = load_sockops(attach);
	if (!err && options->datapath == HK_DATAPATH_RELAY)
		err = load_relay(attach);
	if (!err && options->datapath == HK_DATAPATH_KERNEL)
		err = open_rescue(attach);
	for (i = 0; !err && i < options->interface_count; i++)
		err = open_interface(attach, i);
	if (!err && (options->transport == HK_TRANSPORT_UDPLITE || options->lite_rules) &&
	    options->datapath == HK_DATAPATH_RELAY)
		err = hk_lite_deploy(attach);
	if (!err)
		err = hk_attach_configure(attach, options->datapath, options->transport,
					  options->coverage);
	if (err)
		hk_attach_close(attach);
	return err;
}

/* Best effort: returns 0, or -errno where the kernel cannot (before Linux 6.12). */
static int adopt_listeners(void)
{
	struct listeners_bpf *skel = listeners_bpf__open_and_load();
	int iter = -1, err = skel ? 0 : -errno;
	char byte;

	if (skel && listeners_bpf__attach(skel))
		err = -errno;
	if (!err)
		iter = bpf_iter_create(bpf_link__fd(skel->links.hk_listeners));
	if (!err && iter < 0)
		err = -errno;
	while (!err && read(iter, &byte, 1) > 0) /* reading runs it; it prints nothing */
		;
	if (!err && skel->bss->hk_listeners_refused)
		err = -EOPNOTSUPP;
	if (!err)
		hk_debug("%u servers listened already", skel->bss->hk_listeners_set);
	if (iter >= 0)
		close(iter);
	listeners_bpf__destroy(skel);
	return err;
}

int hk_attach_start(struct hk_attach *attach)
{
	int cgroup_fd, err = 0;

	cgroup_fd = hk_cgroup_open(attach->options->cgroup);
	if (cgroup_fd < 0)
		return cgroup_fd;
	hk_phase(HK_PHASE_ATTACH);
	attach->sockops_link = bpf_link_create(bpf_program__fd(attach->sockops->progs.hk_sockops),
					       cgroup_fd, BPF_CGROUP_SOCK_OPS, NULL);
	hk_phase(HK_PHASE_OTHER);
	if (attach->sockops_link < 0) {
		err = -errno;
		hk_error("can't attach sock_ops to cgroup '%s': %s",
			 attach->options->cgroup ?: "(root)", strerror(-err));
	}
	close(cgroup_fd);
	if (!err && attach->options->datapath != HK_DATAPATH_NONE &&
	    !attach->options->fresh_cgroup && adopt_listeners())
		hk_warn("this kernel can't redirect servers that listen already: restart them "
			"(Linux 6.12 can)");
	return err;
}

int hk_attach_configure(struct hk_attach *attach, enum hk_datapath datapath,
			enum hk_transport transport, uint16_t coverage)
{
	int fd = bpf_map__fd(attach->sockops->maps.hk_config);
	struct hk_config config;
	__u32 zero = 0;
	bool lite;

	/* The rules in force stay, and whether somebody follows events. */
	if (bpf_map_lookup_elem(fd, &zero, &config))
		return -errno;
	config.datapath = datapath;
	config.transport = transport;
	/* The kernel datapath has one format; see HK_KERNEL_COVERAGE. */
	config.coverage = datapath != HK_DATAPATH_KERNEL    ? coverage :
			  transport == HK_TRANSPORT_UDPLITE ? HK_KERNEL_COVERAGE :
							      0;
	lite = attach->udplite || (datapath == HK_DATAPATH_KERNEL && !attach->lite_undeployed);
	config.flags = (lite ? HK_CONFIG_LITE : 0) |
		       (attach->options->damage ? HK_CONFIG_DAMAGE : 0) |
		       (attach->shared ? HK_CONFIG_SHARED : 0) | (config.flags & HK_CONFIG_JOURNAL);
	config.path_ttl_s = attach->options->path_ttl_s;
	return bpf_map_update_elem(fd, &zero, &config, BPF_ANY) ? -errno : 0;
}

bool hk_attach_can_brake(const struct hk_attach *attach)
{
	int i;

	for (i = 0; i < attach->options->interface_count; i++)
		if (!attach->egress[i])
			return false;
	return true;
}

const char *hk_attach_receives(const struct hk_attach *attach, int i)
{
	if (!attach->dispatch[i])
		return "tc ingress";
	return hk_dispatch_is_native(attach->dispatch[i]) ? "native XDP" : "generic XDP";
}

void hk_attach_tick(struct hk_attach *attach)
{
	int i, stuck = 0;

	if (attach->options->datapath != HK_DATAPATH_KERNEL)
		return;
	for (i = 0; i < attach->options->interface_count; i++)
		hk_kernel_refresh(attach->kernel[i]);
	hk_kernel_gc(bpf_map__fd(attach->sockops->maps.hk_flows), HK_LINGER_S, &stuck);
	hk_rescue_tick(attach->rescue, stuck);
}

void hk_attach_stop(struct hk_attach *attach)
{
	if (attach->sockops_link >= 0)
		close(attach->sockops_link);
	attach->sockops_link = -1;
}

void hk_attach_close(struct hk_attach *attach)
{
	int i;

	hk_attach_stop(attach);
	hk_rescue_close(attach->rescue);
	hk_transport_undeploy(attach->udplite);
	hk_segments_close(attach);
	for (i = 0; i < HK_INTERFACES_MAX; i++) {
		hk_kernel_close(attach->kernel[i]);
		hk_tc_detach(attach->ingress[i]);
		hk_tc_detach(attach->egress[i]);
		hk_dispatch_close(attach->dispatch[i]);
	}
	relay_bpf__destroy(attach->relay);
	sockops_bpf__destroy(attach->sockops);
	memset(attach, 0, sizeof(*attach));
	attach->sockops_link = -1;
}
