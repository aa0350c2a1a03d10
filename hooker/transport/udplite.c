// SPDX-License-Identifier: GPL-2.0
/* UDP-Lite, RFC 3828: the names of what bpf/udplite.bpf.c does and counts. */
#include "hooker/transport/transport.h"

#include "bpf/udplite.skel.h"

#define CHANGED                                   \
	{                                         \
		8, false, "changed-between-steps" \
	}

static const struct hk_step_reason parse[] = {
	{ 1, false, "not-udplite" }, { 2, false, "ip-options" },
	{ 3, false, "fragment" },    { 4, false, "too-short" },
	{ 5, false, "too-long" },    { 6, false, "unknown-port" },
	{ 7, false, "forwarded" },   { 0 },
};

static const struct hk_step_reason coverage[] = {
	{ 1, true, "coverage-illegal" },
	{ 2, true, "coverage-beyond-datagram" },
	{ 3, true, "coverage-below-minimum" },
	{ 4, true, "checksum-zero" },
	CHANGED,
	{ 0 },
};

static const struct hk_step_reason verify[] = {
	{ 1, true, "checksum-bad" },
	{ 2, false, "checksum-unfinished" },
	CHANGED,
	{ 0 },
};

static const struct hk_step_reason deliver[] = { CHANGED, { 0 } };

static const struct hk_step_reason classify[] = {
	{ 1, false, "not-udp" },
	{ 2, false, "ip-options" },
	{ 3, false, "fragment" },
	{ 4, false, "too-short" },
	{ 5, false, "too-long" },
	{ 6, false, "unknown-port" },
	{ 7, false, "super-packet" },
	{ 8, false, "not-local" },
	{ 9, false, "encapsulated" },
	{ 10, false, "no-memory" },
	{ 0 },
};

static const struct hk_step_reason header[] = { CHANGED, { 0 } };

static const struct hk_step_reason checksum[] = {
	{ 8, true, "changed-between-steps" },
	{ 0 },
};

static const struct hk_step_desc steps[] = {
	{ "parse", "hk_lite_parse", HK_STEP_RX, parse },
	{ "coverage", "hk_lite_cover", HK_STEP_RX, coverage },
	{ "verify", "hk_lite_verify", HK_STEP_RX, verify },
	{ "deliver", "hk_lite_deliver", HK_STEP_RX, deliver },
	{ "classify", "hk_lite_class", HK_STEP_TX, classify },
	{ "header", "hk_lite_header", HK_STEP_TX, header },
	{ "checksum", "hk_lite_check", HK_STEP_TX, checksum },
	{ 0 },
};

const struct hk_transport_desc hk_transport_udplite = {
	.name = "udplite",
	.protocol = 136,
	.object = udplite_bpf__elf_bytes,
	.source = "bpf/udplite.bpf.c",
	.steps = steps,
	.ports_map = "hk_lite_ports",
};
