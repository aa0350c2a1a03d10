// SPDX-License-Identifier: GPL-2.0
/* A connection's life: creation, the caller's writes, endings, moving between carriers, figures. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hooker/rdt/conn.h"

#define SEEN_MAX	  64
#define HELD_MAX	  1024
#define ACKED_MAX	  256
#define DEFAULT_RTT	  (100 * RDT_NS_PER_MS)
#define LOG_PACKETS_FLOOR 1024
#define LINGER_PTOS	  16
#define LINGER_MIN	  (2000 * RDT_NS_PER_MS)
#define LINGER_MAX	  (5000 * RDT_NS_PER_MS)

void rdt_config_default(struct rdt_config *cfg)
{
	*cfg = (struct rdt_config){
		.max_datagram = 1472,
		.send_buffer = 4 << 20,
		.recv_buffer = 4 << 20,
		.cc = RDT_CC_CUBIC,
		.initial_packets = 16,
		.ack_every = 10,
		.hystart = true,
		.jump = true,
	};
}

static bool config_valid(const struct rdt_config *cfg)
{
	return cfg->max_datagram >= 256 && cfg->max_datagram <= 65507 && cfg->send_buffer >= 4096 &&
	       cfg->send_buffer <= 1u << 30 && cfg->recv_buffer >= HK_INITIAL_CREDIT &&
	       cfg->recv_buffer <= 1u << 30 && cfg->cc <= RDT_CC_FIXED &&
	       (cfg->cc != RDT_CC_FIXED || cfg->fixed_window) && cfg->initial_packets &&
	       cfg->ack_every;
}

/* Room for a send buffer of full packets, both flying and lost, or of fewer bytes in small ones. */
static uint64_t log_bound(const struct rdt_conn *c)
{
	uint64_t want = 4ull * c->cfg.send_buffer / c->payload_max, cap = LOG_PACKETS_FLOOR;

	while (cap < want)
		cap *= 2;
	return cap;
}

static void start_rtt(struct rdt_conn *c)
{
	c->have_rtt = false;
	c->srtt = c->cfg.initial_rtt ? c->cfg.initial_rtt : DEFAULT_RTT;
	c->rttvar = c->srtt / 2;
	c->min_rtt = c->srtt;
	c->packet_threshold = PACKET_THRESHOLD;
	c->reorder_eighths = 1;
}

struct rdt_conn *rdt_conn_create(const struct rdt_config *cfg, const struct rdt_identity *id,
				 struct rdt_path *path, uint64_t now)
{
	struct rdt_conn *c;

