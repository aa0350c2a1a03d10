// SPDX-License-Identifier: GPL-2.0
#include "hooker/hooks/checksums.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>

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

bool hk_checksums_safe(const char *device)
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
