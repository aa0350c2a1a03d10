// SPDX-License-Identifier: GPL-2.0
#include "hooker/kernel/segmenter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <net/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <libmnl/libmnl.h>

#define NAME_PREFIX "hkseg"

static void segmenter_name(char name[IF_NAMESIZE], int ifindex)
{
	snprintf(name, IF_NAMESIZE, NAME_PREFIX "%d", ifindex);
}

bool hk_is_segmenter(const char *name)
{
	return !strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX));
}

/* Sends one request and waits for its acknowledgement. */
static int request(struct nlmsghdr *nlh)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct mnl_socket *nl;
	int err = 0, len;

	nl = mnl_socket_open(NETLINK_ROUTE);
	if (!nl)
		return -errno;
	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = time(NULL);
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0) {
		err = -errno;
		goto out;
	}
	len = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
	if (len < 0 ||
	    mnl_cb_run(buffer, len, nlh->nlmsg_seq, mnl_socket_get_portid(nl), NULL, NULL) < 0)
		err = -errno;
out:
	mnl_socket_close(nl);
	return err;
}

static struct nlmsghdr *link_message(char *buffer, __u16 type, __u16 flags, int ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *info;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	info->ifi_index = ifindex;
	return nlh;
}

static int create_macvlan(const char *name, int ifindex)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = link_message(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info, *data;

	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_LINK, ifindex);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_str(nlh, IFLA_INFO_KIND, "macvlan");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put_u32(nlh, IFLA_MACVLAN_MODE, MACVLAN_MODE_SOURCE);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	return request(nlh);
}

/* No address of its own, not even a link-local one: nobody is to talk to it. */
static int forbid_addresses(int segmenter)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = link_message(buffer, RTM_NEWLINK, 0, segmenter);
	struct nlattr *spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(nlh, AF_INET6);

	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, inet6);
	mnl_attr_nest_end(nlh, spec);
	return request(nlh);
}

/*
 * macvlan's TSO cannot be switched off (it leaves that to the device below), but what exceeds
 * gso_max_segs is segmented in software all the same.
 */
int hk_segmenter_refresh(int segmenter)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = link_message(buffer, RTM_NEWLINK, 0, segmenter);
	struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);

	mnl_attr_put_u32(nlh, IFLA_GSO_MAX_SEGS, 1);
	info->ifi_flags = info->ifi_change = IFF_UP;
	return request(nlh);
}

int hk_segmenter_create(int ifindex)
{
	char name[IF_NAMESIZE];
	int segmenter, err;

	hk_segmenter_remove(ifindex);
	segmenter_name(name, ifindex);
	err = create_macvlan(name, ifindex);
	if (err)
		return err;
	segmenter = if_nametoindex(name);
	if (!segmenter)
		return -errno;
	/* Without IPv6 in the kernel there is no address to forbid either. */
	(void)forbid_addresses(segmenter);
	err = hk_segmenter_refresh(segmenter);
	if (err)
		hk_segmenter_remove(ifindex);
	return err ? err : segmenter;
}

void hk_segmenter_remove(int ifindex)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = link_message(buffer, RTM_DELLINK, 0, 0);
	char name[IF_NAMESIZE];

	segmenter_name(name, ifindex);
	if (!if_nametoindex(name))
		return;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	(void)request(nlh);
}
