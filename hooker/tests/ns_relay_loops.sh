#!/usr/bin/env bash
# A relay of several event loops, each a thread: the connections of eight pairs of addresses are in all of them, and whatever
# concerns the whole (fall-back, undeploying, the bound of memory, commands, the end) concerns each. `make check` cannot
# know: the loops meet in the kernel.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

LOOPS=4
CLIENTS=(10.99.1.2 10.99.1.11 10.99.1.12 10.99.1.13)
SERVERS=(10.99.2.2 10.99.2.11 10.99.2.12 10.99.2.13)

restart()
{
	local host
	for host in client server; do
		[[ -z ${DAEMON[$host]-} ]] || hooker_stop $host
		hooker_start $host --loops $LOOPS "$@"
	done
}

# each FILE: a transfer between each two addresses, all at once, each byte-exact.
each()
{
	local from to pids=() bad=0
	for from in "${CLIENTS[@]}"; do
		for to in "${SERVERS[@]}"; do
			on client curl -sS --max-time 30 --interface "$from" "http://$to/$1" | cmp - "$WORK/files/$1" &
			pids+=($!)
		done
	done
	for from in "${pids[@]}"; do
		wait "$from" || bad=$((bad + 1))
	done
	((bad == 0)) || echo "$bad of ${#pids[@]} failed"
	((bad == 0))
}
pairs=$((${#CLIENTS[@]} * ${#SERVERS[@]}))

relayed() { echo $(($(stat server counters.established) - established)); }

# Every loop of both has had its share, and what `flows` says of each connection is where it belongs.
balanced()
{
	local host
	for host in client server; do
		on $host "$HOOKER" stats --json | jq -c .relay.loops
		on $host "$HOOKER" stats --json | jq -e --argjson n $LOOPS --argjson share $((pairs / LOOPS)) \
			'.relay.loops | length == $n and all(.[]; .connections >= $share and .bytes > 0)' || return 1
	done
}

# Held by nginx, which sends one of these slowly: a connection between each two addresses.
hold()
{
	local from to
	HELD=()
	for from in "${CLIENTS[@]}"; do
		for to in "${SERVERS[@]}"; do
			background "held-${#HELD[@]}" client curl -sS --max-time 60 --interface "$from" "http://$to/slow"
			HELD+=("$PID")
		done
	done
	wait_until 10 held_are "$1"
}
flows() { on client "$HOOKER" flows --json | jq -c '[.flows[] | select(.remote_port == 80)]'; }
held_are() { [[ $(flows | jq --arg t "$1" '[.[] | select(.transport == $t)] | length') == "$pairs" ]]; }
let_go()
{
	kill "${HELD[@]}" 2>/dev/null || :
	wait "${HELD[@]}" 2>/dev/null || :
	wait_until 10 relays_idle
}

in_their_loops()
{
	flows | jq -c '[.[] | [.remote_address, .loop]] | unique'
	flows | jq -e --argjson n $LOOPS 'all(.[]; .loop == (.remote_address | split(".")[3] | tonumber) % $n)' &&
		on client "$HOOKER" status --json | jq -e --argjson n "$pairs" '.flows.by_transport.udp >= $n'
}

# All of them fall back, each by a link of its own two addresses; who follows events hears of each.
fall_back()
{
	background events client "$HOOKER" events --json
	local events=$PID
	wait_until 5 grep -q schema "$WORK/events.out" || return 1
	hold udp || return 1
	path "$1" || return 1
	wait_until 15 held_are tcp || { flows; return 1; }
	# One end says why; the other says so, too, or follows.
	flows | jq -c 'map(.reason) | group_by(.) | map([.[0], length])'
	flows | jq -e --arg r "$2" 'all(.[]; .reason == $r or .reason == "peer-fell-back")' || return 1
	(($(stat client "relay.fallbacks.\"$2\"") + $(stat server "relay.fallbacks.\"$2\"") >= pairs)) || return 1
	wait_until 5 heard_of "$pairs" || { grep -c fell-back "$WORK/events.out"; return 1; }
	kill "$events"
	(($(stat server relay.links.open) >= pairs && $(stat client relay.links.open) >= pairs)) || return 1
	path && let_go
}
heard_of() { (($(grep -c '"fell-back"' "$WORK/events.out") >= $1)); }

# Undeployed while connections of every loop use it.
leave_udplite()
{
	hold udplite || return 1
	on client "$HOOKER" undeploy udplite || return 1
	wait_until 10 held_are udp || { flows; return 1; }
	let_go && each image
}

# The bound is that of all loops together. The readers stop, and go on.
bounded()
{
	local limit=$((16 << 20)) peak host
	each video || return 1
	for host in client server; do
		peak=$(stat $host relay.memory_peak_bytes)
		echo "$host: $peak of $limit bytes"
		((peak > 0 && peak <= limit)) || return 1
	done
	wait_until 10 relays_idle && [[ $(stat client relay.memory_bytes) == 0 && $(stat server relay.memory_bytes) == 0 ]]
}

# Commands stop the loops while they look, again and again.
looked_at()
{
	local status=0
	background look server sh -c "while '$HOOKER' flows --json && '$HOOKER' stats --json; do :; done"
	local look=$PID
	each video || status=1
	kill "$look" || { cat "$WORK/look.out"; status=1; }
	wait "$look" 2>/dev/null || :
	return $status
}

# Ended while transfers are under way in every loop: each application hears of it.
ends_all()
{
	local pid status bad=0
	hold udp || return 1
	case $1 in
	stop) hooker_stop server ;;
	kill) kill -9 "$(pgrep -P "${DAEMON[server]}")" ;;
	esac
	for pid in "${HELD[@]}"; do
		status=0
		wait "$pid" || status=$?
		# 56: it was reset while receiving; 28, the time is up, would be a hang.
		((status == 56 || status == 18)) || { echo "curl ended with $status"; bad=1; }
	done
	((bad == 0))
}

# Somebody who shares the port must be found, not joined.
port_is_taken()
{
	background squatter server perl -MSocket=:all -e 'socket(my $s, AF_INET, SOCK_DGRAM, 0);
		setsockopt($s, SOL_SOCKET, SO_REUSEPORT, 1) && bind($s, sockaddr_in(18507, INADDR_ANY)) or die;
		$| = 1; print "there\n"; sleep 60'
	local squatter=$PID out status=0
	wait_until 5 grep -q there "$WORK/squatter.out" || return 1
	out=$(on server timeout 10 "$HOOKER" run --interface eth0 --cgroup "${CGROUP[server]}" --loops $LOOPS 2>&1) || status=$?
	kill "$squatter"
	echo "$status: $out"
	[[ $status == [12] && $out == *"can't bind UDP port 18507"* ]]
}

plan 19
hosts_up
for address in "${CLIENTS[@]:1}"; do on client ip address add "$address/24" dev eth0; done
for address in "${SERVERS[@]:1}"; do on server ip address add "$address/24" dev eth0; done
on router sysctl -qw net.ipv4.icmp_ratelimit=0 # each connection shall hear of a refusal
start_nginx
for transport in udp udplite; do
	restart --transport $transport
	established=$(stat server counters.established)
	ok "$transport: $pairs transfers of text at once" each text
	ok "$transport: $pairs transfers of video at once" each video
	is "... all redirected" "$(relayed)" $((2 * pairs))
	ok "... by every loop" balanced
done
restart --transport udplite
ok "UDP-Lite is undeployed: all go on in UDP" leave_udplite
restart --transport udp --remember 0
hold udp || bail "no connections"
ok "each is in the loop of its peer" in_their_loops
ok "... and closed" let_go
ok "all fall back: swallowed" fall_back 'meta l4proto 17 drop' blackhole
ok "all fall back: refused" fall_back 'meta l4proto 17 reject with icmp type admin-prohibited' icmp-unreachable
ok "... and the next are relayed" each image
ok "looked at all the time" looked_at
for end in stop kill; do
	restart --remember 0
	ok "the server's Hooker ends: $end" ends_all $end
done
restart --memory 16M --connection-memory 4M
ok "the memory of all loops is bounded" bounded
hooker_stop server
ok "a port that somebody else shares is not shared" port_is_taken
