// SPDX-License-Identifier: GPL-2.0
/* The wire form of relay frames: decoding with every check that needs no connection, and answers. */
#include <endian.h>
#include <string.h>

#include "hooker/rdt/conn.h"

#define OFFSET_MAX (1ull << 62)

static const char *const bad_names[RDT_BAD_MAX] = {
	[0] = "ok",
	[RDT_BAD_SHORT] = "short",
	[RDT_BAD_VERSION] = "version",
	[RDT_BAD_KIND] = "kind",
	[RDT_BAD_LENGTH] = "length",
	[RDT_BAD_FLAGS] = "flags",
	[RDT_BAD_NUMBER] = "number",
	[RDT_BAD_RANGES] = "ranges",
	[RDT_BAD_IDENTITY] = "identity",
	[RDT_BAD_ACK] = "ack",
	[RDT_BAD_CREDIT] = "credit",
	[RDT_BAD_END] = "end",
};

const char *rdt_bad_name(int reason)
{
	return reason >= 0 && reason < RDT_BAD_MAX ? bad_names[reason] : "unknown";
}

/* The two first checks of any frame; shared with the byte-stream carrier. */
static int check_start(const struct hk_frame *h)
{
	int kind = h->version_kind & 0xf;

	if (h->version_kind >> 4 != HK_WIRE_VERSION)
		return RDT_BAD_VERSION;
	if (kind < HK_FRAME_DATA || kind > HK_FRAME_PROBE)
		return RDT_BAD_KIND;
	return 0;
}

int rdt_frame_size(const void *buf, size_t have)
{
	struct hk_frame h;
	int bad;

	if (have < offsetof(struct hk_frame, src_ip4))
		return 0;
	memcpy(&h, buf, offsetof(struct hk_frame, src_ip4));
	bad = check_start(&h);
	return bad ? rdt_refuse(bad) : (int)(sizeof(h) + be16toh(h.len));
}

/* Runs go downwards, with at least one missing number between neighbours. */
static int check_ranges(const struct rdt_frame *f)
{
	uint32_t below = f->ack_largest - f->ack_first; /* lowest number named so far */

	for (int i = 0; i < f->len / (int)sizeof(struct hk_ack_range); i++) {
		struct hk_ack_range r;
		uint32_t first, last;

		memcpy(&r, f->payload + i * sizeof(r), sizeof(r));
		first = be32toh(r.first);
		last = be32toh(r.last);
		if ((int32_t)(below - last) < 2 || (int32_t)(last - first) < 0)
			return RDT_BAD_RANGES;
		below = first;
	}
	return 0;
}

static int check_kind(const struct rdt_frame *f, uint8_t flags)
{
	if (flags & ~HK_FRAME_F_ACK || f->code > HK_CODE_PROTO)
		return RDT_BAD_FLAGS;
	if (f->offset > OFFSET_MAX || f->cum > OFFSET_MAX)
		return RDT_BAD_NUMBER;
	switch (f->kind) {
	case HK_FRAME_DATA:
		if (f->code)
			return RDT_BAD_FLAGS;
		return f->len ? 0 : RDT_BAD_LENGTH;
	case HK_FRAME_END: return 0;
	case HK_FRAME_ACK:
		if (f->code || !(flags & HK_FRAME_F_ACK))
			return RDT_BAD_FLAGS;
		if (f->len % sizeof(struct hk_ack_range) ||
		    f->len > HK_ACK_RANGES_MAX * sizeof(struct hk_ack_range))
			return RDT_BAD_LENGTH;
		return check_ranges(f);
	case HK_FRAME_RESET:
		if (!f->code)
			return RDT_BAD_FLAGS;
		return f->len ? RDT_BAD_LENGTH : 0;
	default: return f->code ? RDT_BAD_FLAGS : 0;
	}
}

int rdt_frame_parse(const void *buf, size_t len, struct rdt_frame *f)
{
	struct hk_frame h;
	int bad;

	if (len < sizeof(h))
		return rdt_refuse(RDT_BAD_SHORT);
	memcpy(&h, buf, sizeof(h));
	bad = check_start(&h);
	if (bad)
		return rdt_refuse(bad);
	f->len = be16toh(h.len);
	if (len != sizeof(h) + f->len)
		return rdt_refuse(RDT_BAD_LENGTH);
	/* The sender's source is our destination. */
	f->id.key.src_ip4 = h.dst_ip4;
	f->id.key.dst_ip4 = h.src_ip4;
	f->id.key.src_port = be32toh(h.dst_port);
	f->id.key.dst_port = be32toh(h.src_port);
	f->id.local_isn = be32toh(h.dst_isn);
	f->id.remote_isn = be32toh(h.src_isn);
	f->kind = h.version_kind & 0xf;
	f->code = h.flags_code >> 4;
	f->has_ack = h.flags_code & HK_FRAME_F_ACK;
	f->pn = be32toh(h.pn);
	f->least = be32toh(h.least);
	f->offset = be64toh(h.offset);
	f->cum = be64toh(h.cum);
	f->window = be32toh(h.window);
	f->ack_largest = be32toh(h.ack_largest);
	f->ack_first = be16toh(h.ack_first);
	f->ack_delay_us = be16toh(h.ack_delay);
	f->payload = (const uint8_t *)buf + sizeof(h);
	bad = check_kind(f, h.flags_code & 0xf);
	return bad ? rdt_refuse(bad) : 0;
}

void rdt_frame_identity(struct hk_frame *h, const struct rdt_identity *id)
{
	memset(h, 0, sizeof(*h));
	h->src_ip4 = id->key.src_ip4;
	h->dst_ip4 = id->key.dst_ip4;
	h->src_port = htobe32(id->key.src_port);
	h->dst_port = htobe32(id->key.dst_port);
	h->src_isn = htobe32(id->local_isn);
	h->dst_isn = htobe32(id->remote_isn);
}

int rdt_stateless_reset(const struct rdt_frame *in, struct rdt_datagram *out)
{
	struct hk_frame h;

	if (in->kind == HK_FRAME_ACK || in->kind == HK_FRAME_RESET)
		return 0;
	rdt_frame_identity(&h, &in->id);
	h.version_kind = HK_WIRE_VERSION << 4 | HK_FRAME_RESET;
	h.flags_code = HK_CODE_UNKNOWN << 4;
	h.pn = htobe32(1);
	memcpy(out->hdr, &h, sizeof(h));
	out->iov[0] = (struct iovec){ out->hdr, sizeof(h) };
	out->niov = 1;
	out->len = sizeof(h);
	out->kind = HK_FRAME_RESET;
	return 1;
}
