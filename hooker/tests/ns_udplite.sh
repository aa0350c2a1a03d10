#!/usr/bin/env bash
# UDP-Lite as a user deploys it: interoperation, checksum offload, hot-swap, undeploy, no leftovers.
#
#   client (lite0 10.78.0.1) -- (r0 10.78.0.254) router (r1 10.78.1.254) -- (lite0 10.78.1.1) server
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=testbed/lib/tap.sh
. testbed/lib/tap.sh
((EUID == 0)) || skip_all "needs root"

hooker=$PWD/build/hooker/hooker traffic=$PWD/build/hooker/tests/prog_lite_traffic
c=hkul-c-$$ r=hkul-r-$$ s=hkul-s-$$
work=$(mktemp -d)
defer "rm -rf '$work'"

in_ns()
{
	local ns=$1
	shift
	# Not `ip netns exec`: that hides bpffs behind a fresh /sys.
	nsenter --net="/run/netns/$ns" "$@"
}

for ns in "$c" "$r" "$s"; do
	defer "ip netns del $ns 2>/dev/null || :"
	ip netns add "$ns"
	ip -n "$ns" link set lo up
done
ip link add lite0 netns "$c" type veth peer name r0 netns "$r"
ip link add lite0 netns "$s" type veth peer name r1 netns "$r"
address()
{
	ip -n "$1" addr add "10.78.$3/24" dev "$2"
	ip -n "$1" -6 addr add "fd78:$4/64" dev "$2" nodad
	ip -n "$1" link set "$2" up
}
address "$c" lite0 0.1 :1
address "$r" r0 0.254 :fe
address "$r" r1 1.254 1::fe
address "$s" lite0 1.1 1::1
ip -n "$c" route add default via 10.78.0.254
ip -n "$s" route add default via 10.78.1.254
ip -n "$c" -6 route add default via fd78::fe
ip -n "$s" -6 route add default via fd78:1::fe
in_ns "$r" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

# A router asks for neighbours from its link-local address, which is tentative for a second or two.
no_tentative()
{
	local ns
	for ns in "$c" "$r" "$s"; do
		[[ -z $(ip -n "$ns" -6 addr show tentative) ]] || return 1
	done
}
wait_until 10 no_tentative || bail "an IPv6 address stays tentative"

deploy()
{
	local ns=$1
	shift
	in_ns "$ns" "$hooker" deploy udplite "$@"
}

undeploy()
{
	local ns=$1
	shift
	in_ns "$ns" "$hooker" undeploy udplite "$@"
}

# steps NS STEP KEY: packets of a step (KEY packets) or of one of its reasons.
steps()
{
	in_ns "$1" "$hooker" transports --json | jq --arg step "$2" --arg key "$3" '
		.transports[] | select(.name == "udplite") | .steps[] | select(.name == $step) |
		if $key == "packets" then .packets else .reasons[$key].packets end'
}

nothing_left()
{
	local ns=$1 inode
	inode=$(stat -Lc %i "/run/netns/$ns")
	[[ ! -e /sys/fs/bpf/hooker-$inode ]] || { ls -R "/sys/fs/bpf/hooker-$inode"; return 1; }
	in_ns "$ns" ip -d link show lite0 | grep -w xdp && return 1
	in_ns "$ns" tc qdisc show dev lite0 | grep clsact && return 1
	[[ $(in_ns "$ns" bpftool net -j | jq '.[0] | (.xdp | length) + (.tc | length)') == 0 ]]
}

for ns in "$c" "$r" "$s"; do
	defer "undeploy $ns 2>/dev/null" # or its pins would stay
done

C4=$c,udp,10.78.0.1 C6=$c,udp,fd78::1 S4=$s,udp,10.78.1.1 S6=$s,udp,fd78:1::1
N4=$s,udplite,10.78.1.1 N6=$s,udplite,fd78:1::1 # the kernel's own

plan 70

# ---- the command
exits "an unknown transport is a usage error" 2 in_ns "$c" "$hooker" deploy nonsense
exits "coverage 5 is a usage error" 2 in_ns "$c" "$hooker" deploy udplite -i lite0 --coverage 5
exits "an unknown interface is named" 1 in_ns "$c" "$hooker" deploy udplite -i nowhere
like "by its name" "$TAP_OUT" nowhere
exits "so is one of a port" 2 in_ns "$c" "$hooker" deploy udplite -i lite0 --port 5000:7
like "and says what there is" "$TAP_OUT" '0 .everything. or at least 8'
exits "undeploy without deploy" 1 undeploy "$c"
like "says that it is not there" "$TAP_OUT" 'not deployed here; see `hooker transports`'
unprivileged=(setpriv --reuid=65534 --clear-groups --inh-caps=-all)
exits "without privilege nothing is deployed" 1 in_ns "$c" "${unprivileged[@]}" "$hooker" deploy udplite -i lite0
is "and says why and what to do, no more" "$TAP_OUT" \
	$'hooker: error: this process lacks CAP_BPF CAP_PERFMON CAP_NET_ADMIN\nhooker: hint: run Hooker as root, or with these capabilities'
