/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract between Hooker's BPF programs and Hooker userspace: map keys and values, events,
 * counters. Structs and enums only. IPv4 addresses are in network byte order and ports in host
 * byte order unless a name says otherwise. Changing a struct means a new HK_ABI_VERSION.
 */
#ifndef HOOKER_ABI_H
#define HOOKER_ABI_H

#include <linux/types.h>

#define HK_ABI_VERSION 1

/* The paper's code listing 1: names one end of a TCP connection, seen from that end (src = local). */
struct sock_key {
	__u32 src_ip4;
	__u32 dst_ip4;
	__u32 src_port;
	__u32 dst_port;
};
_Static_assert(sizeof(struct sock_key) == 16, "sock_key is part of the relay wire format");

/* How payload travels inside a host. */
enum hk_datapath {
	HK_DATAPATH_NONE = 0,	/* plain TCP */
	HK_DATAPATH_RELAY = 1,	/* SK_MSG, redirection socket, Hooker userspace */
	HK_DATAPATH_KERNEL = 2, /* tc egress and XDP ingress, no userspace crossing */
};

/* What is on the wire: the IP protocol number. */
enum hk_transport {
	HK_TRANSPORT_TCP = 6,
	HK_TRANSPORT_UDP = 17,
	HK_TRANSPORT_UDPLITE = 136,
};

/*
 * Why a connection travels the way it does. hooker/base/names.c has the words `hooker flows` prints. The numbers are on
 * the wire (bpf/wire.h): 7 is free.
 */
enum hk_reason {
	HK_REASON_NONE = 0,
	HK_REASON_NEGOTIATED,	       /* both ends agreed: redirected */
	HK_REASON_PEER_WITHOUT_HOOKER, /* no option in the SYN-ACK, or in the client's handshake ACK */
	HK_REASON_RULE,		       /* configuration says TCP */
	HK_REASON_SYN_COOKIE,	       /* stateless handshake: nothing can be remembered */
	HK_REASON_LOOPBACK,	       /* both ends on this host */
	HK_REASON_IPV6,		       /* the relay's sock_key is IPv4 only */
	HK_REASON_NO_ROOM = 8,	       /* SYN options full, or a map was full */
	HK_REASON_ICMP_UNREACHABLE,    /* the path refuses the transport */
	HK_REASON_BLACKHOLE,	       /* the transport's packets vanish */
	HK_REASON_PEER_FELL_BACK,      /* the peer went back to TCP */
	HK_REASON_PATH_CACHED,	       /* an earlier connection to that peer fell back */
	HK_REASON_DAEMON_STOPPED,      /* Hooker userspace ended */
	HK_REASON_ABORTED,	       /* an unrecoverable error: the application was told */
	HK_REASON_UNDEPLOYED,	       /* `hooker undeploy` took the transport away */
	HK_REASON_MAX,		       /* up to HK_REASONS_ROOM */
};

/* One end of a TCP connection, either family: IPv4 as ::ffff:a.b.c.d. Addresses network order. */
struct hk_flow_key {
	__u32 local_ip[4];
	__u32 remote_ip[4];
	__u16 local_port;  /* host byte order */
	__u16 remote_port; /* host byte order */
	__u32 pad;
};
_Static_assert(sizeof(struct hk_flow_key) == 40, "hk_flow_key has no hidden padding");

enum hk_flow_state {
	HK_FLOW_TCP = 0,     /* plain TCP; reason says why */
	HK_FLOW_ACTIVE = 1,  /* redirected */
	HK_FLOW_CLOSING = 2, /* redirected, application side closed */
};

enum hk_flow_flags {
	HK_FLOW_CLIENT = 1 << 0,   /* this end sent the SYN */
	HK_FLOW_FIN_SENT = 1 << 2, /* relay: TCP has sent its FIN once */
	HK_FLOW_SHUT =
		1 << 3, /* relay: sending ended (SHUT_WR, close or the peer's RST): SK_PASS */
	HK_FLOW_ANSWERED = 1 << 4, /* kernel: the peer has heard this end on the transport */
	HK_FLOW_RESET = 1 << 5,	   /* relay: HK_FLOW_SHUT by RST, sent or received */
};

