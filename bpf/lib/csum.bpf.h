/* SPDX-License-Identifier: GPL-2.0 */
/* Internet checksums (RFC 1071, RFC 1624) over words kept in network byte order. */
#ifndef HOOKER_CSUM_BPF_H
#define HOOKER_CSUM_BPF_H

#include <linux/types.h>
#include <bpf/bpf_endian.h>

/* Ones' complement sum of up to 2^32 words, folded to 16 bits. */
static __always_inline __u16 hk_csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Checksum field of UDP and UDP-Lite: 0 on the wire would mean "none". */
static __always_inline __u16 hk_csum_finish(__u64 sum)
{
	__u16 check = ~hk_csum_fold(sum);

	return check ? check : 0xffff;
}

/*
 * UDP checksum of a TCP segment of @length - 8 bytes behind a UDP header with the segment's ports
 * (bpf/wire.h). All arguments in network order.
 */
static __always_inline __u16 hk_csum_udp(__be16 source, __be16 dest, __be16 length)
{
	__u16 segment = bpf_ntohs(length) - 8;

	return hk_csum_finish((__u64)source + dest + length + length + bpf_htons(17) +
			      (__u16)~bpf_htons(6) + (__u16)~bpf_htons(segment));
}

#endif
