#!/usr/bin/env bash
# The relay on paths that swallow or refuse its datagrams: its connections go on over a TCP link between
# the daemons, byte for byte, and say why; new ones are plain TCP. Without a link either, an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

restart()
{
	local host
	for host in client server; do
		[[ -z ${DAEMON[$host]-} ]] || hooker_stop $host
		hooker_start $host "$@"
	done
}

fallbacks() { on "$1" "$HOOKER" stats --json | jq -c .relay.fallbacks; }
count_of() { stat "$1" "relay.fallbacks.\"$2\""; }

# moves RULE REASON: 26 MB that meet RULE arrive whole, over a link; one end names the reason, the other does or follows.
moves()
{
	local reasons=("$2" peer-fell-back) before=() after=() reason
	for reason in "${reasons[@]}"; do
		before+=($(($(count_of client "$reason") + $(count_of server "$reason"))))
	done
	path "$1" || return 1
	fetch video || { cat "$WORK/fetch.json"; return 1; }
	for reason in "${reasons[@]}"; do
		after+=($(($(count_of client "$reason") + $(count_of server "$reason"))))
	done
	echo "before ${before[*]}, after ${after[*]}"
	# Both ends moved; one by itself, the other by itself or by following.
	((after[0] > before[0] && after[0] + after[1] == before[0] + before[1] + 2)) || return 1
	printf '# %s: %s, 26 MB took %s ms; longest stall so far: client %s ms, server %s ms\n' "$1" "$2" \
		"$(jq '.eof_ns / 1e6 | floor' "$WORK/fetch.json")" "$(stat client relay.fallbacks.stall_max_ms)" \
		"$(stat server relay.fallbacks.stall_max_ms)" >&3
}

# The same, but who refuses is the peer's own firewall. Behind XDP it sees UDP-Lite as UDP.
refused_at_peer()
{
	local status=0
	on client nft -f - <<-END
		table inet guard {
			chain input {
				type filter hook input priority 0
				udp dport { 18507, 18508 } quota over 5 mbytes reject
			}
		}
	END
	moves "" icmp-unreachable || status=1
	on client nft delete table inet guard
	return $status
}

# flow_of PORT CONDITION: the client's connection to that port, if it looks so in `hooker flows`.
flow_of()
{
	on client "$HOOKER" flows --json |
		jq -ec --argjson port "$1" ".flows[] | select(.remote_port == \$port) | select($2)"
}

shown_by_flows()
{
	path 'meta l4proto 17 drop' || return 1
	background held client socat -u "SYSTEM:echo GET text; sleep 30" "TCP:$SERVER:8080"
	local held=$PID
	wait_until 5 flow_of 8080 '.transport == "tcp" and .reason == "blackhole" and .agreed == "udp" and .stall_ms > 0' &&
		on client "$HOOKER" status --json |
		jq -e '.flows | .by_transport.udp == 0 and .by_transport.tcp >= 1 and .by_reason.blackhole >= 1'
	local status=$?
	kill "$held"
	return $status
}

# The next connection is plain TCP from the start, and says why; both ends know.
path_cached()
{
	local before
	before=$(stat client counters.established)
	fetch video && [[ $(stat client counters.established) == "$before" ]] || return 1
	background held client socat -u "EXEC:sleep 30" "TCP:$SERVER:8080"
	local held=$PID
	wait_until 5 flow_of 8080 '.transport == "tcp" and .reason == "path-cached"'
	local status=$?
	kill "$held"
	return $status
}

links_open() { stat "$1" relay.links.open; }

# Many connections, one link; or one of each end's, if both look for one in the same moment.
many_move()
{
	path 'meta l4proto 17 quota over 20 mbytes drop' || return 1
	fetch_many 8 video || return 1
	fallbacks server
	[[ $(links_open client) == [12] && $(links_open server) == [12] ]]
}

# no_way RULE: neither datagrams nor a link: the application hears of it in seconds.
no_way()
{
	local started=$SECONDS
	path "$1" || return 1
	fetch video && return 1
	path || return 1
	jq -r .error "$WORK/fetch.json"
	((SECONDS - started < 12)) && grep -q -e reset -e abort -e 'timed out' "$WORK/fetch.json"
}

relayed_again()
{
	local before
	before=$(stat client counters.established)
	fetch text && (($(stat client counters.established) > before))
}

# The datagrams of one connection wait for 2 s, as in the queue of a peer with too much to do, while another's are
# answered in both directions: that is no path which swallows them.
busy_peer()
{
	local before after trickle asker
	before="$(fallbacks client) $(fallbacks server)"
	background echo server socat TCP-LISTEN:9000,reuseaddr,fork PIPE
	local echo=$PID
	wait_until 5 listens server 9000 || return 1
	background trickle client socat 'SYSTEM:while sleep 0.02; do echo x; done' "TCP:$SERVER:9000"
	trickle=$PID
	rm -f "$WORK/ask"
	background asker client socat "SYSTEM:until test -e $WORK/ask; do sleep 0.05; done; echo FETCH text; cat >$WORK/asked" \
		"TCP:$SERVER:8080,sourceport=45001"
	asker=$PID
	wait_until 5 flow_of 8080 '.transport == "udp"' && wait_until 5 flow_of 9000 '.transport == "udp"' || return 1
	# Frames begin behind the UDP header with 12 bytes; then the ports of the connection, its sender's first.
	path 'meta l4proto 17 @th,160,32 45001 drop; meta l4proto 17 @th,192,32 45001 drop' || return 1
	: >"$WORK/ask"
	read -rt 2 <> <(:) || : # what is waited for is that nothing happens
	path || return 1
	wait_until 20 grep -q '^OK' "$WORK/asked" || return 1
	after="$(fallbacks client) $(fallbacks server)"
	kill "$trickle" "$asker" "$echo" || :
	printf '%s\n' "$before" "$after"
	[[ $before == "$after" ]]
}