/* What Hooker knows of one connection. Writers: sock_ops (all), datapath programs (counters). */
struct hk_flow {
	__u8 state;	  /* enum hk_flow_state */
	__u8 datapath;	  /* enum hk_datapath */
	__u8 transport;	  /* enum hk_transport */
	__u8 reason;	  /* enum hk_reason */
	__u16 coverage;	  /* UDP-Lite coverage, 0 = whole datagram */
	__u8 agreed;	  /* kernel: enum hk_transport negotiated, kept after a fallback */
	__u8 damage;	  /* kernel: accept damage outside the checksum coverage */
	__u32 flags;	  /* enum hk_flow_flags */
	__u32 local_isn;  /* host byte order */
	__u32 remote_isn; /* host byte order */
	__u32 ifindex;	  /* where its packets arrive, 0 = none yet */
	__u64 cookie;	  /* socket cookie, as in `ss -e` */
	__u64 since_ns;	  /* CLOCK_MONOTONIC at establishment */
	__u64 tx_bytes;	  /* payload the application handed over (relay) or sent (kernel) */
	__u64 tx_packets; /* kernel: packets sent on the transport */
	__u64 rx_packets; /* kernel: packets received on the transport; 0 = not yet in use */
	__u64 changed_ns; /* CLOCK_MONOTONIC of the last state or reason change */
	union {
		__u32 rtos;   /* kernel: retransmission timeouts while redirected */
		__u32 braked; /* relay: bytes put into the socket's send queue, see hk_bounds */
	};
	__u32 rx_seq; /* kernel: end of the newest segment received */
	__u32 rx_ack; /* kernel: its acknowledgement number */
	__u32 tx_seq; /* kernel: end of the newest segment sent */
	union {
		__u32 tcp_tx; /* kernel: segments sent in TCP while the transport was being probed */
		__u32 rto_ack; /* kernel, after that: rx_ack at the last timeout */
		__u32 slot;    /* relay: its loopback pair, index into hk_pairs; or HK_SLOT_NONE */
	};
	__u16 tcp_run;	  /* kernel: TCP segments received since the last one on the transport */
	__u8 twice;	  /* kernel: how many of the next packets go on both, transport and TCP */
	__u8 signal;	  /* kernel: how many of the next packets tell the peer of the fallback */
	__u32 tcp_tx_seq; /* kernel: end of the newest segment sent in TCP alone */
	__u32 tcp_rx_seq; /* kernel: end of the newest segment received so: what a firewall knows */
	union {
		__u32 first_us; /* kernel: low half of CLOCK_MONOTONIC at the first data on the transport, 0 = none */
		__u32 shift; /* relay: how many of them have left it: so far TCP is ahead of the wire */
	};
	__u8 probes; /* kernel: unanswered probes of a zero window or of an idle connection */
	__u8 stuck; /* kernel: timeouts or probes that neither way gets an answer to; 0 = few, all is well */
	__u8 crawl; /* kernel: timeouts since each of which only the cut copies in TCP were acknowledged */
	__u8 pad;
	__u32 heard; /* kernel: jiffies, low half, when the last packet on the transport came */
	__u32 pad2;
};
_Static_assert(sizeof(struct hk_flow) == 120, "hk_flow has no hidden padding");

/*
 * What new connections ask for; array of one, written by userspace at any time. The rules in force
 * are rules_count entries of hk_rules from rules_first: userspace fills the half that is not in use,
 * then switches both fields in one 4-byte store.
 */
struct hk_config {
	__u8 datapath;	/* enum hk_datapath: the default, where no rule matches */
	__u8 transport; /* enum hk_transport */
	__u16 coverage; /* UDP-Lite coverage, 0 = whole datagram */
	__u32 flags;	/* enum hk_config_flags */
	__u16 rules_first;
	__u16 rules_count;
	__u32 path_ttl_s; /* how long a path that refused the transport is remembered; 0 = not at all */
};
_Static_assert(sizeof(struct hk_config) == 16, "hk_config has no hidden padding");

enum hk_config_flags {
	HK_CONFIG_DAMAGE = 1 << 0,  /* kernel: default for hk_rule.damage */
	HK_CONFIG_LITE = 1 << 1,    /* UDP-Lite is deployed here */
	HK_CONFIG_SHARED = 1 << 2,  /* relay: the paper's shared redirection socket, no pairs */
	HK_CONFIG_JOURNAL = 1 << 3, /* somebody follows hk_journal */
};

