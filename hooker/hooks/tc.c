// SPDX-License-Identifier: GPL-2.0
#include "hooker/hooks/tc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* Linux 6.6; bpf_link_create() hands attach types it does not know to the kernel unchanged. */
#define TCX_INGRESS 46
#define TCX_EGRESS  47
#define TCX_BEFORE  (1U << 3) /* BPF_F_BEFORE without a reference: first */
#define TCX_AFTER   (1U << 4)

/* Names the clsact filters that are Hooker's: "HK". */
#define FILTER_HANDLE 0x484b

struct hk_tc {
	int ifindex;
	enum hk_tc_side side;
	enum hk_tc_position position;
	int link_fd; /* -1: a clsact filter */
};

static int tcx_attach(struct hk_tc *tc, int prog_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = tc->position == HK_TC_FIRST ? TCX_BEFORE : TCX_AFTER);
	int fd = bpf_link_create(prog_fd, tc->ifindex,
				 tc->side == HK_TC_INGRESS ? TCX_INGRESS : TCX_EGRESS, &opts);

	if (fd < 0)
		return -errno;
	tc->link_fd = fd;
	return 0;
}

static enum bpf_tc_attach_point attach_point(enum hk_tc_side side)
{
	return side == HK_TC_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

/* Filters print as warnings in libbpf when absent: quiet while merely looking. */
static int filter_detach(int ifindex, enum hk_tc_side side, enum hk_tc_position position)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = attach_point(side));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = position);
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	int err = bpf_tc_detach(&hook, &opts);

	libbpf_set_print(print);
	return err;
}

static int clsact_create(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	int err = bpf_tc_hook_create(&hook);

	libbpf_set_print(print);
	return err;
}

static void clsact_destroy(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	bpf_tc_hook_destroy(&hook);
}

static int count_filter(const struct nlmsghdr *message, void *data)
{
	int *count = data;

	if (message->nlmsg_type == RTM_NEWTFILTER)
		(*count)++;
	return MNL_CB_OK;
}

/* Handle 0 is not a filter but the head of a list of them. */
static int count_foreign(const struct nlmsghdr *message, void *data)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(message);
	int *count = data;

	if (message->nlmsg_type == RTM_NEWTFILTER && tcm->tcm_handle &&
	    tcm->tcm_handle != FILTER_HANDLE)
		(*count)++;
	return MNL_CB_OK;
}

/* Filters under @parent that @visit counts, or -errno. */
static int filters_dump(struct mnl_socket *socket, int ifindex, __u32 parent, mnl_cb_t visit)
{
	char buffer[8192];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	unsigned int seq = (unsigned int)time(NULL) ^ parent;
	struct tcmsg *tcm;
	int count = 0;
	ssize_t n;

	message->nlmsg_type = RTM_GETTFILTER;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	message->nlmsg_seq = seq;
	tcm = mnl_nlmsg_put_extra_header(message, sizeof(*tcm));
	tcm->tcm_family = AF_UNSPEC;
	tcm->tcm_ifindex = ifindex;
	tcm->tcm_parent = parent;
	if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		if (n <= 0)
			return n ? -errno : -EPROTO;
		n = mnl_cb_run(buffer, n, seq, mnl_socket_get_portid(socket), visit, &count);
		if (n < 0)
			return -errno;
	} while (n > MNL_CB_STOP);
	return count;
}

/* Removes the clsact qdisc of @ifindex unless somebody has a filter there, or that cannot be told. */
static void clsact_destroy_if_empty(int ifindex)
{
	struct mnl_socket *socket = mnl_socket_open(NETLINK_ROUTE);
	int in, out;

	if (!socket)
		return;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0) {
		in = filters_dump(socket, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
				  count_filter);
		out = filters_dump(socket, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS),
				   count_filter);
		if (in == 0 && out == 0)
			clsact_destroy(ifindex);
	}
	mnl_socket_close(socket);
}

static int clsact_attach(struct hk_tc *tc, int prog_fd)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = tc->ifindex,
		    .attach_point = attach_point(tc->side));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = tc->position,
		    .prog_fd = prog_fd, .flags = BPF_TC_F_REPLACE);
	int err = clsact_create(tc->ifindex);

	if (err && err != -EEXIST)
		return err == -ENOENT ? -EOPNOTSUPP : err;
	err = bpf_tc_attach(&hook, &opts);
	if (err)
		clsact_destroy_if_empty(tc->ifindex);
	return err;
}

static int attach(struct hk_tc **out, int ifindex, enum hk_tc_side side, int prog_fd,
		  enum hk_tc_position position, bool or_clsact)
{
	struct hk_tc *tc = calloc(1, sizeof(*tc));
	int err;

	*out = NULL;
	if (!tc)
		return -ENOMEM;
	tc->ifindex = ifindex;
	tc->side = side;
	tc->position = position;
	tc->link_fd = -1;
	err = tcx_attach(tc, prog_fd);
	/* EINVAL is how kernels before 6.6 answer an attach type they do not know. */
	if (err == -EINVAL)
		err = -EOPNOTSUPP;
	if (err == -EOPNOTSUPP && or_clsact)
		err = clsact_attach(tc, prog_fd);
	if (err) {
		free(tc);
		return err;
	}
	*out = tc;
	return 0;
}

int hk_tc_attach(struct hk_tc **out, int ifindex, enum hk_tc_side side, int prog_fd,
		 enum hk_tc_position position)
{
	return attach(out, ifindex, side, prog_fd, position, true);
}

int hk_tc_attach_link(struct hk_tc **out, int ifindex, enum hk_tc_side side, int prog_fd,
		      enum hk_tc_position position)
{
	return attach(out, ifindex, side, prog_fd, position, false);
}

int hk_tc_fd(const struct hk_tc *tc)
{
	return tc->link_fd;
}

const char *hk_tc_kind(const struct hk_tc *tc)
{
	return tc->link_fd >= 0 ? "tcx" : "clsact";
}

void hk_tc_detach(struct hk_tc *tc)
{
	if (!tc)
		return;
	if (tc->link_fd < 0) {
		filter_detach(tc->ifindex, tc->side, tc->position);
		clsact_destroy_if_empty(tc->ifindex);
	} else {
		bpf_link_detach(tc->link_fd); /* another process may hold the link as well */
	}
	hk_tc_release(tc);
}

void hk_tc_release(struct hk_tc *tc)
{
	if (!tc)
		return;
	if (tc->link_fd >= 0)
		close(tc->link_fd);
	free(tc);
}

int hk_tc_sweep(int ifindex)
{
	int removed = 0;

	for (int side = HK_TC_INGRESS; side <= HK_TC_EGRESS; side++)
		for (int position = HK_TC_FIRST; position <= HK_TC_LAST; position++)
			removed += filter_detach(ifindex, side, position) == 0;
	if (removed)
		clsact_destroy_if_empty(ifindex);
	return removed;
}

int hk_tc_foreign(int ifindex)
{
	static const __u32 parents[] = { TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
					 TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS) };
	struct mnl_socket *socket = mnl_socket_open(NETLINK_ROUTE);
	int total = 0, count, i;

	if (!socket)
		return 0;
	for (i = 0; i < 2 && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0; i++) {
		count = filters_dump(socket, ifindex, parents[i], count_foreign);
		total += count > 0 ? count : 0; /* an error: there is no clsact qdisc */
	}
	mnl_socket_close(socket);
	return total;
}
