#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The verdict on small captures made by hand: what must pass, and what must not.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
for tool in tshark text2pcap mergecap; do
	type -P $tool >/dev/null || skip_all "no $tool: make deps installs it"
done
work=$(mktemp -d)
defer 'rm -rf "$work"'
cd "$work"

hex() { od -An -v -tx1 | tr -d '\n'; }
bytes() { head -c "$1" /dev/zero | tr '\0' "${2:-x}"; }

# packet PROTO HEX OUT: an IPv4 packet 10.0.0.1 -> 10.0.0.2 of that protocol. text2pcap computes the
# checksums of IP, and those of UDP and TCP if it makes their headers too.
dump() { printf '000000 %s\n' "$1" >hexdump; text2pcap -q -F pcap -4 10.0.0.1,10.0.0.2 "${@:3}" hexdump "$2" 2>/dev/null; }
udp() { dump "$(bytes "$1" | hex)" "$2" -u 1000,2000; }
tcp() { dump "$(bytes "$1" | hex)" "$2" -T 1000,2000; }
raw() { dump "$2" "$3" -i "$1"; }

# shellcheck disable=SC2001
spaced() { sed "s,..,& ,g" <<<"$1"; }

# sum16 HEX…: the Internet checksum (RFC 1071) of all arguments together.
sum16() {
	local sum=0 word
	for word in $(tr -d ' ' <<<"$*" | sed 's,....,& ,g'); do
		((${#word} == 4)) || word+=00
		sum=$((sum + 16#$word))
	done
	while ((sum >> 16)); do sum=$(((sum & 65535) + (sum >> 16))); done
	printf '%04x' $((~sum & 65535))
}

# udplite BYTES COVERAGE OUT [FLIP]: a datagram whose checksum is right for COVERAGE (0: all of it).
# FLIP replaces the last payload byte after the checksum was computed.
udplite() {
	local n=$1 coverage=$2 out=$3 flip=${4-} payload covered length check
	payload=$(bytes "$n" | od -An -v -tx1 | tr -d ' \n')
	length=$((8 + n))
	covered=${payload:0:$(((coverage ? coverage - 8 : n) * 2))}
	check=$(sum16 "0a0000010a0000020088$(printf '%04x' $length)03e807d0$(printf '%04x' "$coverage")$covered")
	[[ -z $flip ]] || payload=${payload:0:-2}$flip
	raw 136 "$(spaced "03e807d0$(printf '%04x' "$coverage")$check$payload")" "$out"
}

# zero_checksum IN OUT: the UDP checksum of the only packet becomes 0. 24 (file) + 16 (record) + 14
# (Ethernet) + 20 (IP) bytes come before the UDP header.
poke() { cp "$1" "$2" && printf '%b' "$4" | dd of="$2" bs=1 seek="$3" conv=notrunc status=none; }

says() { TAP_OUT=$("$root/scenarios/verdict" "${@:2}") || :; jq -r "$1" <<<"$TAP_OUT"; }
fails_alone() { like "$1" "$(says '"\(.verdict) \(.reason)"' "${@:3}")" "^failed .*$2"; }

# Starting tshark takes most of a verdict's time, so questions are collected and answered by one, as the driver does.
declare -a how=() name=() want=() filter=()
declare -A frames=([most.pcap]=2 [mixed.pcap]=4) # 1: the others
ask() { # is|like NAME WANT FILTER OPTION… CAPTURE
	local transport='' bytes='' overhead=0 zero=no dropped=0 capture=${*: -1}
	how+=("$1") name+=("$2") want+=("$3") filter+=("$4")
	shift 4
	while (($# > 1)); do
		case $1 in
		--transport) transport=$2 ;;
		--bytes) bytes=$2 ;;
		--frame-overhead) overhead=$2 ;;
		--dropped) dropped=$2 ;;
		--zero-checksum) zero=yes; shift; continue ;;
		esac
		shift 2
	done
	cp "$capture" "asked-${#name[@]}.pcap"
	printf '%s\t%d\t%d\t%s\t%d\t%d\t%s\n' "$transport" "$bytes" "$overhead" "$zero" "$dropped" "${frames[$capture]-1}" \
		"asked-${#name[@]}.pcap" >>asked
}
passes() { ask is "$1" '' .reason "${@:2}"; }
fails() { ask like "$1" "^failed .*$2" '"\(.verdict) \(.reason)"' "${@:3}"; }
tells() { ask is "$1" "$3" "$2" "${@:4}"; } # NAME FILTER WANT OPTION… CAPTURE
answers() {
	local i
	local -a verdicts
	mapfile -t verdicts < <("$root/scenarios/verdict" --list asked)
	((${#verdicts[@]} == ${#name[@]})) || bail "${#verdicts[@]} verdicts for ${#name[@]} captures"
	for i in "${!name[@]}"; do
		TAP_OUT=${verdicts[i]}
		"${how[i]}" "${name[i]}" "$(jq -r "${filter[i]}" <<<"$TAP_OUT")" "${want[i]}"
	done
}

plan 50
udp 1000 udp.pcap
tcp 1000 tcp.pcap
tcp 5 handshake.pcap
udplite 1000 0 lite.pcap
udplite 1000 24 lite24.pcap

passes 'TCP asked, TCP seen' --transport tcp --bytes 1000 tcp.pcap
passes 'UDP asked, UDP seen' --transport udp --bytes 1000 udp.pcap
passes 'UDP-Lite asked, UDP-Lite seen' --transport udplite --bytes 1000 lite.pcap
passes 'UDP-Lite with partial coverage' --transport udplite --bytes 1000 lite24.pcap
tells 'UDP-Lite payload is counted by the IP length' .udplite_payload 1000 --transport udplite --bytes 1000 lite24.pcap
tells 'and is not counted as UDP' '.udp_payload' 0 --transport udplite --bytes 1000 lite24.pcap

fails 'UDP asked, TCP seen: silent fallback' 'only 0.00 %' --transport udp --bytes 1000 tcp.pcap
tells 'and it says what it saw' .observed tcp --transport udp --bytes 1000 tcp.pcap
fails 'UDP-Lite asked, UDP seen' 'only 0.00 %' --transport udplite --bytes 1000 udp.pcap
fails 'UDP asked, UDP-Lite seen' 'only 0.00 %' --transport udp --bytes 1000 lite.pcap
fails 'TCP asked, UDP seen' 'only 0.00 %' --transport tcp --bytes 1000 udp.pcap

mergecap -a -F pcap -w most.pcap udp.pcap handshake.pcap
passes '5 of 1005 bytes on TCP: within 1 %' --transport udp --bytes 1000 most.pcap
mergecap -a -F pcap -w mixed.pcap udp.pcap handshake.pcap handshake.pcap handshake.pcap
fails '15 of 1015 bytes on TCP: not' 'only 98.52 %' --transport udp --bytes 1000 mixed.pcap
tells 'which is called mixed' .observed mixed --transport udp --bytes 1000 mixed.pcap

fails 'less in the capture than was transferred' 'less than was transferred' --transport udp --bytes 2000 udp.pcap
fails 'frame headers are not payload' 'less than was transferred' --transport udp --frame-overhead 64 --bytes 1000 udp.pcap
tells 'and are subtracted' .udp_payload 936 --transport udp --frame-overhead 64 --bytes 1 udp.pcap

poke udp.pcap bad.pcap 1000 y
fails 'a damaged byte: UDP checksum' '1 wrong checksum' --transport udp --bytes 1000 bad.pcap
poke tcp.pcap bad.pcap 1000 y
fails 'a damaged byte: TCP checksum' '1 wrong checksum' --transport tcp --bytes 1000 bad.pcap
# Added to the payload, the checksum makes the new one 0. It stands 90 bytes into the file, the payload 94.
word() { printf '%d' "0x$(od -An -tx1 -j "$2" -N2 "$1" | tr -d ' ')"; }
new=$(($(word tcp.pcap 90) + $(word tcp.pcap 94)))
new=$(printf '%04x' $(((new & 65535) + (new >> 16))))
poke tcp.pcap zero.pcap 94 "\\x${new:0:2}\\x${new:2}"
poke zero.pcap bad.pcap 90 '\0\0'
passes 'a TCP checksum of 0' --transport tcp --bytes 1000 bad.pcap
poke zero.pcap bad.pcap 90 '\xff\xff'
passes 'and the same as 0xffff, as Linux writes it' --transport tcp --bytes 1000 bad.pcap
poke tcp.pcap bad.pcap 90 '\xff\xff'
fails 'where 0xffff is wrong it is wrong' '1 wrong checksum' --transport tcp --bytes 1000 bad.pcap
udplite 1000 0 bad.pcap 79
fails 'a damaged byte: UDP-Lite checksum' '1 wrong checksum' --transport udplite --bytes 1000 bad.pcap
udplite 1000 24 bad.pcap 79
passes 'a damaged byte outside the coverage is none of the checksum' --transport udplite --bytes 1000 bad.pcap
poke lite24.pcap bad.pcap 84 y
fails 'a damaged byte inside it is' '1 wrong checksum' --transport udplite --bytes 1000 bad.pcap
poke lite.pcap bad.pcap 78 '\0\4'
fails 'coverage 4 is illegal' '1 wrong checksum' --transport udplite --bytes 1000 bad.pcap
poke lite.pcap bad.pcap 80 '\0\0'
fails 'a UDP-Lite checksum of 0 is illegal' '1 wrong checksum' --transport udplite --bytes 1000 bad.pcap
poke udp.pcap zero.pcap 80 '\0\0'
fails 'a UDP checksum of 0 where one was promised' '1 wrong checksum' --transport udp --bytes 1000 zero.pcap
passes 'and where none was' --transport udp --zero-checksum --bytes 1000 zero.pcap
poke udp.pcap bad.pcap 64 '\1\1'
fails 'a damaged IP header' 'wrong checksum' --transport udp --bytes 1000 bad.pcap

head -c 600 udp.pcap >cut.pcap
fails_alone 'a capture cut short' 'tshark' --transport udp --bytes 1000 cut.pcap
editcap -F pcap -s 200 udp.pcap cut.pcap
fails_alone 'frames cut short' '1 frames cut short' --transport udp --bytes 1000 cut.pcap
fails 'frames lost while capturing' '3 frames lost' --transport udp --bytes 1000 --dropped 3 udp.pcap
head -c 24 udp.pcap >empty.pcap
fails_alone 'an empty capture' 'empty capture' --transport udp --bytes 1000 empty.pcap

# What the peers speak. KCP as kcptun sends it with encryption "none": nonce and sum, error correction, KCP.
kcp() { # COMMAND OUT [TYPE]
	dump "$(spaced "$(bytes 20 | hex | tr -d ' ')00000000${3-f100}0400$(printf '%08x' 7)${1}00ffff$(bytes 16 | hex | tr -d ' ')$(bytes 1008 | hex | tr -d ' ')")" "$2" -u 29900,1000
}
kcp 51 kcp.pcap
passes 'KCP asked, KCP seen' --transport kcp --frame-overhead 60 --bytes 1000 kcp.pcap
fails 'KCP asked, other UDP seen' 'only 0.00 %' --transport kcp --frame-overhead 60 --bytes 900 udp.pcap
kcp 52 ack.pcap
fails 'KCP acknowledgements are no payload' 'only 0.00 %' --transport kcp --frame-overhead 60 --bytes 1000 ack.pcap
kcp 51 parity.pcap f200
fails 'parity is no payload' 'only 0.00 %' --transport kcp --frame-overhead 60 --bytes 1000 parity.pcap

dump "$(bytes 1000 | hex)" sctp.pcap -S 1000,2000,0
passes 'SCTP asked, SCTP seen' --transport sctp --bytes 1000 sctp.pcap
poke sctp.pcap bad.pcap 900 y
fails 'a damaged byte: SCTP checksum' '1 wrong checksum' --transport sctp --bytes 1000 bad.pcap

dump "04 00 00 00 $(bytes 1100 | hex)" wireguard.pcap -u 51820,51820
passes 'WireGuard asked, WireGuard seen' --transport wireguard --frame-overhead 72 --bytes 1000 wireguard.pcap
fails 'WireGuard asked, other UDP seen' 'only 0.00 %' --transport wireguard --bytes 1000 udp.pcap

# A TCP segment with a data sequence signal (kind 30, subtype 2), and the same behind no-operations.
segment() { # OPTIONS(40 hex digits) OUT
	local head=03e807d0000000000000000a0000000a payload check
	head=03e807d0000000010000000aa018ffff
	payload=$(bytes 1000 | hex | tr -d ' ')
	check=$(sum16 "0a0000010a0000020006$(printf '%04x' 1040)${head}00000000$1$payload")
	raw 6 "$(spaced "$head${check}0000$1$payload")" "$2"
}
segment 1e1420010000000a0000000b0000000100000000 mptcp.pcap
passes 'MPTCP asked, MPTCP seen' --transport mptcp --bytes 1000 mptcp.pcap
segment 0101010101010101010101010101010101010101 plain.pcap
fails 'MPTCP asked, TCP seen: it fell back' 'only 0.00 %' --transport mptcp --bytes 1000 plain.pcap

answers

# Many at once by one tshark: each keeps its own verdict.
printf 'udp\t1000\t0\tno\t0\t1\tudp.pcap\ntcp\t1000\t0\tno\t0\t1\ttcp.pcap\nudp\t1000\t0\tno\t0\t4\tmixed.pcap\nudplite\t1000\t0\tno\t0\t1\tlite.pcap\n' >list
rc=0
"$root/scenarios/verdict" --list list >said || rc=$?
is 'a list: each capture by itself' "$(jq -r .verdict said | tr '\n' ' ')" 'ok ok failed ok '
is 'a list: exit 1 if one fails' $rc 1
sed -n '2p; s/mixed.pcap/cut.pcap/p' list >list2
is 'a list: one unreadable capture spoils no other' "$(says .verdict --list list2 | tr '\n' ' ')" 'ok failed '
sed -n '2p; s/\t4\tmixed/\t3\tmixed/p' list >list3
is 'a list: a wrong count of frames spoils no other' "$(says .verdict --list list3 | tr '\n' ' ')" 'ok failed '

exits 'no such transport: usage' 2 "$root/scenarios/verdict" --transport dccp --bytes 1 udp.pcap
exits 'no such capture: failed' 1 "$root/scenarios/verdict" --transport udp --bytes 1 none.pcap
