/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RDT, the relay's reliable transport: carries both byte streams of one redirected TCP connection
 * between two Hooker daemons. A pure library: no socket, clock, thread or event loop. The caller
 * brings datagrams and the time, and takes datagrams, bytes and the next deadline.
 *
 * Times are nanoseconds of one monotonic clock, never going back, never 0. Addresses are in network
 * byte order, ports and ISNs in host byte order. Sizes are bytes. Functions return 0 (or what
 * they say) or -errno. No object is safe for use by two threads at once; connections that share a
 * struct rdt_path belong to one thread.
 *
 * The caller's loop, after any rdt_input(), rdt_write(), rdt_finish(), rdt_consume(),
 * rdt_set_window() or rdt_on_timeout():
 *
 *	while (rdt_output(conn, now, &dgram) > 0)
 *		queue dgram;
 *	send the queue; arm a timer for rdt_next_timeout(conn);
 */
#ifndef HOOKER_RDT_H
#define HOOKER_RDT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "bpf/abi.h"
#include "bpf/wire.h"

#define RDT_NEVER     UINT64_MAX
#define RDT_NS_PER_MS 1000000ull

struct rdt_conn;

/* Congestion control. */
enum rdt_cc_kind {
	RDT_CC_CUBIC = 0,   /* RFC 9438 with HyStart++ (RFC 9406) */
	RDT_CC_NEWRENO = 1, /* RFC 9002 section 7 */
	RDT_CC_FIXED = 2, /* a constant window of fixed_window bytes, no pacing: experiments only */
};

struct rdt_config {
	uint32_t max_datagram; /* largest frame, header included: 1472 on IPv4 with MTU 1500 */
	uint32_t send_buffer;  /* bound of bytes written and not yet acknowledged */
	uint32_t recv_buffer; /* bound of bytes received and not yet consumed; >= HK_INITIAL_CREDIT */
	enum rdt_cc_kind cc;
	uint32_t fixed_window; /* RDT_CC_FIXED only */
	uint32_t initial_packets; /* initial window; what exceeds 10 (RFC 6928) is paced over initial_rtt */
	uint32_t ack_every; /* acknowledge at the latest every so many packets once under way */
	uint64_t initial_rtt; /* ns, from the TCP handshake where known; 0 = 100 ms, no jump, 10 packets at first */
	bool hystart;  /* leave slow start when the RTT rises */
	bool jump;     /* use and feed the path memory */
	bool reliable; /* carrier is a TCP connection: see rdt_path_changed() */
	bool no_recovery; /* each byte sent once, delivered as it comes; at both ends: experiments only */
};

/* For an MTU of 1500: 4 MiB buffers, CUBIC, 16 packets, HyStart++ and path memory on. */
void rdt_config_default(struct rdt_config *cfg);

struct rdt_identity {
	struct sock_key key; /* as seen locally: src = this host; ports in host order */
	uint32_t local_isn;
	uint32_t remote_isn;
};

/*
 * What is remembered about the path to one remote host. The caller keeps one per remote address,
 * zeroed at first, alive at least as long as any connection that was given it. The library reads
 * it when a connection starts and writes it as the connection learns.
 */
struct rdt_path {
	uint64_t window; /* most bytes that fitted in one round trip without loss; 0 = nothing known */
	uint64_t min_rtt;	     /* of that time, ns */
	uint64_t recent, recent_rtt; /* the same, since: */
	uint64_t since;		     /* see rdt_path_age() */
	uint64_t last_loss;	     /* when a connection last lost packets, 0 = never */
	uint64_t jumping; /* bytes of jumps not validated yet: connections starting together share */
	uint32_t jumps, retreats;
};
#define RDT_PATH_EXPIRY (600 * 1000 * RDT_NS_PER_MS)
/*
 * Forgets what is older than one or two RDT_PATH_EXPIRY: then window is the most since the last time. Called by whoever
 * uses or learns; by the caller if it wants to know whether anything is left. Returns whether.
 */
bool rdt_path_age(struct rdt_path *path, uint64_t now);

/* NULL + errno (EINVAL, ENOMEM). path may be NULL. Nothing is sent until there is something to say. */
struct rdt_conn *rdt_conn_create(const struct rdt_config *cfg, const struct rdt_identity *id,
				 struct rdt_path *path, uint64_t now);
void rdt_conn_destroy(struct rdt_conn *conn); /* NULL is fine; frees all, tells the peer nothing */
/* Gives back buffers with nothing in them; for idle connections, when memory counts. */
void rdt_trim(struct rdt_conn *conn);
const struct rdt_identity *rdt_conn_identity(const struct rdt_conn *conn);

/* ---- frames ---- */

struct rdt_frame {
	struct rdt_identity id; /* as seen by the RECEIVER of the frame: ready for a look-up */
	uint8_t kind, code;	/* enum hk_frame_kind, enum hk_frame_code */
	bool has_ack;
	uint16_t len, ack_first;
	uint32_t pn, least, window, ack_largest, ack_delay_us;
	uint64_t offset, cum;
	const uint8_t *payload; /* into the caller's buffer, len bytes */
};