	if (!config_valid(cfg)) {
		errno = EINVAL;
		return NULL;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->id = *id;
	c->cfg = *cfg;
	c->path = path;
	rdt_frame_identity(&c->hdr, id);
	c->payload_max = cfg->max_datagram - FRAME_HDR;
	c->peer_credit = HK_INITIAL_CREDIT;
	c->window = cfg->recv_buffer;
	c->credit = cfg->recv_buffer;
	c->log.next = c->log.undecided = c->log.resend = 1;
	c->log.max = log_bound(c);
	c->least = c->least_next = 1;
	c->ack_every = 2;
	c->created = c->least_rotated = c->rate_epoch = now;
	rdt_ranges_init(&c->acked, ACKED_MAX);
	rdt_ranges_init(&c->held, HELD_MAX);
	rdt_ranges_init(&c->seen, SEEN_MAX);
	rdt_cc_init(&c->cc, cfg, cfg->max_datagram);
	start_rtt(c);
	return c;
}

void rdt_conn_destroy(struct rdt_conn *c)
{
	if (!c)
		return;
	if (c->path && c->started && !c->retreated)
		rdt_path_round(c, c->last_heard ? c->last_heard : c->created);
	rdt_path_leave(c);
	rdt_ring_free(&c->out);
	rdt_ring_free(&c->in);
	rdt_ranges_free(&c->acked);
	rdt_ranges_free(&c->held);
	rdt_ranges_free(&c->seen);
	free(c->log.p);
	free(c);
}

const struct rdt_identity *rdt_conn_identity(const struct rdt_conn *c)
{
	return &c->id;
}

size_t rdt_write_space(const struct rdt_conn *c)
{
	if (c->finished || rdt_dead(c))
		return 0;
	return c->cfg.send_buffer - (c->write_end - c->una);
}

bool rdt_idle(const struct rdt_conn *c)
{
	return c->una == c->write_end;
}

static int make_space(struct rdt_conn *c, size_t *len)
{
	if (c->finished || rdt_dead(c))
		return -EPIPE;
	if (*len > rdt_write_space(c))
		*len = rdt_write_space(c);
	return rdt_ring_reserve(&c->out, c->una, c->write_end, c->write_end + *len,
				c->cfg.send_buffer);
}

ssize_t rdt_write(struct rdt_conn *c, const void *buf, size_t len)
{
	int err = make_space(c, &len);

	if (err)
		return err;
	rdt_ring_put(&c->out, c->write_end, buf, len);
	c->write_end += len;
	return len;
}

ssize_t rdt_writev(struct rdt_conn *c, const struct iovec *iov, int niov)
{
	ssize_t sum = 0;

	for (int i = 0; i < niov; i++) {
		ssize_t n = rdt_write(c, iov[i].iov_base, iov[i].iov_len);

		if (n < 0)
			return sum ? sum : n;
		sum += n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return sum;
}

int rdt_reserve(struct rdt_conn *c, size_t want, struct iovec iov[2])
{
	int err = make_space(c, &want);

	if (err)
		return err;
	return want ? rdt_ring_vec(&c->out, c->write_end, want, iov) : 0;
}

size_t rdt_write_growth(const struct rdt_conn *c, size_t len)
{
	size_t space = rdt_write_space(c);

	if (len > space)
		len = space;
	return rdt_ring_growth(&c->out, c->write_end + len - c->una, c->cfg.send_buffer);
}

void rdt_commit(struct rdt_conn *c, size_t filled)
{
	c->write_end += filled;
}

int rdt_finish(struct rdt_conn *c, uint8_t code)
{
	if (rdt_dead(c) || c->finished)
		return -EPIPE;
	if (code > HK_CODE_PROTO)
		return -EINVAL;
	c->finished = true;
	c->end_code = code;
	return 0;
}

void rdt_abort(struct rdt_conn *c, uint8_t code)
{
	if (rdt_dead(c))
		return;
	rdt_log_drop_flying(c);
	c->log.resend = c->log.next;
	c->aborted = true;
	c->abort_code = code && code <= HK_CODE_PROTO ? code : HK_CODE_RST;
	c->reset_pending = true;
	c->blocked_since = 0;
	c->ack_now = false;
	c->ack_due = 0;
}

void rdt_probe(struct rdt_conn *c)
{
	if (!rdt_dead(c) && !c->flying)
		c->probe_wanted = true;
}

bool rdt_end_known(const struct rdt_conn *c, uint64_t *final)
{
	if (c->end_known)
		*final = c->final;
	return c->end_known;
}

bool rdt_received_all(const struct rdt_conn *c)
{
	return c->end_known && c->recv_next == c->final;
}

bool rdt_delivered_all(const struct rdt_conn *c)
{
	return rdt_received_all(c) && c->read_off == c->final;
}

uint8_t rdt_end_code(const struct rdt_conn *c)
{
	return c->peer_end_code;
}

uint64_t rdt_received(const struct rdt_conn *c)
{
	return c->recv_next;
}

uint8_t rdt_reset_code(const struct rdt_conn *c)
{
	return c->reset_code;
}

/* Long enough for the peer to repeat its END a few times although our answers get lost. */
uint64_t rdt_linger_end(const struct rdt_conn *c)
{
	uint64_t wait = LINGER_PTOS * rdt_pto(c);

	if (wait < LINGER_MIN)
		wait = LINGER_MIN;
	return c->last_heard + (wait < LINGER_MAX ? wait : LINGER_MAX);
}

enum rdt_state rdt_state(const struct rdt_conn *c, uint64_t now)
{
	if (c->aborted)
		return c->reset_acked || (c->reset_tries >= RESET_TRIES && !c->flying) ?
			       RDT_CLOSED :
			       RDT_CLOSING;
	if (!c->reset_code && !(c->end_acked && rdt_received_all(c)))
		return RDT_OPEN;
	return now >= rdt_linger_end(c) ? RDT_CLOSED : RDT_CLOSING;
}

void rdt_path_changed(struct rdt_conn *c, uint64_t now, struct rdt_path *path,
		      uint32_t max_datagram, bool reliable)
{
	rdt_path_leave(c);
	rdt_log_drop_flying(c);
	if (c->aborted)
		c->reset_pending = !c->reset_acked;
	c->path = path;
	c->cfg.reliable = reliable;
	c->cfg.max_datagram = max_datagram;
	c->payload_max = max_datagram - FRAME_HDR;
	c->started = false;
	c->jump_pn = 0;
	c->pace_until = c->pace_wake = 0;
	c->pace_rate = 0.0;
	c->blocked_since = 0;
	c->round_delivered = c->delivered;
	c->round_flight = c->prev_flight = 0;
	if (!reliable)
		start_rtt(c);
	rdt_cc_init(&c->cc, &c->cfg, max_datagram);
	c->tokens_at = now;
	if (c->largest_seen)
		c->ack_now = true; /* the peer learns at once what it need not repeat */
}

void rdt_trim(struct rdt_conn *c)
{
	if (c->una == c->write_end)
		rdt_ring_free(&c->out);
	if (c->read_off == c->highest && !c->direct_pending)
		rdt_ring_free(&c->in);
	if (c->log.resend == c->log.next) {
		free(c->log.p);
		c->log.p = NULL;
		c->log.cap = 0;
		c->log.first = c->log.next;
	}
}

uint64_t rdt_waiting_since(const struct rdt_conn *c)
{
	return c->flying ? c->st.waiting_since : 0;
}

void rdt_stats(const struct rdt_conn *c, struct rdt_stats *st)
{
	*st = c->st;
	st->srtt = c->have_rtt ? c->srtt : 0;
	st->rttvar = c->rttvar;
	st->min_rtt = c->min_rtt;
	st->latest_rtt = c->latest_rtt;
	st->cwnd = c->cc.cwnd;
	st->ssthresh = c->cc.ssthresh;
	st->in_flight = c->in_flight;
	st->unsent = c->write_end - c->sent_end;
	st->memory = sizeof(*c) + c->out.cap + c->in.cap + c->log.cap * sizeof(struct packet) +
		     (c->acked.cap + c->held.cap + c->seen.cap) * sizeof(struct rdt_range);
	st->last_heard = c->last_heard;
	st->waiting_since = rdt_waiting_since(c);
	st->pto_count = c->pto_count;
	st->jumped = c->jumped;
	st->retreated = c->retreated;
	st->cwnd_limited = c->round_limited || c->prev_limited;
}
