// SPDX-License-Identifier: GPL-2.0
#include "hooker/kernel/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <net/if.h>
#include <netinet/in.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/abi.h"
#include "bpf/kernel.skel.h"
#include "hooker/hooks/checksums.h"
#include "hooker/hooks/dispatch.h"
#include "hooker/kernel/segmenter.h"
#include "hooker/base/log.h"
#include "hooker/base/measure.h"
#include "hooker/hooks/tc.h"

struct hk_kernel {
	struct kernel_bpf *skel;
	struct hk_dispatch *dispatch;
	struct hk_tc *egress, *ingress;
	int ifindex;
	int segmenter; /* interface index, or 0 */
	bool segmenter_lost;
	bool steps_set;
};

struct step {
	unsigned int slot;
	const char *program;
};

static const struct step xdp_steps[] = {
	{ HK_RX_FIRST(IPPROTO_TCP), "hk_k_tcp" },	 { HK_RX_FIRST(IPPROTO_UDP), "hk_k_udp" },
	{ HK_RX_FIRST(IPPROTO_UDPLITE), "hk_k_verify" }, { HK_RX_FIRST(IPPROTO_ICMP), "hk_k_icmp" },
	{ HK_RX_FIRST(IPPROTO_ICMPV6), "hk_k_icmp6" },	 { 0 },
};

static const struct step in_steps[] = {
	{ HK_IN_UDP, "hk_k_in_udp" },
	{ HK_IN_UDPLITE, "hk_k_in_udplite" },
	{ HK_IN_TCP, "hk_k_in_tcp" },
	{ HK_IN_ICMP, "hk_k_in_icmp" },
	{ 0 },
};

static int share_maps(struct kernel_bpf *skel, const struct hk_kernel_options *options)
{
	const struct {
		struct bpf_map *map;
		int fd;
	} shared[] = {
		{ skel->maps.hk_flows, options->flows_fd },
		{ skel->maps.hk_half, options->half_fd },
		{ skel->maps.hk_paths, options->paths_fd },
		{ skel->maps.hk_config, options->config_fd },
		{ skel->maps.hk_count, options->count_fd },
		{ skel->maps.hk_journal, options->journal_fd },
		{ skel->maps.hk_reasons, options->reasons_fd },
		{ skel->maps.hk_rx,
		  options->dispatch ? hk_dispatch_map_fd(options->dispatch) : -1 },
	};
	size_t i;
	int err;

	for (i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
		err = shared[i].fd < 0 ? 0 : bpf_map__reuse_fd(shared[i].map, shared[i].fd);
		if (err) {
			hk_error("can't share the map '%s': %s", bpf_map__name(shared[i].map),
				 strerror(-err));
			return err;
		}
	}
	return 0;
}

/* What the other place to receive would need is not even verified. */
static void choose_programs(struct hk_kernel *kernel)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, kernel->skel->obj) {
		bool in = !strncmp(bpf_program__name(prog), "hk_k_in", 7) &&
			  strcmp(bpf_program__name(prog), "hk_k_ingress");

		if (prog != kernel->skel->progs.hk_k_egress)
			bpf_program__set_autoload(prog, in == !kernel->dispatch);
	}
}

static int step_fd(const struct hk_kernel *kernel, const struct step *step)
{
	return bpf_program__fd(bpf_object__find_program_by_name(kernel->skel->obj, step->program));
}

static int set_xdp_steps(struct hk_kernel *kernel)
{
	__u32 deliver = 0; /* HK_CHAIN_DELIVER */
	int fd = bpf_program__fd(kernel->skel->progs.hk_k_deliver), err = 0;
	const struct step *step;

	if (bpf_map_update_elem(bpf_map__fd(kernel->skel->maps.hk_chain), &deliver, &fd, BPF_ANY))
		return -errno;
	kernel->steps_set = true;
	for (step = xdp_steps; !err && step->program; step++)
		err = hk_dispatch_set(kernel->dispatch, step->slot, step_fd(kernel, step));
	return err;
}

static int attach_ingress(struct hk_kernel *kernel, const struct bpf_program *program)
{
	int err = hk_tc_attach(&kernel->ingress, kernel->ifindex, HK_TC_INGRESS,
			       bpf_program__fd(program), HK_TC_FIRST);

	if (err)
		hk_error("can't attach to tc ingress of interface %d: %s", kernel->ifindex,
			 strerror(-err));
	return err;
}

static int attach_in(struct hk_kernel *kernel)
{
	const struct step *step;
	int fd;

	for (step = in_steps; step->program; step++) {
		fd = step_fd(kernel, step);
		if (bpf_map_update_elem(bpf_map__fd(kernel->skel->maps.hk_in), &step->slot, &fd,
					BPF_ANY))
			return -errno;
	}
	return attach_ingress(kernel, kernel->skel->progs.hk_k_in);
}

