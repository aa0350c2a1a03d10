// SPDX-License-Identifier: GPL-2.0
#include "hooker/hooks/segments.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "hooker/hooks/attach.h"
#include "hooker/hooks/checksums.h"
#include "hooker/kernel/segmenter.h"
#include "hooker/base/log.h"
#include "hooker/transport/transport.h"

static int open_one(struct hk_attach *attach, int ifindex)
{
	char name[IF_NAMESIZE];
	int segmenter;

	if (!if_indextoname(ifindex, name))
		return -errno;
	if (!hk_checksums_safe(name))
		return -EOPNOTSUPP;
	segmenter = hk_segmenter_create(ifindex);
	if (segmenter < 0)
		return segmenter;
	return hk_deployment_set_segmenter(attach->udplite, ifindex, segmenter);
}

void hk_segments_open(struct hk_attach *attach)
{
	int i, err = 0;

	attach->segments = true;
	for (i = 0; !err && i < attach->options->interface_count; i++)
		err = open_one(attach, attach->ifindex[i]);
	if (!err)
		return;
	hk_debug("no segmenter for UDP-Lite (%s): datagrams are sent one by one", strerror(-err));
	hk_segments_close(attach);
}

void hk_segments_close(struct hk_attach *attach)
{
	int i;

	if (!attach->segments)
		return;
	for (i = 0; i < attach->options->interface_count; i++)
		hk_segmenter_remove(attach->ifindex[i]);
	attach->segments = false;
}
