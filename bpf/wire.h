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

/*
 * Kernel datapath. A segment of a redirected connection is
 *
 *   IP | UDP or UDP-Lite header, 8 bytes | the TCP segment, header and all, unchanged
 *
 * with the ports of the TCP segment in both headers.
 *   UDP       length = 8 + the segment. Its checksum is real, yet takes no look at the payload nor
 *             at the addresses: the TCP checksum makes the segment sum up to the complement of its
 *             pseudo header, so all that is left is ~(sport + dport + 2 * length + 17 - 6 - (length - 8)).
 *             What a NAT added to it is therefore just what the TCP checksum inside lacks.
 *   UDP-Lite  coverage (the length field) = HK_KERNEL_COVERAGE: its header and TCP's ports, sequence
 *             and acknowledgement numbers, offset, flags and window. The pseudo header's length is
 *             that of the IP payload (RFC 3828, 3.1).
 *
 * SYN, SYN-ACK and segments with urgent data (URG) are always TCP; so may be segments with data and more
 * than 32 bytes of options, which are no sign of trouble (below) either. The client sends its handshake ACK
 * in TCP and once more on the transport, cut to a byte of payload if it bears much, and so the 3rd, 9th
 * and 27th segment; each side sends on the transport only after it has been heard there, and as long as
 * the client has not, its TCP segments repeat the option.
 *
 * Fallback: after a retransmission timeout a few segments travel on both, on the transport first; the
 * copies in TCP may be cut to their first byte of payload, and the first segment may be followed by more
 * copies on the transport, without payload. A server that has not heard there, in a segment without the
 * option, that the client hears it, does the same, with whole copies, with what it repeats or sends beyond
 * its congestion window 1.5 round trips after its first data on the transport: if the client then
 * acknowledges, in TCP and with the option, more than it was sent in TCP alone, the path swallows the
 * transport towards it. Four TCP segments in a row with nothing on the transport between them, eight
 * before eight packets have come there, mean that the path swallows it, provided that nothing has come
 * there for a while that is shorter than the least timeout, for the two may overtake each other. Whoever
 * finds out, or is told by ICMP, goes on in TCP and says so in the option of its next segments: datapath 0,
 * transport as negotiated, and the reason (enum hk_reason) in place of the coverage. The peer follows.
 */
#define HK_KERNEL_COVERAGE 24

/* How far a segment's numbers may be from those of the segments before it, 64 MB, to be taken for the peer's. */
#define HK_SEQ_NEAR (1U << 26)

/* Ports on which every relay daemon listens; 18507 = 0x484b, "HK". */
#define HK_RELAY_PORT	   18507 /* UDP; TCP: links */
#define HK_RELAY_LITE_PORT 18508 /* UDP-Lite */

/*
 * Relay frames (hooker/rdt/README.md is the prose). One frame fills one UDP or UDP-Lite datagram: this
 * header, then `len` payload bytes.
 *
 * A frame carries no checksum of its own: that is the UDP checksum's work, which a Hooker sender
 * always fills. UDP-Lite coverage must be at least HK_FRAME_COVERAGE (its own 8 bytes and this whole
 * header), so a damaged header never arrives; the default, 0, covers the payload as well.
 *
 * Identity: key and the two initial sequence numbers of the TCP handshake. The 64 bits of the ISNs
 * tell incarnations of a 4-tuple apart and make blind injection harder than TCP's.
 *
 * Packet numbers start at 1, rise by one with every DATA, END, RESET and PROBE, and are never used
 * twice: a retransmission has a new one. The wire has their low 32 bits. ACK has 0 and is not
 * itself acknowledged.
 */
enum hk_frame_kind {
	HK_FRAME_DATA = 1, /* payload: len > 0 bytes of the stream at offset */
	HK_FRAME_END = 2,  /* as DATA, len >= 0; the stream ends at offset + len, for reason code */
	HK_FRAME_ACK = 3,  /* payload: 0..HK_ACK_RANGES_MAX struct hk_ack_range */
	HK_FRAME_RESET = 4, /* both directions die now, for reason code; offset = bytes sent */
	HK_FRAME_PROBE = 5, /* asks for an ACK; payload is padding, not looked at */
};

