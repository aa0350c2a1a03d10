// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>

#include "hooker/doctor/doctor.h"
#include "hooker/hooks/checksums.h"
#include "hooker/hooks/tc.h"
#include "hooker/transport/transport.h"
#include "hooker/base/verdict.h"

/* Page of 4096 bytes, less headroom and the end that the kernel needs: what most drivers allow. */
#define NATIVE_XDP_MTU 3498
#define RELAY_MTU      1500 /* the relay's datagrams fill it */
#define LEAST_MTU      576

struct subject {
	json_t *list;
	const char *name;
	int ifindex;
	int fd; /* any socket, to ask about interfaces */
};

static bool ask(const struct subject *subject, unsigned long what, struct ifreq *request)
{
	snprintf(request->ifr_name, IFNAMSIZ, "%s", subject->name);
	return !ioctl(subject->fd, what, request);
}

static void check_link(const struct subject *subject)
{
	struct ifreq request = { 0 };

	if (ask(subject, SIOCGIFFLAGS, &request) && !(request.ifr_flags & IFF_UP))
		hk_verdict(subject->list, "interface", HK_WARN, "ip link set it up", "%s is down",
			   subject->name);
	else
		hk_verdict(subject->list, "interface", HK_OK, NULL, "%s is up", subject->name);
	if (hk_transport_interface_check(subject->ifindex) == -EOPNOTSUPP)
		hk_verdict(subject->list, "interface", HK_FAIL,
			   "leave it out: name the others with --interface",
			   "%s is not Ethernet, which the programs expect", subject->name);
}

static void check_mtu(const struct subject *subject)
{
	struct ifreq request = { 0 };

	if (!ask(subject, SIOCGIFMTU, &request))
		return;
	if (request.ifr_mtu < LEAST_MTU)
		hk_verdict(
			subject->list, "mtu", HK_FAIL, "ip link set it to 1500",
			"%s has an MTU of %d: too little for a segment and the transport's header",
			subject->name, request.ifr_mtu);
	else if (request.ifr_mtu < RELAY_MTU)
		hk_verdict(
			subject->list, "mtu", HK_WARN,
			"ip link set it to 1500, or use --datapath kernel, which follows the MTU",
			"%s has an MTU of %d: the relay's datagrams of %d bytes are fragmented",
			subject->name, request.ifr_mtu, RELAY_MTU);
	else if (request.ifr_mtu > NATIVE_XDP_MTU)
		hk_verdict(subject->list, "mtu", HK_WARN,
			   "ip link set it to 3498 or less, or accept --xdp-mode generic",
			   "%s has an MTU of %d: most drivers refuse native XDP above %d",
			   subject->name, request.ifr_mtu, NATIVE_XDP_MTU);
	else
		hk_verdict(subject->list, "mtu", HK_OK, NULL, "%s has an MTU of %d", subject->name,
			   request.ifr_mtu);
}

/* Packets that the driver has joined can't be handed to XDP one by one. */
static void check_lro(const struct subject *subject)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GFLAGS };
	struct ifreq request = { .ifr_data = (void *)&value };
	char remedy[64];

	if (!ask(subject, SIOCETHTOOL, &request) || !(value.data & ETH_FLAG_LRO))
		return;
	snprintf(remedy, sizeof(remedy), "ethtool -K %s lro off", subject->name);
	hk_verdict(subject->list, "offload", HK_FAIL, remedy,
		   "%s joins received packets (LRO): XDP can't look at them", subject->name);
}

/* The relay sends UDP-Lite datagram by datagram there, the kernel datapath not at all. */
static void check_checksums(const struct subject *subject)
{
	char remedy[64];

	if (hk_checksums_safe(subject->name))
		return;
	snprintf(remedy, sizeof(remedy), "ethtool -K %s tx off", subject->name);
	hk_verdict(subject->list, "offload", HK_WARN, remedy,
		   "%s computes checksums by the IP protocol: --datapath kernel refuses it",
		   subject->name);
}

static void check_xdp(const struct subject *subject)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);
	char remedy[128];
	int prog;

	if (bpf_xdp_query(subject->ifindex, 0, &query) || query.attach_mode == XDP_ATTACHED_NONE) {
		hk_verdict(subject->list, "xdp", HK_OK, NULL, "%s has no XDP program",
			   subject->name);
		return;
	}
	prog = bpf_prog_get_fd_by_id(query.prog_id ?: query.drv_prog_id ?: query.skb_prog_id);
	if (prog >= 0) {
		bpf_obj_get_info_by_fd(prog, &info, &size);
		close(prog);
	}
	if (!strcmp(info.name, "hk_dispatch")) {
		hk_verdict(subject->list, "xdp", HK_OK, NULL, "%s has Hooker's XDP program, %s",
			   subject->name,
			   query.attach_mode == XDP_ATTACHED_SKB ? "generic" : "native");
		return;
	}
	snprintf(remedy, sizeof(remedy),
		 "ip link set dev %s xdp off, or leave it out: name the others with --interface",
		 subject->name);
	hk_verdict(subject->list, "xdp", HK_FAIL, remedy,
		   "%s has an XDP program already: '%s', id %u", subject->name, info.name,
		   query.prog_id);
}

static void check_filters(const struct subject *subject)
{
	int count = hk_tc_foreign(subject->ifindex);
	char remedy[128];

	if (!count)
		return;
	snprintf(remedy, sizeof(remedy),
		 "see `tc filter show dev %s ingress` and egress; a filter that redirects or edits "
		 "packets must go",
		 subject->name);
	hk_verdict(subject->list, "tc", HK_WARN, remedy, "%s has %d tc filters of others",
		   subject->name, count);
}

/* The kernel datapath needs a macvlan on it. */
static void check_port(const struct subject *subject)
{
	char path[64], target[256], remedy[320];
	ssize_t length;
	const char *master;

	snprintf(path, sizeof(path), "/sys/class/net/%s/master", subject->name);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = 0;
	master = strrchr(target, '/') ? strrchr(target, '/') + 1 : target;
	snprintf(remedy, sizeof(remedy), "--interface %s instead, for the kernel datapath", master);
	hk_verdict(subject->list, "interface", HK_WARN, remedy, "%s is a port of %s", subject->name,
		   master);
}

void doctor_interface(json_t *list, const char *name)
{
	struct subject subject = {
		.list = list,
		.name = name,
		.ifindex = if_nametoindex(name),
	};

	if (!subject.ifindex) {
		hk_verdict(list, "interface", HK_FAIL, "see `ip link`", "no interface '%s' here",
			   name);
		return;
	}
	subject.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check_link(&subject);
	check_port(&subject);
	check_mtu(&subject);
	check_lro(&subject);
	check_checksums(&subject);
	check_xdp(&subject);
	check_filters(&subject);
	if (subject.fd >= 0)
		close(subject.fd);
}
