#!/usr/bin/env bash
# The Wireshark dissector on captures made here: every frame understood, and filters that find what happened.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=testbed/lib/tap.sh
. testbed/lib/tap.sh
# shellcheck source=hooker/tests/lib.sh
. hooker/tests/lib.sh

FIELDS=(ip.proto tcp.flags.syn tcp.srcport tcp.seq tcp.len tcp.stream tcp.checksum.status hooker.option.datapath
	hooker.option.transport hooker.kind hooker.srcport hooker.offset hooker.len hooker.stream hooker.inside hooker.malformed)

# dissect: the capture at hand, a line a frame, into $WORK/frames. Starting tshark is what takes time.
dissect()
{
	local field fields=()
	for field in "${FIELDS[@]}"; do fields+=(-e "$field"); done
	tshark -X lua_script:hooker/wireshark/hooker.lua -r "$WORK/capture.pcap" -Y '!icmp' -T fields -E header=y "${fields[@]}" \
		-o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE -o udplite.check_checksum:TRUE \
		>"$WORK/frames" 2>"$WORK/shark.err"
	! grep -i lua "$WORK/shark.err" || bail "the dissector has errors"
}

# frames CONDITION RESULT: awk's, over the fields of each frame, which are v["NAME"]
frames()
{
	awk -F'\t' "NR == 1 { for (i = 1; i <= NF; i++) name[i] = \$i; next }
		{ for (i = 1; i <= NF; i++) v[name[i]] = \$i }
		$1 { print $2 }" "$WORK/frames"
}
count() { frames "$1" 1 | wc -l; }
values() { frames "$@" | sort -u | paste -sd' '; }

# stream CONDITION START LENGTH: bytes of the stream that were seen, each once however often it was sent
stream()
{
	frames "$1" "v[\"$2\"], v[\"$3\"]" | sort -n |
		awk '{ end = $1 + $2; if ($1 > at) at = $1; if (end > at) { n += end - at; at = end } } END { print n + 0 }'
}

# capture PORT OPTION…: what a transfer of the image looks like on the router
capture()
{
	local port=$1
	shift
	hooker_start client "$@"
	hooker_start server "$@"
	serve_on "$port"
	# Nor MLD reports, which have a hop-by-hop header in front: to pcap's filter they are no ICMPv6.
	background tcpdump router tcpdump -i to-server -s 2000 -B 16384 --immediate-mode -U -w "$WORK/capture.pcap" \
		'not icmp6 and not arp and not (ip6 and ip6[6] == 0)'
	wait_until 10 grep -q 'listening on' "$WORK/tcpdump.out"
	tcpdump=$PID
	PORT=$port fetch image
	on router ping -c1 -q "$SERVER" >/dev/null # what came before it has been captured, once it has
	wait_until 10 captured_ping
	hooker_stop client
	hooker_stop server
	kill "$tcpdump"
	wait "$tcpdump" || :
	dissect
}
captured_ping() { grep -q ICMP < <(tcpdump -r "$WORK/capture.pcap" icmp 2>/dev/null); }

hosts_up --tx-csum off # or captures show checksums that nobody has computed yet
size=$(($(wc -c <"$WORK/files/image") + 10)) # the server says "OK 522240" first
plan 16

for transport in udp udplite; do
	protocol=17; [[ $transport == udp ]] || protocol=136
	port=$((8200 + protocol))
	capture "$port" --transport "$transport"
	is "relay, $transport: the option is in SYN and SYN-ACK" \
		"$(frames 'v["hooker.option.datapath"] != "" && v["tcp.flags.syn"] == 1' \
			'v["hooker.option.datapath"], v["hooker.option.transport"]' | paste -sd' ')" "1 $protocol 1 $protocol"
	is "relay, $transport: every datagram is a frame, none malformed" \
		"$(count "v[\"ip.proto\"] == $protocol && v[\"hooker.kind\"] == \"\"") $(count 'v["hooker.malformed"] != ""')" "0 0"
	is "relay, $transport: the payload is the file" \
		"$(stream "v[\"hooker.srcport\"] == $port && v[\"hooker.kind\"] <= 2" hooker.offset hooker.len)" "$size"
	is "relay, $transport: one connection, both ways" "$(values 'v["hooker.stream"] != ""' 'v["hooker.stream"]')" 0
	like "relay, $transport: data, ends and acknowledgements are told apart" \
		"$(values 'v["hooker.kind"] != ""' 'v["hooker.kind"]')" '^1 2 3'

	port=$((8300 + protocol))
	capture "$port" --datapath kernel --transport "$transport"
	is "kernel, $transport: TCP inside" "$(values 'v["hooker.inside"] != ""' 'v["ip.proto"], v["hooker.inside"]')" \
		"$protocol $([[ $transport == udp ]] && echo UDP || echo UDP-Lite)"
	is "kernel, $transport: all of the file, one TCP stream, checksums right" \
		"$(stream "v[\"hooker.inside\"] != \"\" && v[\"tcp.srcport\"] == $port" tcp.seq tcp.len) $(values 1 'v["tcp.stream"]') $(count 'v["tcp.checksum.status"] == 0')" \
		"$size 0 0"
	is "kernel, $transport: no datagram is left unexplained" \
		"$(count "v[\"ip.proto\"] == $protocol && v[\"tcp.srcport\"] == \"\"")" 0
done
