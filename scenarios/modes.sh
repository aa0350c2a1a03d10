# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The modes of the evaluation: one line each, and the questions asked about them.
#
# transport: what tshark must see. overhead: bytes of each datagram that are not the application's,
# counted low (relay: struct hk_frame of bpf/wire.h; kernel: the TCP header without options;
# WireGuard: its header and tag, IP and TCP; kcptun: KCP and what it puts before and behind).
# zero: whether a UDP checksum of 0 is right there. hosts: where Hooker, or the peer, runs. The rest
# is what `hooker run` is told there, or `peer` and the adapter of scenarios/peers; `-`: nothing.
#
# +tc: received at tc ingress instead of XDP, which costs a veth a copy of each frame but lets GRO see TCP.
# +xdp: the reverse for the relay, which with UDP is at tc ingress by itself where the kernel has TCX.
#
# NAME@HOST is a control: Hooker on one side only must leave everything on TCP.
#
#       mode              transport  overhead  zero  hosts           hooker run … | peer NAME
MODES_TABLE='
        tcp               tcp        0         no    -               -
        tcp+xdp           tcp        0         no    client,server   --datapath none
        relay-udp         udp        64        no    client,server   --datapath relay --transport udp
        relay-udplite     udplite    64        no    client,server   --datapath relay --transport udplite
        relay-udp+xdp     udp        64        no    client,server   --datapath relay --transport udp --receive xdp
        paper-udp         udp        64        no    client,server   --datapath relay --transport udp --paper
        paper-udplite     udplite    64        no    client,server   --datapath relay --transport udplite --paper
        kernel-udp        udp        20        no    client,server   --datapath kernel --transport udp
        kernel-udplite    udplite    20        no    client,server   --datapath kernel --transport udplite
        kernel-udp+tc     udp        20        no    client,server   --datapath kernel --transport udp --receive tc
        kernel-udplite+tc udplite    20        no    client,server   --datapath kernel --transport udplite --receive tc
        relay-udp@client  tcp        0         no    client          --datapath relay --transport udp
        relay-udp@server  tcp        0         no    server          --datapath relay --transport udp
        kernel-udp@client tcp        0         no    client          --datapath kernel --transport udp
        kernel-udp@server tcp        0         no    server          --datapath kernel --transport udp
        mptcp             mptcp      0         no    client,server   peer mptcp
        sctp              sctp       0         no    client,server   peer sctp
        wireguard         wireguard  72        no    client,server   peer wireguard
        kcptun            kcp        60        no    client,server   peer kcptun
'

modes_all() { awk 'NF { print $1 }' <<<"$MODES_TABLE"; }

modes_known() { modes_all | grep -qxF -- "$1"; }

# mode_get MODE transport|overhead|zero|hosts|hooker|peer
mode_get() {
	awk -v mode="$1" -v what="$2" '
	$1 == mode {
		if (what == "transport") print $2
		if (what == "overhead") print $3
		if (what == "zero") print $4
		if (what == "hosts" && $5 != "-") { gsub(",", " ", $5); print $5 }
		if (what == "peer" && $6 == "peer") print $7
		if (what == "hooker" && $6 != "peer") for (i = 6; i <= NF; i++) printf "%s%s", $i, i < NF ? " " : "\n"
	}' <<<"$MODES_TABLE"
}
