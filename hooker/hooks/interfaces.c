// SPDX-License-Identifier: GPL-2.0
#include "hooker/hooks/interfaces.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hooker/hooks/attach.h"
#include "hooker/kernel/segmenter.h"
#include "hooker/base/log.h"
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

int hk_interfaces_default(struct hk_options *options)
{
	struct if_nameindex *list = if_nameindex(), *each;

	for (each = list; each && each->if_index; each++)
		if (hk_interface_is_default(each->if_name) &&
		    options->interface_count < HK_INTERFACES_MAX)
			options->interfaces[options->interface_count++] = each->if_name;
	options->interfaces_found = true;
	if (options->interface_count)
		return 0;
	hk_error("no Ethernet interface is up here: see `hooker doctor`, or name one with "
		 "--interface");
	return -ENODEV;
}