/* One rule of the list; the first that matches a connection decides. Array hk_rules. */
#define HK_RULES_MAX 64 /* as many as hk_class.rules has bits */
struct hk_rule {
	__u32 remote_ip[4];   /* network order, IPv4 as ::ffff:a.b.c.d, already masked */
	__u32 remote_mask[4]; /* network order; all zero = any address */
	__u16 local_port;     /* host order, 0 = any */
	__u16 remote_port;    /* host order, 0 = any */
	__u8 datapath;	      /* enum hk_datapath; HK_DATAPATH_NONE = leave it on TCP */
	__u8 transport;	      /* enum hk_transport */
	__u16 coverage;
	__u64 cgroup; /* 1 = only sockets that bpf/class.bpf.c found in the rule's cgroup */
	__u8 damage;  /* accept damage outside the checksum coverage */
	__u8 pad[7];
};
_Static_assert(sizeof(struct hk_rule) == 56, "hk_rule has no hidden padding");

/* A path that refused a transport: LRU hash hk_paths, written on fallback, read on connect. */
struct hk_path_key {
	__u32 remote_ip[4];
	__u32 transport;
};

struct hk_path {
	__u64 at_ns;  /* CLOCK_MONOTONIC of the last refusal */
	__u32 reason; /* enum hk_reason */
	__u32 count;
};
_Static_assert(sizeof(struct hk_path) == 16, "hk_path has no hidden padding");

/* Server end between SYN-ACK and ACK: LRU hash hk_half. */
struct hk_half {
	__u8 datapath;
	__u8 transport;
	__u16 coverage;
	__u8 damage;
	__u8 pad[3];
	__u32 heard; /* packets the client has already sent on the transport */
};
_Static_assert(sizeof(struct hk_half) == 12, "hk_half has no hidden padding");

/*
 * What Hooker userspace orders for one relayed connection (map hk_orders, keyed by sock_key). A map
 * of its own, because userspace can only write whole values and the programs write hk_flow.
 */
enum hk_order_flags {
	HK_ORDER_RELEASE = 1 << 0,   /* the stream is complete: let FIN and RST pass */
	HK_ORDER_SHUT = 1 << 1,	     /* the peer reset: SK_PASS, native TCP has the right answer */
	HK_ORDER_CONFIRMED = 1 << 2, /* client: the server was heard, stop repeating the option */
	HK_ORDER_FIN = 1 << 3,	     /* the peer has every byte: TCP may repeat its FIN */
};

struct hk_order {
	__u32 flags;	 /* enum hk_order_flags */
	__u32 local_isn; /* which life of the 4-tuple is meant */
};

/* Pushed in front of every message on its way through the redirection socket (relay). */
struct hk_msg_header {
	struct sock_key key;
	__u32 length;	 /* payload bytes that follow */
	__u32 local_isn; /* tells two lives of one 4-tuple apart */
	__u64 magic;	 /* hk_magic, which nobody else knows: what lacks it is no header */
};
_Static_assert(sizeof(struct hk_msg_header) == 32, "pushed with bpf_msg_push_data()");

/*
 * Loopback pairs: what an application sends goes to side B of a TCP connection of Hooker userspace to
 * itself (SOCKMAP hk_pairs) and is read at side A. The queue hk_slots holds the indices of pairs
 * that wait for a connection. Both ends are at this address, so that they are not negotiated.
 */
#define HK_PAIR_ADDRESS 0x7f484b01 /* 127.72.75.1, host order */
#define HK_PAIRS_MAX	32768
#define HK_SLOT_NONE	0xffffffff

/* Array hk_room of one, shared by mmap(): may another connection be relayed? */
struct hk_room {
	__s32 free;    /* indices in hk_slots */
	__s32 pending; /* server: SYN-ACKs that promised one, whose ACK has not come; decays */
	__u32 full;    /* userspace: a bound is reached, no new connections */
	__u32 pad;
};
_Static_assert(sizeof(struct hk_room) == 16, "hk_room has no hidden padding");

/*
 * A segment injected to run sock_ops on a socket, which then makes writers look again: recognised by
 * window and urgent pointer, without effect on TCP.
 */
#define HK_KICK_WINDOW 1
#define HK_KICK_URGENT 0x484b

