/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What travels between two hosts that both run Hooker: the TCP option that negotiates, and the
 * relay's frames. Shared by the BPF programs, the daemon and the Wireshark dissector's test.
 * Every integer is big-endian. Changing anything here means a new HK_WIRE_VERSION.
 */
#ifndef HOOKER_WIRE_H
#define HOOKER_WIRE_H

#include <linux/types.h>

#define HK_WIRE_VERSION 1

/*
 * Negotiation: TCP experimental option of RFC 6994, in the SYN (what the client asks for) and in the
 * SYN-ACK (what the server agreed to). 8 bytes; beside MSS, SACK, timestamps and window scale a SYN
 * has 20 left. No option in the SYN-ACK: the connection stays plain TCP.
 */
#define HK_OPT_KIND 254	   /* RFC 4727: reserved for experiments */
#define HK_OPT_EXID 0x484b /* "HK" */

struct hk_option {
	__u8 kind;	       /* HK_OPT_KIND */
	__u8 len;	       /* 8 */
	__be16 exid;	       /* HK_OPT_EXID */
	__u8 version_datapath; /* version << 4 | enum hk_datapath */
	__u8 transport;	       /* IP protocol number: 17 UDP, 136 UDP-Lite */
	__be16 coverage; /* UDP-Lite checksum coverage in bytes, 0 = whole datagram (RFC 3828) */
} __attribute__((packed));
_Static_assert(sizeof(struct hk_option) == 8, "the option is 8 bytes on the wire");

/* UDP (or UDP-Lite) port on which every relay daemon listens; 18507 = 0x484b, "HK". */
#define HK_RELAY_PORT 18507

#endif
