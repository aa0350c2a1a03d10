// SPDX-License-Identifier: GPL-2.0
#include "hooker/hooks/segments.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "hooker/hooks/attach.h"
#include "hooker/kernel/segmenter.h"
#include "hooker/base/log.h"
#include "hooker/transport/transport.h"

static int ethtool(int fd, const char *name, void *command)
{
	struct ifreq req = { .ifr_data = command };

	strncpy(req.ifr_name, name, sizeof(req.ifr_name) - 1);
	return ioctl(fd, SIOCETHTOOL, &req) ? -errno : 0;
}

/* Whether the device's feature @name is on; -errno: it cannot be told. */
static int feature(int fd, const char *device, const char *name)
{
	struct {
		struct ethtool_sset_info info;
		__u32 count;
	} sset = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES } };
	struct ethtool_gfeatures *features = NULL;
	struct ethtool_gstrings *names = NULL;
	__u32 count, blocks, i;
	int ret;

	ret = ethtool(fd, device, &sset);
	if (ret)
		return ret;
	count = sset.count;
	blocks = (count + 31) / 32;
	names = calloc(1, sizeof(*names) + count * ETH_GSTRING_LEN);
	features = calloc(1, sizeof(*features) + blocks * sizeof(features->features[0]));
	ret = -ENOMEM;
	if (!names || !features)
		goto out;
	*names = (struct ethtool_gstrings){ ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count };
	*features = (struct ethtool_gfeatures){ ETHTOOL_GFEATURES, blocks };
	ret = ethtool(fd, device, names) ?: ethtool(fd, device, features);
	if (ret)
		goto out;
	ret = -ENOENT;
	for (i = 0; i < count; i++)
		if (!strcmp((char *)names->data + i * ETH_GSTRING_LEN, name))
			ret = features->features[i / 32].active >> i % 32 & 1;
out:
	free(names);
	free(features);
	return ret;
}

/*
 * The segmenter leaves checksums to the device. One that knows only TCP's and UDP's would be handed
 * protocol 136 and might do nothing; one that adds up whatever it is told, or none at all, is safe.
 */
static bool checksums_safe(const char *device)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool safe = false;

	if (fd < 0)
		return false;
	safe = feature(fd, device, "tx-checksum-ip-generic") == 1 ||
	       (feature(fd, device, "tx-checksum-ipv4") == 0 &&
		feature(fd, device, "tx-checksum-ipv6") == 0);
	close(fd);
	return safe;
}

static int open_one(struct hk_attach *attach, int ifindex)
{
	char name[IF_NAMESIZE];
	int segmenter;

	if (!if_indextoname(ifindex, name))
		return -errno;
	if (!checksums_safe(name))
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