like "nor claimed not to be" "$(in_ns "$c" "${unprivileged[@]}" "$hooker" transports)" 'deployed: unknown .needs root'
CLANG=no-such-clang exits "without clang" 1 in_ns "$c" "$hooker" deploy udplite -i lite0 --from-source
like "it is named, with the remedy" "$TAP_OUT" "there is no 'no-such-clang'; install clang"
CLANG=false exits "clang fails" 1 in_ns "$c" "$hooker" deploy udplite -i lite0 --from-source
ok "after all that nothing is left" nothing_left "$c"
ok "deploy, prebuilt" deploy "$c" -i lite0 -p 5000 -p 5008:8 -p 5020:20 -p 5021:21:8 --json
exits "deploying twice is refused" 1 deploy "$c" -i lite0
like "with the remedy" "$TAP_OUT" '`hooker undeploy udplite`'
exits "a step that does not exist" 1 deploy "$c" --swap nonsense
like "is named" "$TAP_OUT" "'nonsense': there is no such step"
exits "an object that does not exist" 1 deploy "$c" --swap parse="$work/no.o"
exits "an object that is none" 1 deploy "$c" --swap parse="$0"
exits "a program of another hook" 1 deploy "$c" --swap "parse=$PWD/build/bpf/udplite.bpf.o:hk_lite_check"
like "says so" "$TAP_OUT" 'of another hook'
timed=$(deploy "$r" -i r0 --timing --json)
is "every part of deployment is timed" "$(jq -c '.times | [.open_ms, .load_ms, .verify_ms, .attach_ms, .total_ms, .first_packet_ms] | all(. > 0)' <<<"$timed")" true
is "and its end" "$(undeploy "$r" --json | jq '.times.detach_ms > 0')" true
ok "deploy, from source" deploy "$s" -i lite0 -p 5000 -p 5008:8 -p 5020:20 -p 5021:21:8 \
	--from-source --timing
like "hooker transports names the source" "$(in_ns "$s" "$hooker" transports)" 'from source, since 20'

# ---- both ends deployed; the router's stack forwards
for port in 5000 5008 5020 5021; do
	ok "IPv4 port $port" "$traffic" exchange "$C4,$port" "$S4,$port" nocheck
	ok "IPv6 port $port" "$traffic" exchange "$C6,$port" "$S6,$port" nocheck
done

# ---- checksum offload: the router's last device has none, so the kernel finishes what the sender left
ok "unfinished across devices that offload, IPv4" "$traffic" exchange "$C4,5020" "$S4,5020"
ok "and IPv6" "$traffic" exchange "$C6,5021" "$S6,5021"
like "they came unfinished" "$(steps "$s" verify checksum-unfinished)" '^[1-9]'
in_ns "$r" ethtool -K r1 tx off >"$work/log"
in_ns "$r" ethtool -K r0 tx off >"$work/log"
# An MLD report has a hop-by-hop header in front (RFC 3810, 5): to pcap's filter it is no ICMPv6.
in_ns "$r" tcpdump -i r1 -Q out --immediate-mode -U -w "$work/router.pcap" \
	'not icmp6 and not arp and not (ip6 and ip6[6] == 0)' \
	2>"$work/tcpdump.log" &
tcpdump=$!
defer "kill $tcpdump 2>/dev/null || :"
for ((i = 0; i < 500; i++)); do
	grep -q 'listening on' "$work/tcpdump.log" && break
	sleep 0.01
done
before=$(steps "$s" verify checksum-unfinished)
for port in 5000 5008 5021; do
	ok "finished by the kernel on the way, port $port, IPv4" "$traffic" exchange "$C4,$port" "$S4,$port"
	ok "and IPv6" "$traffic" exchange "$C6,$port" "$S6,$port"
done
is "none came unfinished" "$(steps "$s" verify checksum-unfinished)" "$before"

# ---- the kernel's own UDP-Lite
if [[ $(in_ns "$s" "$hooker" transports --json | jq '.transports[0].native') == true ]]; then
	for cover in 8 20 full; do
		port=50$([[ $cover == full ]] && echo 00 || printf %02d "$cover")
		args=(); [[ $cover == full ]] || args=("cover=$cover" "min=$cover")
		ok "native, coverage $cover, IPv4" "$traffic" exchange "$C4,$port" "$N4,6000" "${args[@]}"
		ok "native, coverage $cover, IPv6" "$traffic" exchange "$C6,$port" "$N6,6000" "${args[@]}" nocheck
	done
else
	for i in 1 2 3 4 5 6; do skip "native UDP-Lite, $i" "this kernel has none"; done
fi

