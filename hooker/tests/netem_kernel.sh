#!/usr/bin/env bash
# The kernel datapath on links that lose, reorder and duplicate: byte-exact, on its transport all the while, and how
# fast beside plain TCP. On demand, for a kernel with netem:
#   testbed/testbed vm run --timeout 7200 --env REPS=12 --env LINKS="loss:1% loss:5%" -- hooker/tests/netem_kernel.sh
#   REPS=1 LINKS="loss:2% …" TRANSPORTS="udp udplite" BYTES=8000000 RECEIVE=auto|xdp|tc
# Goodput is judged from three transfers of each on, with plain TCP's beside: single ones differ by a third by chance.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

reps=${REPS:-1} bytes=${BYTES:-8000000} receive=${RECEIVE:-auto}
read -ra links <<<"${LINKS:-loss:2% reorder:2% duplicate:2%}"
read -ra transports <<<"${TRANSPORTS:-udp udplite}"

# link KIND:PERCENT: the hosts again, on that link.
link()
{
	"$ROOT/testbed/testbed" up --rtt 20ms --tso off --"${1%:*}" "${1#*:}" --no-verify >"$WORK/up.log" 2>&1 ||
		bail "no link with $1"
	serve_on 8080
}

# transfers FILE: $reps of them, byte-exact; the seconds each took go to FILE.
transfers()
{
	local i
	: >"$1"
	for ((i = 0; i < reps; i++)); do
		fetch part --timeout 600 || return 1
		jq '.eof_ns / 1e9' "$WORK/fetch.json" >>"$1"
	done
}

# kept_to: never back to TCP, and in TCP no more of each transfer than the 64 segments (HK_PROBE_TCP_MAX) that may go
# before the server has heard the client on the transport: the link loses some of what it is to hear.
kept_to()
{
	local fallbacks least=$((reps * (bytes / 1448 - 64)))
	fallbacks=$(($(stat client counters.kernel_fallback) + $(stat server counters.kernel_fallback)))
	echo "$fallbacks fallbacks, $(stat client counters.kernel_rx) packets of $least"
	((fallbacks == 0 && $(stat client counters.kernel_rx) > least))
}

# on_transport: one transfer; PACKETS = how many of them the client received on the transport.
on_transport()
{
	PACKETS=$(stat client counters.kernel_rx)
	fetch part || return 1
	PACKETS=$(($(stat client counters.kernel_rx) - PACKETS))
}

# The client's first packet on the transport is lost: its third segment is the next to go there, and the server, which
# hears that before it has it in TCP, has sent no more in TCP than its initial window, 10 segments, and two without data.
first_lost()
{
	local undisturbed
	on_transport || return 1
	undisturbed=$PACKETS
	on router nft 'table inet lost { chain forward { type filter hook forward priority 0; meta l4proto udp quota until 100 bytes drop; }; }'
	on_transport || return 1
	on router nft delete table inet lost
	echo "$PACKETS of $undisturbed on the transport"
	((undisturbed - PACKETS >= 5 && undisturbed - PACKETS <= 12))
}

# Tagged frames are another interface's: Hooker on the untagged one leaves their connections in TCP.
vlans_up()
{
	local host n
	for host in client server; do
		[[ $host == client ]] && n=1 || n=2
		on router ip link add link to-$host name to-$host.7 type vlan id 7 || return 1
		on router ip addr add 10.98.$n.1/24 dev to-$host.7
		on router ip link set to-$host.7 up
		on $host ip link add link eth0 name eth0.7 type vlan id 7
		on $host ip addr add 10.98.$n.2/24 dev eth0.7
		on $host ip link set eth0.7 up
		on $host ip route add 10.98.$((3 - n)).0/24 via 10.98.$n.1
	done
}

over_vlan()
{
	SERVER=10.98.2.2 fetch part || return 1
	on client "$HOOKER" flows --json | jq -c '.flows[] | select(.remote_address == "10.98.2.2")'
	[[ $(stat client counters.kernel_tx) == "$1" ]]
}

# goodput NAME FILE OF: the goodput of the transfers in FILE beside those in OF. At least 0.95, unless chance explains
# what is missing (twice the standard error of the ratio of both means).
goodput()
{
	awk -v name="$1" '
	{ n[FILENAME]++; sum[FILENAME] += $1; squares[FILENAME] += $1 * $1 }
	END {
		for (file in n) {
			mean[file] = sum[file] / n[file]
			cv2[file] = n[file] > 1 ? (squares[file] - n[file] * mean[file] ^ 2) / (n[file] - 1) / mean[file] ^ 2 / n[file] : 0
			errors += cv2[file]
		}
		ratio = mean[ARGV[2]] / mean[ARGV[1]]
		error = ratio * sqrt(errors)
		printf "# %s: goodput %.3f, standard error %.3f (%.3f s to %.3f s)\n", name, ratio, error, mean[ARGV[1]], mean[ARGV[2]]
		exit !(ratio + 2 * error >= 0.95)
	}' "$WORK/$2" "$WORK/$3"
}

# attach DATAPATH OPTION…
attach()
{
	hooker_start client --datapath "$@"
	hooker_start server --datapath "$@"
}

detach()
{
	hooker_stop client
	hooker_stop server
}

judged=$((reps >= 3))
plan $((${#links[@]} * (2 * judged + (2 + judged) * ${#transports[@]}) + 2))
hosts_up --rtt 20ms
head -c "$bytes" "$WORK/files/video" >"$WORK/files/part"
if vlans_up 2>/dev/null; then
	attach kernel
	ok "a VLAN's frames pass as they are" over_vlan "$(stat client counters.kernel_tx)"
	detach
else
	skip "a VLAN's frames pass as they are" "no 802.1q in this kernel"
fi
attach kernel
ok "the first packet on the transport is lost" first_lost
detach
for link in "${links[@]}"; do
	link "$link"
	if ((judged)); then
		status=0
		transfers "$WORK/plain" || status=1
		tap_result "$link: plain TCP" $status "$(<"$WORK/fetch.json")"
		attach none
		status=0
		transfers "$WORK/attached" || status=1
		tap_result "$link: TCP with Hooker attached, nothing redirected" $status "$(<"$WORK/fetch.json")"
		goodput "$link, tcp+xdp of tcp" attached plain || : # told, not judged
		detach
	fi
	for transport in "${transports[@]}"; do
		attach kernel --transport "$transport" --receive "$receive"
		status=0
		transfers "$WORK/seconds" || status=1
		tap_result "$link: $transport, byte for byte" $status "$(<"$WORK/fetch.json")"
		ok "$link: $transport to the end" kept_to
		if ((judged)); then
			goodput "$link, $transport of tcp+xdp" seconds attached || :
			status=0
			goodput "$link, $transport of tcp" seconds plain || status=1
			tap_result "$link: $transport, goodput" $status "less than 0.95 of plain TCP's, and not by chance"
		fi
		detach
	done
done
