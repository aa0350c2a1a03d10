// SPDX-License-Identifier: GPL-2.0
#include "hooker/hooks/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/if_link.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/dispatch.skel.h"
#include "hooker/base/log.h"
#include "hooker/base/measure.h"

struct hk_dispatch {
	struct dispatch_bpf *skel;
	int link_fd;
	bool native;
};

static int link_xdp(int prog_fd, int ifindex, __u32 flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
	int fd = bpf_link_create(prog_fd, ifindex, BPF_XDP, &opts);

	return fd < 0 ? -errno : fd;
}

static int attach(struct hk_dispatch *dispatch, int ifindex, enum hk_xdp_mode mode)
{
	int prog_fd = bpf_program__fd(dispatch->skel->progs.hk_dispatch);
	int fd = -EOPNOTSUPP;

	if (mode != HK_XDP_GENERIC)
		fd = link_xdp(prog_fd, ifindex, XDP_FLAGS_DRV_MODE);
	dispatch->native = fd >= 0;
	if (fd < 0 && (mode == HK_XDP_GENERIC || (mode == HK_XDP_AUTO && fd != -EBUSY))) {
		if (mode == HK_XDP_AUTO)
			hk_warn("interface %d refuses native XDP; using generic XDP, which is slower",
				ifindex);
		fd = link_xdp(prog_fd, ifindex, XDP_FLAGS_SKB_MODE);
	}
	dispatch->link_fd = fd < 0 ? -1 : fd;
	return fd < 0 ? fd : 0;
}

int hk_dispatch_open(struct hk_dispatch **out, int ifindex, enum hk_xdp_mode mode, int count_fd)
{
	struct hk_dispatch *dispatch = calloc(1, sizeof(*dispatch));
	int err;

	*out = NULL;
	if (!dispatch)
		return -ENOMEM;
	dispatch->link_fd = -1;
	hk_phase(HK_PHASE_OPEN);
	dispatch->skel = dispatch_bpf__open();
	if (!dispatch->skel) {
		err = -errno;
		goto out;
	}
	if (count_fd >= 0) {
		err = bpf_map__reuse_fd(dispatch->skel->maps.hk_count, count_fd);
		if (err)
			goto out;
	}
	hk_phase(HK_PHASE_LOAD);
	err = dispatch_bpf__load(dispatch->skel);
	if (err)
		goto out;
	hk_phase(HK_PHASE_ATTACH);
	err = attach(dispatch, ifindex, mode);
	hk_phase(HK_PHASE_OTHER);
	if (err)
		goto out;
	*out = dispatch;
	return 0;
out:
	hk_dispatch_close(dispatch);
	return err;
}

int hk_dispatch_set(struct hk_dispatch *dispatch, unsigned int slot, int prog_fd)
{
	int err;

	if (prog_fd < 0) {
		err = bpf_map_delete_elem(hk_dispatch_map_fd(dispatch), &slot);
		return err && errno != ENOENT ? -errno : 0;
	}
	err = bpf_map_update_elem(hk_dispatch_map_fd(dispatch), &slot, &prog_fd, BPF_ANY);
	return err ? -errno : 0;
}

int hk_dispatch_map_fd(const struct hk_dispatch *dispatch)
{
	return bpf_map__fd(dispatch->skel->maps.hk_rx);
}

int hk_dispatch_link_fd(const struct hk_dispatch *dispatch)
{
	return dispatch->link_fd;
}

bool hk_dispatch_is_native(const struct hk_dispatch *dispatch)
{
	return dispatch->native;
}

void hk_dispatch_close(struct hk_dispatch *dispatch)
{
	if (!dispatch)
		return;
	if (dispatch->link_fd >= 0)
		close(dispatch->link_fd);
	dispatch_bpf__destroy(dispatch->skel);
	free(dispatch);
}
