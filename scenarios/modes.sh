# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The modes of the evaluation: one line each, and the questions asked about them. A mode is what
# `hooker run` is told on both hosts; `-`: Hooker is absent.
#
# transport: what tshark must see. overhead: bytes of each datagram that are not the application's,
# counted low (relay: struct hk_frame of bpf/wire.h; kernel: the TCP header without options).
# zero: whether a UDP checksum of 0 is right there.
#
#       mode             transport  overhead  zero  hooker run …
MODES_TABLE='
        tcp              tcp        0         no    -
        tcp+xdp          tcp        0         no    --datapath none
        relay-udp        udp        64        no    --datapath relay --transport udp
        relay-udplite    udplite    64        no    --datapath relay --transport udplite
        kernel-udp       udp        20        no    --datapath kernel --transport udp
        kernel-udplite   udplite    20        no    --datapath kernel --transport udplite
'

modes_all() { awk 'NF { print $1 }' <<<"$MODES_TABLE"; }

modes_known() { modes_all | grep -qxF -- "$1"; }

# mode_get MODE transport|overhead|zero|hooker
mode_get() {
	awk -v mode="$1" -v what="$2" '
	$1 == mode {
		if (what == "transport") print $2
		if (what == "overhead") print $3
		if (what == "zero") print $4
		if (what == "hooker") { for (i = 5; i <= NF; i++) printf "%s%s", $i, i < NF ? " " : "\n" }
	}' <<<"$MODES_TABLE"
}