/* Why a stream ended (END) or a connection died (RESET): 4 bits on the wire. */
enum hk_frame_code {
	HK_CODE_OK = 0,	 /* END: close or shutdown, EOF follows the last byte */
	HK_CODE_RST = 1, /* the application's TCP was reset; in END: RST follows the last byte */
	HK_CODE_TIMEOUT = 2, /* the peer was not heard from for too long */
	HK_CODE_UNKNOWN = 3, /* no such connection here (daemon restarted, or long closed) */
	HK_CODE_STOPPED = 4, /* the daemon is stopping */
	HK_CODE_MEMORY = 5,  /* a memory bound was reached */
	HK_CODE_PROTO = 6,   /* the peer broke the protocol */
};

#define HK_FRAME_F_ACK 0x01 /* ack_largest, ack_first, ack_delay mean something */

struct hk_frame {
	__u8 version_kind;  /*  0: HK_WIRE_VERSION << 4 | enum hk_frame_kind */
	__u8 flags_code;    /*  1: enum hk_frame_code << 4 | HK_FRAME_F_* */
	__be16 len;	    /*  2: payload bytes after this header */
	__be32 src_ip4;	    /*  4: struct sock_key as the sender sees it: its own end first */
	__be32 dst_ip4;	    /*  8 */
	__be32 src_port;    /* 12: the port in the low 16 bits */
	__be32 dst_port;    /* 16 */
	__be32 src_isn;	    /* 20: ISN of the sender's TCP */
	__be32 dst_isn;	    /* 24: ISN of the receiver's TCP */
	__be32 pn;	    /* 28: packet number */
	__be32 least;	    /* 32: acknowledgements below this packet number are no longer wanted */
	__be64 offset;	    /* 36: stream offset of the first payload byte; streams start at 0 */
	__be64 cum;	    /* 44: all bytes below this have come; + 1 once the END has as well */
	__be32 window;	    /* 52: credit: the peer may use offsets below cum + window */
	__be32 ack_largest; /* 56: largest packet number received */
	__be16 ack_first;   /* 60: this many numbers directly below ack_largest came as well */
	__be16 ack_delay;   /* 62: microseconds since ack_largest arrived, saturating */
} __attribute__((packed));
_Static_assert(sizeof(struct hk_frame) == 64, "the relay frame header is 64 bytes on the wire");

/* In ACK: older runs of received packet numbers, newest first, neither touching nor overlapping. */
struct hk_ack_range {
	__be32 first;
	__be32 last; /* inclusive */
} __attribute__((packed));

/*
 * Link: the carrier for paths that swallow or refuse datagrams, one TCP connection between two daemons
 * to HK_RELAY_PORT, from the address that the relayed connections have. First the accepting side sends
 * this greeting; until it has come, nothing is known about the peer's daemon. Then, both ways, frames
 * as above, one after another, of any connection between the two addresses; `len` of each header
 * says where the next one begins. Bytes that cannot be a frame, and frames of other hosts'
 * connections, end the link; what was on its way on it is sent again on the next.
 *
 * A connection moves to a link when its datagrams get no answer; its peer follows with the first frame
 * that arrives there. Both carriers may deliver during the move: offsets sort it out.
 */
struct hk_link_greeting {
	__be16 magic; /* HK_OPT_EXID */
	__u8 version; /* HK_WIRE_VERSION */
	__u8 pad[5];
} __attribute__((packed));
_Static_assert(sizeof(struct hk_link_greeting) == 8, "the greeting is 8 bytes on the wire");

#define HK_ACK_RANGES_MAX   32
#define HK_FRAME_COVERAGE   (8 + 64)
#define HK_INITIAL_CREDIT   (1024 * 1024) /* bytes a side may send before it has seen a window */
#define HK_MAX_ACK_DELAY_US 5000	  /* an ACK is never held back longer */

#endif
