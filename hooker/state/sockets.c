// SPDX-License-Identifier: GPL-2.0
#include "hooker/state/sockets.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>

#define STATES_BUT_LISTEN (0xfff & ~(1u << 10)) /* TCP_LISTEN is 10 */

/* ---- the kernel's list ---- */

static void take_info(struct hk_socket *sock, const struct nlattr *attr)
{
	struct tcp_info info = { 0 };
	size_t length = mnl_attr_get_payload_len(attr);

	/* Older kernels know less of it. */
	memcpy(&info, mnl_attr_get_payload(attr), length < sizeof(info) ? length : sizeof(info));
	sock->rtt_ms = info.tcpi_rtt / 1e3;
	sock->acked_bytes = info.tcpi_bytes_acked;
	sock->received_bytes = info.tcpi_bytes_received;
	sock->retransmissions = info.tcpi_total_retrans;
}

static int on_socket(const struct nlmsghdr *msg, void *arg)
{
	const struct inet_diag_msg *diag = mnl_nlmsg_get_payload(msg);
	struct hk_socket **sockets = arg, *sock = calloc(1, sizeof(*sock)), *old;
	const struct nlattr *attr;

	if (!sock)
		return MNL_CB_STOP;
	sock->cookie = (uint64_t)diag->id.idiag_cookie[1] << 32 | diag->id.idiag_cookie[0];
	sock->inode = diag->idiag_inode;
	sock->uid = diag->idiag_uid;
	mnl_attr_for_each(attr, msg, sizeof(*diag)) if (mnl_attr_get_type(attr) == INET_DIAG_INFO)
		take_info(sock, attr);
	HASH_FIND(hh, *sockets, &sock->cookie, sizeof(sock->cookie), old);
	if (old)
		free(sock);
	else
		HASH_ADD(hh, *sockets, cookie, sizeof(sock->cookie), sock);
	return MNL_CB_OK;
}

static int dump(struct mnl_socket *nl, int family, struct hk_socket **sockets)
{
	char buffer[65536];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *req;
	int ret = 1;

	msg->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	msg->nlmsg_seq = family;
	req = mnl_nlmsg_put_extra_header(msg, sizeof(*req));
	req->sdiag_family = family;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_ext = 1 << (INET_DIAG_INFO - 1);
	req->idiag_states = STATES_BUT_LISTEN;
	if (mnl_socket_sendto(nl, msg, msg->nlmsg_len) < 0)
		return -errno;
	while (ret > 0) {
		ssize_t length = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));

		if (length < 0)
			return -errno;
		ret = mnl_cb_run(buffer, length, family, mnl_socket_get_portid(nl), on_socket,
				 sockets);
	}
	return ret < 0 ? -errno : 0;
}

/* ---- whose they are ---- */

static void name_process(struct hk_socket *sock, pid_t pid)
{
	char path[64];
	FILE *file;

	sock->pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(sock->process, sizeof(sock->process), file))
		sock->process[strcspn(sock->process, "\n")] = 0;
	fclose(file);
}

struct by_inode {
	uint32_t inode;
	struct hk_socket *sock;
	UT_hash_handle hh;
};

static void look_into(DIR *fds, pid_t pid, struct by_inode *inodes)
{
	struct dirent *entry;
	struct by_inode *found;
	uint32_t inode;
	char target[64];
	ssize_t length;

	while ((entry = readdir(fds))) {
		length = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = 0;
		if (sscanf(target, "socket:[%u]", &inode) != 1)
			continue;
		HASH_FIND(hh, inodes, &inode, sizeof(inode), found);
		if (found && !found->sock->pid)
			name_process(found->sock, pid);
	}
}

/* The kernel knows a socket's inode, only /proc knows who has it open. */
static void find_processes(struct by_inode *inodes)
{
	DIR *proc = opendir("/proc"), *fds;
	struct dirent *entry;
	char path[300];

	while (proc && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fd", entry->d_name);
		fds = opendir(path);
		if (!fds)
			continue;
		look_into(fds, atoi(entry->d_name), inodes);
		closedir(fds);
	}
	if (proc)
		closedir(proc);
}

static void add_processes(struct hk_socket *sockets)
{
	struct by_inode *inodes = NULL, *entry, *next;
	struct hk_socket *sock, *after;

	HASH_ITER(hh, sockets, sock, after) {
		entry = sock->inode ? calloc(1, sizeof(*entry)) : NULL;
		if (!entry)
			continue;
		entry->inode = sock->inode;
		entry->sock = sock;
		HASH_ADD(hh, inodes, inode, sizeof(entry->inode), entry);
	}
	if (inodes)
		find_processes(inodes);
	HASH_ITER(hh, inodes, entry, next) {
		HASH_DEL(inodes, entry);
		free(entry);
	}
}

struct hk_socket *hk_sockets_read(void)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	struct hk_socket *sockets = NULL;

	if (!nl)
		return NULL;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) >= 0 && !dump(nl, AF_INET, &sockets))
		dump(nl, AF_INET6, &sockets);
	mnl_socket_close(nl);
	add_processes(sockets);
	return sockets;
}

struct hk_socket *hk_sockets_find(struct hk_socket *sockets, uint64_t cookie)
{
	struct hk_socket *sock;

	HASH_FIND(hh, sockets, &cookie, sizeof(cookie), sock);
	return sock;
}

void hk_sockets_free(struct hk_socket *sockets)
{
	struct hk_socket *sock, *next;

	HASH_ITER(hh, sockets, sock, next) {
		HASH_DEL(sockets, sock);
		free(sock);
	}
}