/*
 * Array hk_bounds, one __u64 a pair, shared by mmap(): what hk_flow.tx_bytes reaches when the application's
 * brake is to be applied; 0 = not at all.
 *
 * The brake is one byte in the send queue of the application's own socket, which TCP may not send, for its window is
 * closed: while it waits there, poll() does not report the socket as writable and send() does not accept
 * anything. Segments injected with this urgent pointer close and open the window, and lower
 * TCP_NOTSENT_LOWAT to one byte.
 */
#define HK_BRAKE_URGENT 0x4842
#define HK_BRAKE_SEQ	3 /* behind the remote ISN: later than the peer's own, 1 or after its FIN 2 */

/* Answer of hk_look, written to the start of the packet that asks with a sock_key in the same place. */
struct hk_look {
	__u32 found;	/* the application's socket is in hk_apps */
	__u32 unread;	/* bytes in its receive queue, as the kernel charges them */
	__u32 nonblock; /* O_NONBLOCK is set */
	__u32 pad;
};

/*
 * Hooker userspace has so many event loops at most. The connections with one remote host are all in the same: the number of
 * its IPv4 address modulo the count of loops.
 */
#define HK_LOOPS_MAX 16

/* Slots of one loop in the redirection socket map; those of loop n begin at n * HK_REDIR_SLOTS. */
enum hk_redir_slot {
	HK_REDIR_SOCKET = 0, /* the redirection socket */
	HK_REDIR_BOUNCE = 1, /* where an undeliverable message returns to, instead of SK_DROP */
	HK_REDIR_SLOTS,
};
#define HK_REDIR_MAX (HK_LOOPS_MAX * HK_REDIR_SLOTS)

/* Ring buffers of the array hk_rings, one a loop: BPF to Hooker userspace. */
enum hk_event_type {
	HK_EVENT_ESTABLISHED = 1, /* a redirected connection is in the SOCKHASH */
	HK_EVENT_STATE = 2,	  /* its TCP state changed: old_state, new_state, tx_bytes */
	HK_EVENT_HELD =
		3, /* a FIN, a RST or what is to be translated was held: frame, frame_len, ifindex */
	HK_EVENT_BROKEN = 4, /* redirection failed: the connection must be reset */
};

#define HK_HELD_MAX 96 /* Ethernet 14 + IPv4 20 + TCP with options 60, rounded up */

struct hk_event {
	__u32 type; /* enum hk_event_type */
	__u32 ifindex;
	struct sock_key key;
	__u64 tx_bytes;
	__u64 cookie;
	__u32 local_isn;
	__u32 remote_isn;
	__u8 old_state; /* kernel's enum tcp_state: ESTABLISHED 1 … CLOSE 7 */
	__u8 new_state;
	__u8 transport;
	__u8 is_client;
	__u16 coverage;
	__u16 frame_len;
	__u32 rtt_us; /* of the handshake, 0 = not measured */
	__u8 frame[HK_HELD_MAX];
	__u32 slot; /* ESTABLISHED: of the pair, or HK_SLOT_NONE */
};
_Static_assert(sizeof(struct hk_event) == 160, "hk_event has no hidden padding");

/* Ring buffer hk_journal: what happened to connections, for `hooker events`. */
enum hk_note_type {
	HK_NOTE_ESTABLISHED = 1,
	HK_NOTE_FELL_BACK = 2,
	HK_NOTE_ENDED = 3,
};

struct hk_note {
	__u32 what; /* enum hk_note_type */
	__u8 state; /* these as in hk_flow */
	__u8 datapath;
	__u8 transport;
	__u8 reason;
	__u32 flags;
	__u32 pad;
	struct hk_flow_key key;
	__u64 cookie;
	__u64 since_ns;
	__u64 at_ns; /* CLOCK_MONOTONIC */
	__u64 tx_bytes;
};
_Static_assert(sizeof(struct hk_note) == 88, "hk_note has no hidden padding");

#define HK_REASONS_ROOM 32 /* of each half of hk_reasons */

/*
 * XDP dispatcher: PROG_ARRAY hk_rx, two slots per IP protocol. The first occupied one is called; a
 * step that does not want the packet tail-calls HK_RX_SECOND(protocol), then returns XDP_PASS.
 * First: the kernel datapath. Second: the relay (TCP), deployed transports (UDP-Lite).
 */
#define HK_RX_FIRST(proto)  (proto)
#define HK_RX_SECOND(proto) (256 + (proto))
#define HK_RX_SLOTS	    512