static int attach_xdp(struct hk_kernel *kernel, bool damage)
{
	int err = set_xdp_steps(kernel);

	if (err)
		hk_error("can't register with the XDP dispatcher: %s", strerror(-err));
	else if (damage)
		err = attach_ingress(kernel, kernel->skel->progs.hk_k_ingress);
	return err;
}

static int attach(struct hk_kernel *kernel, bool damage)
{
	int err;

	/* Receiving first: a peer that hears of us on the transport may answer at once. */
	err = kernel->dispatch ? attach_xdp(kernel, damage) : attach_in(kernel);
	if (err)
		return err;
	err = hk_tc_attach(&kernel->egress, kernel->ifindex, HK_TC_EGRESS,
			   bpf_program__fd(kernel->skel->progs.hk_k_egress), HK_TC_LAST);
	if (err)
		hk_error("can't attach to tc egress of interface %d: %s", kernel->ifindex,
			 strerror(-err));
	return err;
}

static int make_segmenter(struct hk_kernel *kernel)
{
	int segmenter = hk_segmenter_create(kernel->ifindex);

	if (segmenter < 0) {
		hk_error("can't make a macvlan on interface %d, which the kernel datapath needs to "
			 "segment: %s",
			 kernel->ifindex, strerror(-segmenter));
		if (segmenter == -EBUSY)
			hk_hint("a port of a bridge or bond can't have one; name the bridge "
				"or bond itself");
		else if (segmenter == -EOPNOTSUPP)
			hk_hint("load the kernel module 'macvlan'");
		return segmenter;
	}
	kernel->segmenter = segmenter;
	return 0;
}

/* Of a TCP segment behind the header of another protocol. */
static int check_checksums(int ifindex)
{
	char name[IF_NAMESIZE];

	if (!if_indextoname(ifindex, name))
		return -errno;
	if (hk_checksums_safe(name))
		return 0;
	hk_error("%s computes checksums by the IP protocol: that of TCP inside UDP would be wrong",
		 name);
	hk_hint("ethtool -K %s tx off", name);
	return -EOPNOTSUPP;
}

int hk_kernel_open(struct hk_kernel **out, const struct hk_kernel_options *options)
{
	struct hk_kernel *kernel = calloc(1, sizeof(*kernel));
	int err;

	*out = NULL;
	if (!kernel)
		return -ENOMEM;
	kernel->ifindex = options->ifindex;
	kernel->dispatch = options->dispatch;
	hk_phase(HK_PHASE_OPEN);
	kernel->skel = kernel_bpf__open();
	hk_phase(HK_PHASE_ATTACH);
	if (!kernel->skel) {
		err = -errno;
		goto out;
	}
	err = check_checksums(kernel->ifindex) ?: make_segmenter(kernel);
	if (err)
		goto out;
	kernel->skel->rodata->hk_segmenter = kernel->segmenter;
	choose_programs(kernel);
	err = share_maps(kernel->skel, options);
	if (err)
		goto out;
	hk_phase(HK_PHASE_LOAD);
	err = kernel_bpf__load(kernel->skel);
	if (err) {
		hk_error("can't load the kernel datapath: %s", strerror(-err));
		goto out;
	}
	hk_phase(HK_PHASE_ATTACH);
	err = attach(kernel, options->damage);
	hk_phase(HK_PHASE_OTHER);
	if (err)
		goto out;
	*out = kernel;
	return 0;
out:
	hk_kernel_close(kernel);
	return err;
}

/* The program has its index, so another one would not help. It also goes with its interface, which is no news. */
static void miss_segmenter(struct hk_kernel *kernel)
{
	char name[IF_NAMESIZE];

	kernel->segmenter_lost = true;
	if (!if_indextoname(kernel->ifindex, name))
		return;
	hk_warn("the macvlan that segments for %s has been deleted: what is sent in bulk is lost",
		name);
	hk_hint("restart Hooker");
}

void hk_kernel_refresh(struct hk_kernel *kernel)
{
	int err = kernel && !kernel->segmenter_lost ? hk_segmenter_refresh(kernel->segmenter) : 0;

	if (err == -ENODEV)
		miss_segmenter(kernel);
	else if (err)
		hk_debug("can't refresh the segmenter of interface %d: %s", kernel->ifindex,
			 strerror(-err));
}

void hk_kernel_close(struct hk_kernel *kernel)
{
	const struct step *step;

	if (!kernel)
		return;
	/* Sending first, so that what the peer still sends is understood a little longer. */
	hk_tc_detach(kernel->egress);
	hk_tc_detach(kernel->ingress);
	for (step = xdp_steps; kernel->steps_set && step->program; step++)
		hk_dispatch_set(kernel->dispatch, step->slot, -1);
	if (kernel->segmenter)
		hk_segmenter_remove(kernel->ifindex);
	kernel_bpf__destroy(kernel->skel);
	free(kernel);
}