/* Why a frame was refused; rdt_frame_parse() and rdt_input() return -(1000 + reason). */
enum rdt_bad {
	RDT_BAD_SHORT = 1, /* shorter than a header */
	RDT_BAD_VERSION,
	RDT_BAD_KIND,
	RDT_BAD_LENGTH,	  /* len does not match the datagram, or the kind */
	RDT_BAD_FLAGS,	  /* reserved bit, or a code the kind cannot have */
	RDT_BAD_NUMBER,	  /* packet number, offset or cum out of bounds */
	RDT_BAD_RANGES,	  /* ACK ranges not descending */
	RDT_BAD_IDENTITY, /* rdt_input(): not this connection's frame */
	RDT_BAD_ACK,	  /* acknowledges what was never sent */
	RDT_BAD_CREDIT,	  /* data beyond the credit given */
	RDT_BAD_END,	  /* contradicts the END already known */
	RDT_BAD_MAX
};
/* The reason in a negative return value, or 0. */
static inline int RDT_BAD(int err)
{
	return err <= -1000 ? -err - 1000 : 0;
}
const char *rdt_bad_name(int reason);

/* Checks and decodes one whole datagram. 0, or -(1000 + reason) with *f undefined. */
int rdt_frame_parse(const void *buf, size_t len, struct rdt_frame *f);

/*
 * For a byte-stream carrier: size of the frame that starts at buf, of which `have` bytes are there.
 * 0 = not enough bytes to tell, otherwise its size (may exceed have), or -(1000 + reason): the
 * stream is not ours or out of step, close it.
 */
int rdt_frame_size(const void *buf, size_t have);

/* A datagram to send: iov[0] is hdr, iov[1..niov-1] point into the connection's send buffer. */
struct rdt_datagram {
	struct iovec iov[3];
	int niov;
	uint32_t len; /* of the whole datagram */
	uint8_t kind;
	uint8_t hdr[sizeof(struct hk_frame) + HK_ACK_RANGES_MAX * sizeof(struct hk_ack_range)];
};

/*
 * Builds the answer to a frame for which there is no connection: RESET, code HK_CODE_UNKNOWN.
 * 1 = *out filled, 0 = such a frame gets no answer (ACK and RESET never do: no loops).
 */
int rdt_stateless_reset(const struct rdt_frame *in, struct rdt_datagram *out);

/* ---- sending ---- */

size_t rdt_write_space(const struct rdt_conn *conn); /* bytes rdt_write() would take now */
bool rdt_idle(const struct rdt_conn *conn); /* all that was written has been acknowledged */
/*
 * Copies up to len bytes into the send buffer: bytes taken (short, even 0, when it is full), -EPIPE
 * after rdt_finish() or a reset, -ENOMEM.
 */
ssize_t rdt_write(struct rdt_conn *conn, const void *buf, size_t len);
ssize_t rdt_writev(struct rdt_conn *conn, const struct iovec *iov, int niov);
/*
 * Without a copy by the library: rdt_reserve() gives up to two free stretches of at most `want` bytes
 * for the caller's recv/readv; rdt_commit() says how many were filled. Returns the number of iovecs
 * or -errno as above.
 */
int rdt_reserve(struct rdt_conn *conn, size_t want, struct iovec iov[2]);
/* Bytes of memory that taking `len` more, as far as there is space, would add. */
size_t rdt_write_growth(const struct rdt_conn *conn, size_t len);
void rdt_commit(struct rdt_conn *conn, size_t filled);
/* END follows the bytes written so far. HK_CODE_OK = EOF, HK_CODE_RST = a reset after them. */
int rdt_finish(struct rdt_conn *conn, uint8_t code);
/* Both directions die now; unsent bytes are dropped, RESET goes out. */
void rdt_abort(struct rdt_conn *conn, uint8_t code);

/*
 * The next datagram to send now: 1 = *out filled and counted as sent, 0 = none now. Payload
 * pointers stay valid until the next rdt_write*(), rdt_reserve(), rdt_input(), rdt_abort(),
 * rdt_path_changed() or rdt_conn_destroy() of this connection, and hdr lives in *out, so any
 * number of datagrams may be collected before one sendmmsg() or GSO sendmsg(). Full-size datagrams
 * follow each other as long as there is data. A datagram the caller fails to send counts as lost:
 * nothing to undo.
 */
int rdt_output(struct rdt_conn *conn, uint64_t now, struct rdt_datagram *out);

/* When to call rdt_on_timeout(); may be past. RDT_NEVER = only input or writing makes progress. */
uint64_t rdt_next_timeout(const struct rdt_conn *conn);
void rdt_on_timeout(struct rdt_conn *conn, uint64_t now); /* harmless when early */
/* Asks the peer for a sign of life: one PROBE, repeated by the probe timeout until answered. */
void rdt_probe(struct rdt_conn *conn);

/* ---- receiving ---- */