/* The kernel datapath at tc ingress: PROG_ARRAY hk_in. */
enum hk_in_step { HK_IN_UDP, HK_IN_UDPLITE, HK_IN_TCP, HK_IN_ICMP, HK_IN_STEPS };

/* Counters: per-CPU array hk_count, packets or events by reason. Words in hooker/base/names.c. */
enum hk_counter {
	HK_COUNT_SYN_OFFERED, /* option written into a SYN */
	HK_COUNT_SYN_AGREED,  /* option written into a SYN-ACK */
	HK_COUNT_ESTABLISHED, /* connections redirected */
	HK_COUNT_PLAIN,	      /* connections left on TCP */
	HK_COUNT_OPT_NO_ROOM,
	HK_COUNT_OPT_FOREIGN, /* option present, version or values not ours */
	HK_COUNT_MAP_FULL,
	HK_COUNT_MSG_REDIRECTED, /* application message to the redirection socket */
	HK_COUNT_MSG_PASSED,	 /* sending side already shut: native TCP answers */
	HK_COUNT_MSG_PUSH_FAILED,
	HK_COUNT_MSG_DELIVERED, /* message to the application's socket */
	HK_COUNT_MSG_BOUNCED,	/* no such socket any more */
	HK_COUNT_MSG_REFUSED,	/* for want of memory; userspace tries again */
	HK_COUNT_NO_ROOM,	/* connections not offered or agreed to: bounds reached */
	HK_COUNT_KICKED,	/* writers told that there is room again */
	HK_COUNT_KICK_FAILED,	/* ... and this kernel could not */
	HK_COUNT_BRAKED,	/* writers stopped because their pair is full */
	HK_COUNT_XDP_PASSED,	/* dispatcher: not for Hooker */
	HK_COUNT_RELAY_HELD, /* FIN or RST held until the stream is complete; or what is to be translated (shift) */
	HK_COUNT_RELAY_FIN_KEPT, /* repeated FIN of ours taken out of its segment */
	HK_COUNT_RELAY_TCP_DATA, /* TCP payload on a redirected connection: dropped */
	HK_COUNT_EVENT_LOST,	 /* ring buffer full */
	HK_COUNT_KERNEL_TX,	/* kernel datapath: segment sent on the transport, or meant to be */
	HK_COUNT_KERNEL_TX_GSO, /* super-packet sent through the segmenter */
	HK_COUNT_KERNEL_TX_PROBE, /* segment sent on both to find out whether the transport works */
	HK_COUNT_KERNEL_TX_TCP,	  /* segment of a negotiated flow left in TCP while probing */
	HK_COUNT_KERNEL_TX_ROOM,  /* no room for 8 more bytes, or no memory: left in TCP */
	HK_COUNT_KERNEL_TX_WHOLE, /* super-packet that the segmenter did not cut: left in TCP */
	HK_COUNT_KERNEL_RX,	  /* packet turned back into TCP */
	HK_COUNT_KERNEL_RX_UNKNOWN, /* UDP or UDP-Lite packet of no flow: passed */
	HK_COUNT_KERNEL_RX_MALFORMED, /* of a flow, but lengths or header fields make no sense: passed */
	HK_COUNT_KERNEL_RX_CHECKSUM,   /* covered part damaged: dropped */
	HK_COUNT_KERNEL_RX_NAT,	       /* a NAT rewrote addresses or ports: TCP checksum repaired */
	HK_COUNT_KERNEL_RX_DAMAGED,    /* damage outside the coverage accepted as asked */
	HK_COUNT_KERNEL_RX_TCP,	       /* TCP segment where the transport was expected */
	HK_COUNT_KERNEL_ICMP_REPAIRED, /* quoted packet turned back into TCP */
	HK_COUNT_KERNEL_ICMP_FALLBACK, /* the path refused the transport */
	HK_COUNT_KERNEL_ICMP_IGNORED,  /* quotes a sequence number the flow never used */
	HK_COUNT_KERNEL_SUSPECT,      /* retransmission timeout: both transport and TCP are tried */
	HK_COUNT_KERNEL_RST_REPAIRED, /* RST that had to look old to a firewall */
	HK_COUNT_KERNEL_FALLBACK,     /* flow went back to TCP */
	HK_COUNT_MAX = 64,
};

#endif
