// SPDX-License-Identifier: GPL-2.0
#include "hooker/hooks/sockdestroy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include "hooker/base/flow_key.h"

static int destroy_one(struct mnl_socket *nl, const struct hk_victim *victim, uint32_t seq)
{
	const struct hk_flow_key *key = &victim->key;
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *req;
	ssize_t len;

	msg->nlmsg_type = SOCK_DESTROY;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	msg->nlmsg_seq = seq;
	req = mnl_nlmsg_put_extra_header(msg, sizeof(*req));
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = -1;
	req->id.idiag_sport = htons(key->local_port);
	req->id.idiag_dport = htons(key->remote_port);
	req->id.idiag_if = victim->ifindex;
	if (hk_flow_ip4(key->remote_ip)) {
		req->sdiag_family = AF_INET;
		req->id.idiag_src[0] = key->local_ip[3];
		req->id.idiag_dst[0] = key->remote_ip[3];
	} else {
		req->sdiag_family = AF_INET6;
		memcpy(req->id.idiag_src, key->local_ip, sizeof(key->local_ip));
		memcpy(req->id.idiag_dst, key->remote_ip, sizeof(key->remote_ip));
	}
	/* inet_diag_find_one_icsk() takes the listener where there is no such connection any more. */
	req->id.idiag_cookie[0] = (uint32_t)victim->cookie;
	req->id.idiag_cookie[1] = victim->cookie >> 32;
	if (mnl_socket_sendto(nl, msg, msg->nlmsg_len) < 0)
		return -errno;
	len = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
	if (len < 0)
		return -errno;
	return mnl_cb_run(buffer, len, seq, mnl_socket_get_portid(nl), NULL, NULL) < 0 ? -errno : 0;
}

int hk_sock_destroy(const struct hk_victim *victims, unsigned int count)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_SOCK_DIAG);
	int destroyed = 0, err = 0;
	unsigned int i;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		count = 0;
	}
	/* One that is refused, as before Linux 6.0 in TIME_WAIT (EOPNOTSUPP), must not spare the others. */
	for (i = 0; i < count; i++) {
		int ret = destroy_one(nl, &victims[i], i + 1);

		if (!ret)
			destroyed++;
		else if (ret != -ENOENT) /* closed meanwhile: just as well */
			err = err ?: ret;
	}
	mnl_socket_close(nl);
	return err ? err : destroyed;
}

int hk_sock_destroy_one(const struct sock_key *key, uint64_t cookie)
{
	struct hk_victim victim = {
		.key = hk_flow_key_of(key),
		.cookie = cookie,
	};

	return hk_sock_destroy(&victim, 1);
}
