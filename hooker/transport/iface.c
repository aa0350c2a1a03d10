// SPDX-License-Identifier: GPL-2.0
#include "hooker/transport/internal.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>

static int query(int ifindex, unsigned long request, struct ifreq *req)
{
	int fd, err = 0;

	if (!if_indextoname(ifindex, req->ifr_name))
		return -ENODEV;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, request, req))
		err = -errno;
	close(fd);
	return err;
}

int hk_transport_interface_check(int ifindex)
{
	struct ifreq req = { 0 };
	int err = query(ifindex, SIOCGIFHWADDR, &req);

	if (err)
		return err;
	/* Loopback has Ethernet headers too; tunnels and other layers do not. */
	if (req.ifr_hwaddr.sa_family != ARPHRD_ETHER && req.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		return -EOPNOTSUPP;
	return 0;
}

/*
 * Drivers of real and virtio devices hand XDP frames as they came off the wire. veth hands over what
 * a socket of this machine has sent, and generic XDP runs on any packet the stack has.
 */
bool hk_iface_has_unfinished(int ifindex, bool native_xdp)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq req = { .ifr_data = (void *)&info };

	if (!native_xdp)
		return true;
	return !query(ifindex, SIOCETHTOOL, &req) && !strcmp(info.driver, "veth");
}
