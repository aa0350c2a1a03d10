#!/usr/bin/env bash
# The Wireshark dissector: its numbers are those of bpf/wire.h and bpf/abi.h, and it understands a committed capture.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=testbed/lib/tap.sh
. testbed/lib/tap.sh

lua=hooker/wireshark/hooker.lua
work=$(mktemp -d)
defer "rm -rf '$work'"

# What the dissector believes, as assertions for the compiler.
beliefs()
{
	echo '#include <stddef.h>'
	echo '#include "bpf/abi.h"'
	echo '#include "bpf/wire.h"'
	sed -nE 's/^\t(HK_[A-Z_0-9]+) = ([0-9a-fx]+),.*/_Static_assert(\1 == \2, "\1");/p
		s/^\t\[([0-9]+)\] = .*-- (HK_[A-Z_0-9]+)$/_Static_assert(\2 == \1, "\2");/p
		s/^\t\{ "([a-z_0-9]+)", ([0-9]+), ([0-9]+) \},$/_Static_assert(offsetof(struct hk_frame, \1) == \2 \&\& sizeof(((struct hk_frame *)0)->\1) == \3, "\1");/p
		s/^local [A-Z]+ = ([0-9]+) -- sizeof\((.*)\)$/_Static_assert(sizeof(\2) == \1, "\2");/p' "$1"
}
holds()
{
	beliefs "$1" >"$work/beliefs.c"
	"${CC:-cc}" -std=c17 -I. -fsyntax-only "$work/beliefs.c"
}

# named PATTERN [GROUP]: every name of wire.h that matches stands in the dissector
named()
{
	local name missing=''
	while read -r name; do
		grep -qw -- "$name" "$lua" || missing+=" $name"
	done < <(sed -nE "s/$1/\\${2-1}/p" bpf/wire.h)
	[[ -z $missing ]] || { echo "not in $lua:$missing"; return 1; }
}

# shark CAPTURE FILTER FIELD…: a line a frame, its fields separated by blanks
shark()
{
	local capture=$1 filter=$2 field fields=()
	shift 2
	for field; do fields+=(-e "$field"); done
	tshark -X "lua_script:$lua" -r "$work/$capture.pcap" -Y "$filter" -T fields -E separator=/s "${fields[@]}" 2>"$work/shark.err"
	! grep -i lua "$work/shark.err"
}

# packet NAME OPTION HEX…: a capture of one packet with these bytes behind a UDP or TCP header
packet()
{
	local name=$1 ports=$2
	shift 2
	echo "0000 $*" | text2pcap -q -4 10.0.0.1,10.0.0.2 "${ports%=*}" "${ports#*=}" - "$work/$name.pcap"
}

plan 20
ok "every number and offset agrees with the headers" holds "$lua"
is "and they are many" "$(($(beliefs "$lua" | grep -c _Static_assert) > 40))" 1
sed 's/"pn", 28, 4/"pn", 29, 4/' "$lua" >"$work/wrong.lua"
exits "a wrong offset would be noticed" 1 holds "$work/wrong.lua"
ok "every kind of frame is known" named '^\t(HK_FRAME_[A-Z]+) = .*'
ok "every code" named '^\t(HK_CODE_[A-Z]+) = .*'
ok "every member of the frame" named '^\t__(u8|be16|be32|be64) ([a-z_0-9]+);[^0-9]*[0-9]+: .*' 2
exits "an unknown name would be noticed" 1 named '^#define (HK_INITIAL_CREDIT).*'

# ---- what has really been on the wire: see sample.hex
text2pcap -q hooker/wireshark/sample.hex "$work/sample.pcap"
is "the relay's negotiation" "$(shark sample 'hooker.option.datapath == 1' tcp.flags.syn tcp.flags.ack hooker.option.transport hooker.option.coverage | paste -sd,)" \
	"1 0 136 0,1 1 136 0"
is "the kernel datapath's, and its coverage" "$(shark sample 'hooker.option.datapath == 2 and tcp.flags.syn == 1' hooker.option.transport hooker.option.coverage | paste -sd,)" \
	"17 0,17 0,136 24,136 24"
is "frames: kind, packet number, offset, length, what has come" \
	"$(shark sample hooker.kind hooker.kind hooker.pn hooker.offset hooker.len hooker.cum | paste -sd,)" \
	"1 1 0 12 0,3 0 0 0 14080,2 2 12 0 522251"
is "whose TCP connection they carry" "$(shark sample 'hooker.kind == 1' hooker.src hooker.srcport hooker.dst hooker.dstport hooker.stream ip.proto)" \
	"10.99.1.2 46558 10.99.2.2 8116 0 136"
is "the ISNs are those of the SYN" "$(shark sample 'hooker.kind == 1' hooker.src_isn)" "$(shark sample 'frame.number == 1' tcp.seq_raw)"
is "TCP inside UDP, also on a port that others claim, and inside UDP-Lite" \
	"$(shark sample hooker.inside ip.proto hooker.inside tcp.srcport tcp.dstport | paste -sd,)" \
	"17 UDP 58658 53,17 UDP 53 58658,17 UDP 58658 53,136 UDP-Lite 60702 8130,136 UDP-Lite 8130 60702"
is "it belongs to the stream that TCP began" "$(shark sample 'tcp.port == 53' tcp.stream | sort -u)" 1
is "checksums over everything stay verifiable" "$(tshark -r "$work/sample.pcap" -X "lua_script:$lua" -o udp.check_checksum:TRUE \
	-o udplite.check_checksum:TRUE -o tcp.check_checksum:TRUE -Y 'udp.checksum.status == 0 or tcp.checksum.status == 0' 2>/dev/null | wc -l)" 0

# ---- what only looks like it
packet dns -u=40000,53 12 34 01 00 00 01 00 00 00 00 00 00 01 61 00 00 01 00 01
mergecap -a -w "$work/both.pcap" "$work/sample.pcap" "$work/dns.pcap"
is "DNS on a negotiated port stays DNS" "$(shark both dns dns.qry.name)" a
packet noise -u=18507,18507 "$(printf '00 %.0s' {1..80})"
is "zeros are no frame" "$(shark noise hooker frame.number)" ""
packet link -T=18507,40000 48 4b 01 00 00 00 00 00 15 00 00 00 "$(printf '01 %.0s' {1..60})"
is "a link: the greeting, then a frame" "$(shark link hooker.greeting.version hooker.greeting.version hooker.kind)" "1 5"
packet short -u=18507,18507 11 00 00 ff "$(printf '01 %.0s' {1..60})"
is "more payload announced than there is" "$(shark short hooker.malformed hooker.len)" 255
packet reset -u=18507,18507 14 30 00 00 "$(printf '01 %.0s' {1..60})"
is "a reset says why" "$(shark reset hooker.reset hooker.kind hooker.code)" "4 3"