# A stranger's connection to the port, and nonsense on it, change nothing.
nonsense()
{
	local before
	before=$(stat server relay.links.strangers)
	on router sh -c "head -c 1000 /dev/urandom | socat -u - TCP:$SERVER:18507" || :
	wait_until 5 reaches server relay.links.strangers $((before + 1)) || return 1
	fetch video
}
# What any process of the peer's host may do: connect to the port, often, and say nothing, or a byte now and then. Nothing
# is sent to it, it keeps nobody out, and it does not stay.
squatters()
{
	local held pids=() drip status=0 i
	background held client socat "EXEC:sleep 60" "TCP:$SERVER:8080"
	held=$PID
	wait_until 5 flow_of 8080 '.transport == "udp"' || return 1
	for ((i = 0; i < 8; i++)); do
		background "squat-$i" client socat EXEC:'sleep 60' "TCP:$SERVER:18507"
		pids+=("$PID")
	done
	wait_until 5 links_are 8 || status=1
	moves 'meta l4proto 17 drop' blackhole || status=1
	path
	# The first byte of a frame, again and again.
	# shellcheck disable=SC2016 # for the shell there
	background drip client bash -c 'exec 3<>/dev/tcp/$0/18507
		for i in 0 4 8; do printf "\021" >&3; sleep 4; done; exec cat <&3' "$SERVER"
	drip=$PID
	wait_until 14 gone "$drip" || { echo "still there"; status=1; }
	kill "$held" "$drip" "${pids[@]}" 2>/dev/null || :
	return $status
}
links_are() { [[ $(links_open server) == "$1" ]]; }
gone() { [[ ! -e /proc/$1 || $(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null) == [ZX] ]]; }

# A well-formed RESET of no connection, from the router with the daemons' port: dropped, and counted.
stray_reset()
{
	local before
	before=$(stat server relay.unknown)
	# version 1, kind RESET; the key as that sender sees it, the rest zero
	on router perl -MSocket -e 'my ($s, $me, $you) = (undef, map { inet_aton($_) } @ARGV);
		socket($s, AF_INET, SOCK_DGRAM, 17) && bind($s, sockaddr_in(18507, $me)) or die;
		send($s, pack("CCna4a4NN", 0x14, 0x30, 0, $me, $you, 1, 2) . "\0" x 44, 0, sockaddr_in(18507, $you))' \
		10.99.2.1 "$SERVER"
	wait_until 5 reaches server relay.unknown $((before + 1)) && fetch text
}

exec 3>&1
plan 24
hosts_up
for transport in udp:17 udplite:136; do
	number=${transport#*:} transport=${transport%:*}
	restart --transport "$transport" --remember 0
	while IFS='|' read -r name rule reason; do
		ok "$transport $name" moves "${rule/PROTO/meta l4proto $number}" "$reason"
	done <<-'END'
		swallowed from the start|PROTO drop|blackhole
		swallowed after 5 MB|PROTO quota over 5 mbytes drop|blackhole
		swallowed after 5 MB towards the client|oifname "to-client" PROTO quota over 5 mbytes drop|blackhole
		swallowed after 500 bytes towards the server|oifname "to-server" PROTO quota over 500 bytes drop|blackhole
		refused after 5 MB|PROTO quota over 5 mbytes reject with icmp type admin-prohibited|icmp-unreachable
	END
	ok "$transport refused by the peer's firewall after 5 MB" refused_at_peer
	is "$transport: what ICMP says of one datagram costs no other" "$(stat server "relay.$transport.send_errors")" 0
done
restart --transport udp --remember 0
ok "one connection is silent while another is answered: neither moves" busy_peer
ok "8 connections move to one link, or one of each end" many_move
path
ok "strangers and nonsense at the link's port" nonsense
ok "a RESET of no connection" stray_reset
restart --transport udp --remember 0
ok "links of others on the peer's host" squatters
restart --transport udp --remember 0 # no link is left whose end would have to be noticed first
for rule in 'meta l4proto 17 quota over 5 mbytes drop; tcp dport 18507 drop' \
	'meta l4proto 17 quota over 5 mbytes drop; tcp dport 18507 reject with tcp reset'; do
	ok "no datagrams and no link: an error within seconds (${rule##*; })" no_way "$rule"
done
restart --transport udp --remember 10
ok "hooker flows: TCP, why, and what was agreed on" shown_by_flows
ok "the next connection is plain TCP: path-cached" path_cached
path
ok "... and after --remember seconds it is relayed again" wait_until 30 relayed_again
