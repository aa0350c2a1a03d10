/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of one connection, shared by the parts of the library; nobody else includes this. */
#ifndef HOOKER_RDT_CONN_H
#define HOOKER_RDT_CONN_H

#include "hooker/rdt/cc.h"
#include "hooker/rdt/ranges.h"
#include "hooker/rdt/rdt.h"
#include "hooker/rdt/ring.h"

#define FRAME_HDR	 sizeof(struct hk_frame)
#define MAX_ACK_DELAY	 (HK_MAX_ACK_DELAY_US * 1000ull)
#define GRANULARITY	 (1 * RDT_NS_PER_MS)
#define PTO_MAX		 (3000 * RDT_NS_PER_MS)
#define RESET_TRIES	 6
#define PACKET_THRESHOLD 3

enum packet_state { PKT_FLYING, PKT_ACKED, PKT_LOST, PKT_RESENT };

struct packet {
	uint64_t sent; /* when */
	uint64_t offset;
	uint16_t len;
	uint8_t state;
	uint8_t kind;
};

/* Sent packets by number: entry pn lives at pn & (cap - 1). */
struct packet_log {
	struct packet *p;
	uint64_t cap, max;
	uint64_t first;	    /* older entries are not there any more */
	uint64_t next;	    /* number of the next packet */
	uint64_t undecided; /* every number below is acknowledged or lost */
	uint64_t resend;    /* every number below needs no resending; <= undecided */
};

struct rdt_conn {
	struct rdt_identity id;
	struct rdt_config cfg;
	struct rdt_path *path;
	struct hk_frame hdr; /* template: identity filled in */
	uint32_t payload_max;

	/* stream out */
	struct rdt_ring out;
	uint64_t una, sent_end, write_end; /* offsets: acknowledged, sent once, written */
	uint64_t peer_credit;
	bool finished, end_sent, end_acked;
	uint8_t end_code;
	struct packet_log log;
	struct rdt_ranges acked; /* packet numbers the peer has acknowledged */
	uint64_t largest_acked;	 /* 0 = none */
	uint64_t least, least_next, least_rotated;
	uint64_t in_flight; /* bytes, headers included */
	uint64_t flying;    /* packets */

	/* round trip time and loss */
	uint64_t srtt, rttvar, min_rtt, latest_rtt;
	bool have_rtt;
	uint64_t packet_threshold;
	uint32_t reorder_eighths; /* tolerated lateness, in eighths of an RTT */
	uint64_t loss_time;	  /* when the oldest packet in question counts as lost; 0 = none */
	uint64_t last_sent;	  /* of a packet that wants an answer */
	uint32_t pto_count;
	uint32_t probes_due;
	uint64_t probe_cursor;
	bool probe_wanted;	/* by the caller, or to ask for credit */
	uint64_t blocked_since; /* waiting for credit with nothing in flight, 0 = not */
	uint32_t persist_count;

	/* congestion */
	struct rdt_cc cc, cc_before; /* before the last congestion event, for undoing it */
	uint64_t recovery_pn;	     /* losses below belong to the last event */
	uint64_t episode_lost, episode_pn,
		episode_at; /* packets given up, from which number on, since when */
	bool can_undo, resend_free;
	uint64_t round_pn, round_flight, prev_flight, round_delivered, delivered;
	bool round_loss, round_limited, prev_limited;
	double tokens; /* bytes that may leave now; at low rates fractions matter */
	uint64_t tokens_at;
	double pace_rate; /* bytes per ns; 0 = unpaced */
	uint64_t pace_until;
	uint64_t pace_wake;
	/* jump */
	bool started, unvalidated, jumped, retreated;
	uint64_t jump, jump_pn;

	/* stream in */
	struct rdt_ring in;
	struct rdt_ranges held; /* byte ranges above recv_next */
	uint64_t read_off, recv_next, credit;
	uint64_t direct_pending;
	uint64_t highest; /* of all data received */
	uint32_t window;
	bool end_known, end_announced;
	uint64_t final;
	uint8_t peer_end_code;
	/* packet numbers in */
	struct rdt_ranges seen;
	uint64_t seen_floor, largest_seen, largest_at;
	uint32_t ack_wanted; /* packets not acknowledged yet */
	bool ack_now;
	uint64_t ack_due;
	uint64_t rate_epoch;
	uint32_t rate_count, ack_every;

	/* resets and the end */
	bool aborted, reset_pending, reset_acked;
	uint8_t abort_code, reset_code;
	int reset_tries;
	bool lingered; /* rdt_on_timeout() has seen RDT_CLOSED */
	uint64_t created, last_heard;

	struct rdt_stats st;
};

static inline int rdt_refuse(int reason)
{
	return -(1000 + reason);
}

static inline struct packet *log_at(const struct packet_log *log, uint64_t pn)
{
	return &log->p[pn & (log->cap - 1)];
}

static inline bool log_has(const struct packet_log *log, uint64_t pn)
{
	return pn >= log->first && pn < log->next && log->next - pn <= log->cap;
}

static inline bool rdt_dead(const struct rdt_conn *c)
{
	return c->aborted || c->reset_code;
}

uint64_t rdt_linger_end(const struct rdt_conn *c); /* of RDT_CLOSING */
void rdt_frame_identity(struct hk_frame *h, const struct rdt_identity *id);

/* loss.c */
struct rdt_ack {
	uint64_t largest, cum, credit;
	uint64_t delay; /* UINT64_MAX: the ACK was held longer than the field can tell */
	struct rdt_range runs[HK_ACK_RANGES_MAX + 1]; /* newest first */
	int nruns;
};
uint64_t rdt_pto(const struct rdt_conn *c);
uint64_t rdt_pto_deadline(const struct rdt_conn *c);
int rdt_ack_decode(const struct rdt_conn *c, const struct rdt_frame *f, struct rdt_ack *a);
int rdt_ack_apply(struct rdt_conn *c, uint64_t now, const struct rdt_ack *a); /* events */
void rdt_detect_losses(struct rdt_conn *c, uint64_t now);
void rdt_log_drop_flying(struct rdt_conn *c); /* all in flight becomes lost, without blame */

/* path.c */
void rdt_start(struct rdt_conn *c, uint64_t now); /* before the first packet: may jump */
void rdt_path_round(struct rdt_conn *c, uint64_t now);
void rdt_path_loss(struct rdt_conn *c, uint64_t now);
void rdt_path_validated(struct rdt_conn *c);
void rdt_path_leave(struct rdt_conn *c);
/* From now on, for one round trip, the window is paced over it, after ten packets at once, as TCP's first. */
void rdt_pace_round(struct rdt_conn *c, uint64_t now);
void rdt_pace_update(struct rdt_conn *c, uint64_t now);

/* raw.c: rdt_output() and rdt_input() without recovery */
int rdt_raw_output(struct rdt_conn *c, struct rdt_datagram *out);
int rdt_raw_input(struct rdt_conn *c, uint64_t now, const struct rdt_frame *f,
		  struct iovec *direct);

/* recv.c */
void rdt_credit_update(struct rdt_conn *c);
int rdt_ack_encode(const struct rdt_conn *c, struct hk_ack_range *runs);

#endif
