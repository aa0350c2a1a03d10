// SPDX-License-Identifier: GPL-2.0
#include "hooker/interfaces.h"

#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hooker/kernel/segmenter.h"
#include "hooker/transport/transport.h"

static short flags_of(const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
	if (fd < 0)
		return 0;
	if (ioctl(fd, SIOCGIFFLAGS, &request))
		request.ifr_flags = 0;
	close(fd);
	return request.ifr_flags;
}

bool hk_interface_is_default(const char *name)
{
	short flags = flags_of(name);

	return flags & IFF_UP && !(flags & IFF_LOOPBACK) && !hk_is_segmenter(name) &&
	       !hk_transport_interface_check(if_nametoindex(name));
}