# ---- what is on the wire
kill "$tcpdump"
wait "$tcpdump" || :
wire()
{
	tshark -r "$work/router.pcap" -o udplite.check_checksum:TRUE \
		-o udplite.ignore_checksum_coverage:FALSE -o ip.check_checksum:TRUE \
		-Y "$1" -T fields -e frame.number 2>/dev/null | wc -l
}
sent=$(wire 'frame')
like "the capture saw them all" "$sent" '^[0-9]{3}$'
is "UDP-Lite, and its checksum good, in every frame" \
	"$(wire '(ip.proto == 136 || ipv6.nxt == 136) && udp.checksum.status == 1')" "$sent"
is "no bad coverage" "$(wire 'udplite.checksum_coverage.bad')" 0

# ---- super-packets stay UDP
ok "a UDP_SEGMENT super-packet arrives, as UDP" "$traffic" super "$C4,5000" "$S4,5000"
is "and is counted" "$(steps "$c" classify super-packet)" 1

# ---- a router that has it deployed forwards
deploy "$r" -i r0 -i r1 -p 5000 >"$work/log"
ok "through a router with a deployment" "$traffic" exchange "$C4,5000" "$S4,5000" nocheck
like "which has recognised what is not its own" "$(steps "$r" parse forwarded)" '^[1-9]'
undeploy "$r"

# ---- hot-swap
count=100000
[[ ${TESTBED_CLOCK-} != virtual ]] || count=20000
"$traffic" stream "$C4,5020" "$S4,5020" "$count" nocheck >"$work/stream" &
stream=$!
swaps=0
while kill -0 "$stream" 2>/dev/null; do
	for step in parse coverage verify deliver; do
		deploy "$s" --swap "$step" && swaps=$((swaps + 1))
	done
	for step in classify header checksum; do
		deploy "$c" --swap "$step=$PWD/build/bpf/udplite.bpf.o" && swaps=$((swaps + 1))
	done
done
wait "$stream"
echo "# $swaps swaps: $(<"$work/stream")"
like "steps were swapped while datagrams passed" "$swaps" '^([7-9]|[0-9]{2,})$'
is "without losing or damaging one" "$(jq -c '[.lost, .damaged, .answered]' "$work/stream")" "[0,0,$count]"

# ---- undeploy during traffic: the sockets go on in UDP
"$traffic" stream "$C4,5008" "$S4,5008" "$count" nocheck >"$work/stream" &
stream=$!
undeploy "$c"
undeploy "$s"
wait "$stream"
echo "# $(<"$work/stream")"
is "undeployed during traffic: it goes on" "$(jq --argjson n "$count" \
	'.answered + .lost == $n and .damaged == 0 and .answered > $n * 0.9' "$work/stream")" true
ok "nothing is left at the client" nothing_left "$c"
ok "nor at the server" nothing_left "$s"
is "and datagrams travel as UDP" "$("$traffic" exchange "$C4,5020" "$S4,5020")" "34 datagrams, 0 failed"

mtu()
{
	local link ns device
	for link in "$c lite0" "$r r0" "$r r1" "$s lite0"; do
		read -r ns device <<<"$link"
		ip -n "$ns" link set "$device" mtu "$1"
	done
}

# ---- the longest datagrams, whose end is beyond 16 KB of frame; only generic XDP likes such an MTU
mtu 17000
deploy "$c" -i lite0 --xdp generic -p 5020:20 -p 5021:16380 >"$work/log"
if [[ $(in_ns "$s" "$hooker" transports --json | jq '.transports[0].native') == true ]]; then
	ok "16383 bytes, 20 of them covered" "$traffic" send "$C4,5020" "$N4,6000" 16375 cover=20 min=20
	ok "and finished" "$traffic" send "$C4,5020" "$N4,6000" 16375 cover=20 min=20 nocheck
	ok "16383 bytes, 16380 covered" "$traffic" send "$C4,5021" "$N4,6000" 16375 cover=16380 min=16380
	ok "and finished" "$traffic" send "$C4,5021" "$N4,6000" 16375 cover=16380 min=16380 nocheck
else
	for i in 1 2 3 4; do skip "long datagrams, $i" "no native UDP-Lite to receive them"; done
fi
undeploy "$c"
mtu 1500

# ---- a killed deploy
mkfifo "$work/never"
for delay in 0.01 0.03 0.05 0.07 0.09; do
	# Not `timeout -s KILL`, which dies by its own signal and leaves us beside a deploy that may still be at work.
	nsenter --net="/run/netns/$c" "$hooker" deploy udplite -i lite0 >"$work/log" 2>&1 &
	deploying=$!
	read -rt "$delay" <>"$work/never" || :
	kill -KILL "$deploying" 2>/dev/null || : # it may have been faster
	wait "$deploying" 2>/dev/null || :
	undeploy "$c" 2>"$work/log" || :
	# The kernel takes programs off when it gets round to it.
	wait_until 10 nothing_left "$c" || break
done
ok "a killed deploy is undeployed like any other" nothing_left "$c"
