/* SPDX-License-Identifier: GPL-2.0 */
/* The TCP option that negotiates (bpf/wire.h): reading and writing it in SOCK_OPS programs. */
#ifndef HOOKER_OPTION_BPF_H
#define HOOKER_OPTION_BPF_H

#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "bpf/abi.h"
#include "bpf/wire.h"
#include "bpf/lib/count.bpf.h"

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define TCP_FLAG_ACK 0x10

static __always_inline __u8 hk_option_datapath(const struct hk_option *opt)
{
	return opt->version_datapath & 0xf;
}

/*
 * Loads Hooker's option; @flags: 0 = the packet at hand, BPF_LOAD_HDR_OPT_TCP_SYN = the SYN that is answered.
 * Returns 0 or -errno; -ENOENT: there is no SYN to look at.
 */
static __always_inline int hk_option_load(struct bpf_sock_ops *ctx, struct hk_option *opt,
					  __u64 flags)
{
	int ret;

	__builtin_memset(opt, 0, sizeof(*opt));
	opt->kind = HK_OPT_KIND;
	opt->len = 4; /* search by kind and the two bytes of ExID */
	opt->exid = bpf_htons(HK_OPT_EXID);
	ret = bpf_load_hdr_opt(ctx, opt, sizeof(*opt), flags);
	if (ret < 0)
		return ret;
	if (opt->len != sizeof(*opt) || opt->version_datapath >> 4 != HK_WIRE_VERSION ||
	    (opt->transport != HK_TRANSPORT_UDP && opt->transport != HK_TRANSPORT_UDPLITE)) {
		hk_counter_inc(HK_COUNT_OPT_FOREIGN);
		return -ENOMSG;
	}
	return 0;
}

static __always_inline void hk_option_fill(struct hk_option *opt, __u8 datapath, __u8 transport,
					   __u16 coverage)
{
	opt->kind = HK_OPT_KIND;
	opt->len = sizeof(*opt);
	opt->exid = bpf_htons(HK_OPT_EXID);
	opt->version_datapath = HK_WIRE_VERSION << 4 | datapath;
	opt->transport = transport;
	opt->coverage = bpf_htons(coverage);
}

#endif