/* Bits returned by rdt_input(). */
enum rdt_event {
	RDT_EV_DIRECT = 1,    /* *direct holds bytes next in order, not copied: rdt_direct_done() */
	RDT_EV_READABLE = 2,  /* rdt_readable() rose */
	RDT_EV_END = 4,	      /* END known and every byte before it received */
	RDT_EV_RESET = 8,     /* peer reset the connection: rdt_reset_code() */
	RDT_EV_WRITABLE = 16, /* rdt_write_space() rose */
	RDT_EV_ACKED = 32,    /* our END is acknowledged: the peer's daemon holds every byte */
};

/*
 * Takes one parsed frame. Bits of enum rdt_event, or -(1000 + reason): refused, counted, nothing
 * changed.
 * -ENOMEM: no room or memory for it now; as if it had been lost.
 * RDT_EV_RESET with HK_CODE_UNKNOWN after rdt_received_all() and rdt_finish(): the peer closed long
 * ago and its last acknowledgement was not heard; or it restarted before reading our last bytes.
 *
 * direct NULL: all data is copied into the library. Otherwise, data that is next in order while nothing
 * older is buffered is offered in *direct, pointing into the frame's payload, and RDT_EV_DIRECT is
 * set. Several frames may be fed before delivering, as long as their buffers live; then
 * rdt_direct_done() must be called once with all offered iovecs in order and how many of their bytes
 * were delivered. The rest is copied. Until then rdt_read_vec() gives nothing.
 */
int rdt_input(struct rdt_conn *conn, uint64_t now, const struct rdt_frame *f, struct iovec *direct);
void rdt_direct_done(struct rdt_conn *conn, uint64_t now, const struct iovec *iov, int niov,
		     size_t delivered);

size_t rdt_readable(const struct rdt_conn *conn);
int rdt_read_vec(const struct rdt_conn *conn,
		 struct iovec iov[2]); /* number of iovecs, 0 = nothing */
void rdt_consume(struct rdt_conn *conn, uint64_t now, size_t n);
/*
 * How many bytes beyond those consumed the peer may send: recv_buffer minus what the application has
 * not read yet, for instance. At start recv_buffer. Credit once given stays given.
 */
void rdt_set_window(struct rdt_conn *conn, uint64_t now, uint32_t bytes);

/* no_recovery: what has not come by now never will; the stream ends here. */
void rdt_write_off(struct rdt_conn *conn);

bool rdt_end_known(const struct rdt_conn *conn,
		   uint64_t *final);		     /* END arrived; *final = stream length */
bool rdt_received_all(const struct rdt_conn *conn);  /* END known, no hole before it */
bool rdt_delivered_all(const struct rdt_conn *conn); /* and all consumed */
uint8_t rdt_end_code(const struct rdt_conn *conn);   /* of the peer's END */
uint64_t rdt_received(const struct rdt_conn *conn);  /* bytes in order so far */
uint8_t rdt_reset_code(const struct rdt_conn *conn); /* peer's RESET, 0 = none */

/* ---- state ---- */

enum rdt_state {
	RDT_OPEN,
	RDT_CLOSING, /* both ENDs acknowledged, or reset: answers repetitions for 2 to 5 s */
	RDT_CLOSED,  /* may be destroyed without harm to the peer */
};
enum rdt_state rdt_state(const struct rdt_conn *conn, uint64_t now);

/*
 * Moves to another carrier (UDP to the TCP connection between the daemons, or back), or tells that
 * the path changed. Unacknowledged bytes are sent again; packet numbers go on; late frames of the
 * old carrier stay welcome. reliable: no loss detection, pacing or congestion window; the caller
 * stops calling rdt_output() (and arming the timer) while its TCP socket is full, and calls this
 * again should it break.
 */
void rdt_path_changed(struct rdt_conn *conn, uint64_t now, struct rdt_path *path,
		      uint32_t max_datagram, bool reliable);

struct rdt_stats {
	uint64_t srtt, rttvar, min_rtt, latest_rtt; /* ns; srtt 0 = no sample yet */
	uint64_t cwnd, ssthresh, in_flight;	    /* bytes */
	uint64_t unsent;			    /* bytes written and not sent once */
	uint64_t sent_packets, sent_bytes;   /* with pn; payload bytes, repetitions included */
	uint64_t acked_packets, acked_bytes; /* acked_bytes: cumulative stream bytes */
	uint64_t rtx_packets, rtx_bytes;
	uint64_t lost_packets, spurious_packets;
	uint64_t acks_sent, acks_received;
	uint64_t recv_packets, recv_bytes, dup_packets, reordered_packets;
	uint64_t pto_total;
	uint64_t refused[RDT_BAD_MAX];
	uint64_t memory; /* bytes allocated for this connection */
	/* Is the path alive? */
	uint64_t first_sent; /* when the first packet wanting an answer went out, 0 = none */
	uint64_t last_heard; /* last valid frame, 0 = never heard from the peer */
	uint64_t waiting_since; /* oldest time since which packets wait for any answer, 0 = none wait */
	uint32_t pto_count;	/* probe timeouts in a row without an acknowledgement */
	bool jumped, retreated; /* path memory was used; was given up on loss */
	bool cwnd_limited, credit_limited;
};
void rdt_stats(const struct rdt_conn *conn, struct rdt_stats *st);
/* waiting_since alone, for each frame. */
uint64_t rdt_waiting_since(const struct rdt_conn *conn);

#endif
