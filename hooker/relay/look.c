// SPDX-License-Identifier: GPL-2.0
/* Asks the kernel about an application's socket, by running hk_look (bpf/look.bpf.c) on a packet. */
#include "hooker/relay/internal.h"

#include <errno.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/look.skel.h"
#include "bpf/sockops.skel.h"
#include "hooker/base/log.h"

int look_open(struct look_bpf **out, struct hk_attach *attach)
{
	struct sockops_bpf *so = attach->sockops;
	struct look_bpf *look = look_bpf__open();
	int err;

	if (!look)
		return -errno;
	err = bpf_map__reuse_fd(look->maps.hk_apps, bpf_map__fd(so->maps.hk_apps));
	if (!err)
		err = look_bpf__load(look);
	if (err) {
		look_bpf__destroy(look);
		return err;
	}
	*out = look;
	return 0;
}

void look_close(struct look_bpf *look)
{
	look_bpf__destroy(look);
}

int look_at(struct loop *loop, const struct sock_key *key, struct hk_look *look)
{
	struct {
		struct ether_header eth;
		union {
			struct sock_key key;
			struct hk_look look;
			uint8_t room[64];
		};
	} __attribute__((packed)) packet = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &packet, .data_size_in = sizeof(packet),
		    .data_out = &packet, .data_size_out = sizeof(packet), .repeat = 1);

	if (!loop->look)
		return -EOPNOTSUPP;
	packet.key = *key;
	if (bpf_prog_test_run_opts(bpf_program__fd(loop->look->progs.hk_look), &opts))
		return -errno;
	*look = packet.look;
	return 0;
}
