// SPDX-License-Identifier: GPL-2.0
/*
 * Without recovery, as the paper's prototype had it (rdt_config.no_recovery): every byte is sent once, as
 * soon as it is written, without window or pacing; what arrives is handed over as it comes, holes and all;
 * nothing is acknowledged. For comparison only.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "hooker/rdt/conn.h"

static int emit(struct rdt_conn *c, struct rdt_datagram *out, int kind, int code, uint32_t len)
{
	struct hk_frame *h = (struct hk_frame *)out->hdr;

	memcpy(h, &c->hdr, sizeof(*h));
	h->version_kind = HK_WIRE_VERSION << 4 | kind;
	h->flags_code = code << 4;
	h->len = htobe16(len);
	h->pn = htobe32((uint32_t)c->log.next++);
	h->least = h->pn;
	h->offset = htobe64(c->sent_end);
	out->iov[0] = (struct iovec){ out->hdr, FRAME_HDR };
	out->niov = 1 + (len ? rdt_ring_vec(&c->out, c->sent_end, len, out->iov + 1) : 0);
	out->len = FRAME_HDR + len;
	out->kind = kind;
	c->st.sent_packets++;
	c->st.sent_bytes += len;
	/* Gone is gone. */
	c->una = c->sent_end += len;
	c->log.undecided = c->log.resend = c->log.next;
	return 1;
}

int rdt_raw_output(struct rdt_conn *c, struct rdt_datagram *out)
{
	uint64_t left = c->write_end - c->sent_end;
	uint32_t len = left < c->payload_max ? left : c->payload_max;

	if (c->aborted) {
		if (!c->reset_pending)
			return 0;
		c->reset_pending = false;
		c->reset_acked = true; /* as far as we shall ever know */
		return emit(c, out, HK_FRAME_RESET, c->abort_code, 0);
	}
	if (c->reset_code)
		return 0;
	if (c->finished && len == left && !c->end_sent) {
		c->end_sent = c->end_acked = true;
		return emit(c, out, HK_FRAME_END, c->end_code, len);
	}
	return len ? emit(c, out, HK_FRAME_DATA, 0, len) : 0;
}

static int take(struct rdt_conn *c, const struct rdt_frame *f, struct iovec *direct)
{
	if (direct && c->read_off + c->direct_pending == c->recv_next) {
		/* Room for what is not delivered must be there before anything is promised. */
		if (rdt_ring_reserve(&c->in, c->read_off, c->read_off, c->recv_next + f->len,
				     UINT64_MAX))
			return -ENOMEM;
		*direct = (struct iovec){ (void *)f->payload, f->len };
		c->direct_pending += f->len;
		c->recv_next = c->highest = c->recv_next + f->len;
		return RDT_EV_DIRECT;
	}
	if (rdt_ring_reserve(&c->in, c->read_off, c->recv_next, c->recv_next + f->len, UINT64_MAX))
		return -ENOMEM;
	rdt_ring_put(&c->in, c->recv_next, f->payload, f->len);
	c->recv_next = c->highest = c->recv_next + f->len;
	return RDT_EV_READABLE;
}

int rdt_raw_input(struct rdt_conn *c, uint64_t now, const struct rdt_frame *f, struct iovec *direct)
{
	int ev = 0;

	c->last_heard = now;
	c->st.recv_packets++;
	if (f->kind == HK_FRAME_RESET && !rdt_dead(c)) {
		c->reset_code = f->code;
		return RDT_EV_RESET;
	}
	if ((f->kind != HK_FRAME_DATA && f->kind != HK_FRAME_END) || rdt_dead(c))
		return 0;
	if (f->len) {
		ev = take(c, f, direct);
		if (ev < 0)
			return ev;
		c->st.recv_bytes += f->len;
	}
	if (f->kind == HK_FRAME_END && !c->end_known) {
		c->end_known = true;
		c->final = f->offset + f->len;
		c->peer_end_code = f->code;
	}
	return rdt_received_all(c) ? ev | RDT_EV_END : ev;
}

void rdt_write_off(struct rdt_conn *c)
{
	if (!c->cfg.no_recovery)
		return;
	c->end_known = true;
	c->final = c->recv_next;
}
