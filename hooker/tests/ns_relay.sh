#!/usr/bin/env bash
# The relay between namespaces, without delay: unmodified programs, byte for byte, and every way to end.
#   client 10.99.1.2 --- router --- 10.99.2.2 server; TRANSPORT=udp|udplite chooses what is on the wire
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

transport=${TRANSPORT:-udp}
repeats=${REPEATS:-10}
ECHO=$ROOT/build/scenarios/echo
PRESSURE=$ROOT/build/hooker/tests/prog_pressure
SPOOF=$ROOT/build/hooker/tests/prog_spoof

established() { stat client counters.established; }

# Nothing may be left to do, or in the kernel's tables, once the applications are done.
all_closed()
{
	local host
	for host in client server; do
		[[ $(stat "$host" relay.open) == 0 && $(on "$host" "$HOOKER" flows --json | jq '.flows | length') == 0 ]] ||
			return 1
	done
}

repeat_fetch()
{
	local i
	for ((i = 0; i < repeats; i++)); do
		fetch "$1" || { echo "transfer $i"; cat "$WORK/fetch.json"; return 1; }
	done
}

curl_keepalive()
{
	local url=http://$SERVER out
	out=$(on client curl -sS -w '%{num_connects} ' -o "$WORK/1" "$url/video" -o "$WORK/2" "$url/image" -o "$WORK/3" "$url/text")
	cmp "$WORK/1" "$WORK/files/video" && cmp "$WORK/2" "$WORK/files/image" && cmp "$WORK/3" "$WORK/files/text" &&
		[[ $out == "1 0 0 " ]] # one connection for all three
}

half_close()
{
	local sum
	# The client ends sending first, the server answers afterwards.
	background sum server socat TCP-LISTEN:9001,reuseaddr EXEC:sha256sum
	wait_until 5 listens server 9001
	# socat would end by itself 60 s after its own EOF.
	sum=$(on client timeout 30 socat -t 60 - "TCP:$SERVER:9001" <"$WORK/files/video") || return 1
	[[ ${sum%% *} == "$(sha256sum <"$WORK/files/video" | cut -d' ' -f1)" ]]
}

server_resets()
{
	serve_on 8081 --abort-after 5000000
	PORT=8081 fetch video && return 1
	[[ $(jq -r '.error' "$WORK/fetch.json") == "after 5000000 bytes: Connection reset by peer" ]]
}

server_killed()
{
	serve_on 8082
	local server=$PID client
	background killed client "$STREAM" fetch --timeout 20 "$SERVER" 8082 big
	client=$PID
	wait_until 5 flow_moves 8082 || { echo "no flow"; return 1; }
	kill -9 "$server"
	wait "$client" && return 1
	cat "$WORK/killed.out"
	# As over TCP: what the server had sent arrives, then the stream ends; the client knows it is short.
	grep -q -e 'early end' -e 'reset by peer' "$WORK/killed.out"
}

flow_moves()
{
	on client "$HOOKER" flows --json |
		jq -e --argjson port "$1" '.flows[] | select(.rx_bytes > 0 and .remote_port == $port)'
}

# The client's first ACK is lost; the server's daemon hears of the connection by its frames.
lost_ack()
{
	path 'iifname to-client tcp flags & (syn | ack) == ack numgen inc mod 1000 == 0 drop'
	fetch image || { cat "$WORK/fetch.json"; return 1; }
	path
	echo "$(stat server relay.completed) handshakes completed"
	[[ $(stat server relay.completed) == 1 ]]
}

# No FIN gets through the network: the ends of the streams are known without them, whoever ends first.
lost_fins()
{
	local status=0
	path 'tcp flags & (fin | rst) == fin drop'
	fetch image --timeout 20 || status=1
	cat "$WORK/fetch.json"
	half_close || status=1
	path
	return $status
}

# One FIN gets through, long before the stream it ends, for its reader pauses: held, and then let in, it is older than what
# TCP has heard since.
old_fin()
{
	local reader status=0
	background reader server timeout 20 "$PRESSURE" read 9005 1500
	reader=$PID
	wait_until 5 listens server 9005
	path 'tcp flags & (fin | rst) == fin quota over 100 bytes drop'
	on client "$PRESSURE" write "$SERVER" 9005 blocking 8000000 || status=1
	wait "$reader" || status=1
	path
	cat "$WORK/reader.out"
	return $status
}

# A pair starts small. It must grow for who sends much, also if something small went before and is still under way.
pair_grows()
{
	local server client port grown=0
	background grow server socat TCP-LISTEN:9002,reuseaddr \
		"SYSTEM:cat '$WORK/files/text' '$WORK/files/image'; exec cat,nofork"
	server=$PID
	wait_until 5 listens server 9002
	background grown client socat -u "TCP:$SERVER:9002" "CREATE:$WORK/grown"
	client=$PID
	wait_until 10 all_there || { wc -c "$WORK/grown"; return 1; }
	# The kernel doubles SO_SNDBUF: 65536 is a pair that has not grown.
	for port in $(pairs_ports server); do
		((grown += $(on server ss -HOtnm dst "127.72.75.1:$port" | grep -vc 'tb65536,'))) || :
	done
	kill "$client" "$server"
	wait "$client" "$server" || :
	echo "$grown pairs have grown"
	[[ $grown == 1 ]]
}
all_there() { (($(wc -c <"$WORK/grown") == 3072 + 522240)); }

# What others send in the peer's name, in TCP without its numbers or in another protocol, changes nothing.
forged()
{
	local talk port
	rm -f "$WORK/line"
	mkfifo "$WORK/line"
	background talk client sh -c "exec '$ECHO' hold $SERVER 9004 1 <'$WORK/line'"
	talk=$PID
	exec 8>"$WORK/line"
	wait_until 5 grep -q ^held "$WORK/talk.out" || return 1
	port=$(on client ss -Htn state established 'dport = :9004' | awk '{ sub(/.*:/, "", $3); print $3 }')
	[[ $port ]] || return 1
	on router "$SPOOF" "$SERVER" 9004 10.99.1.2 "$port" stranger || return 1
	read -rt 1.5 <> <(:) || : # a RST that is held would be let in after 1 s
	echo >&8
	exec 8>&-
	wait "$talk" || { cat "$WORK/talk.out"; return 1; }
}

plan 31
hosts_up
head -c 400000000 /dev/zero >"$WORK/files/big"

# On the root cgroup, as a user runs it; the client's and the server's connections are in other namespaces.
on router ip link set lo up
background hooker-router router "$HOOKER" run --interface to-client --transport "$transport"
DAEMON[router]=$PID
wait_until 10 grep -q '^ready' "$WORK/hooker-router.out" || bail "Hooker does not start on the router"
ok "Hooker in another network namespace: plain TCP" fetch text
is "... untouched" "$(stat router counters.syn_offered) $(on router "$HOOKER" flows --json | jq '.flows | length')" "0 0"
hooker_stop router
hooker_start client --transport "$transport"
# TCP is looked at behind GRO where that ends with Hooker (TCX, Linux 6.6) and UDP-Lite does not ask for XDP.
at='"native XDP"'
if [[ $transport == udp ]] && printf '%s\n6.6\n' "$(uname -r)" | sort -VC -r; then at='"tc ingress"'; fi
is "received at $at" "$(stat client receive.eth0)" "$at"
# Linux 6.12 knows slices; its /proc has them where it was built so.
slice=''
if printf '%s\n6.12\n' "$(uname -r)" | sort -VC -r; then
	worker=$(cut -d' ' -f1 "/proc/${DAEMON[client]}/task/${DAEMON[client]}/children" 2>/dev/null || :)
	slice=$(awk '$1 == "se.slice" { print $3 }' "/proc/$worker/sched" 2>/dev/null || :)
fi
if [[ $slice ]]; then is "slices of 0.5 ms" "$slice" 500000; else skip "slices of 0.5 ms" "this kernel does not show them"; fi
ok "Hooker on one side only: plain TCP" fetch video
is "... and says so" "$(stat client counters.established)" 0
hooker_start server --transport "$transport"
background capture router timeout 60 tcpdump -i to-server -U --immediate-mode -w "$WORK/capture.pcap" tcp
capture=$PID
wait_until 10 grep -q listening "$WORK/capture.out"
for file in text image video; do
	ok "$repeats transfers of $file, EOF after the data" repeat_fetch "$file"
done
wait_until 10 all_closed || : # the last FIN, too
kill "$capture"
wait "$capture" || :
is "every one was redirected" "$(established)" $((3 * repeats))
is "not one payload byte in TCP" \
	"$(tshark -r "$WORK/capture.pcap" -Y 'tcp.len > 0' -T fields -e frame.number 2>/dev/null | wc -l)" 0
# What is between, a firewall that keeps states, must see it end.
is "each side's FIN was seen" "$(tshark -r "$WORK/capture.pcap" -Y tcp.flags.fin==1 -T fields -e tcp.stream -e ip.src 2>/dev/null |
	sort -u | wc -l)" $((2 * 3 * repeats))
ok "the handshake's ACK is lost" lost_ack
is "... and that one was redirected" "$(established)" $((3 * repeats + 1))
ok "every FIN is lost in the network" lost_fins
ok "a FIN comes long before the end, and no other" old_fin
ok "a pair grows as need be" pair_grows
ok "50 concurrent transfers" fetch_many 50 image
ok "8 concurrent transfers of 26 MB" fetch_many 8 video
ok "both directions at once" fetch video --push "$WORK/files/image"
ok "nginx starts" start_nginx
ok "curl and nginx: three files over one connection" curl_keepalive
ok "half-close: the answer comes after our EOF" half_close
ok "a reset arrives after the bytes before it" server_resets
ok "a killed server" server_killed
background echo server "$ECHO" serve 9004
wait_until 5 grep -q '^listening' "$WORK/echo.out"
ok "what is forged in the peer's name changes nothing" forged
ok "everything is closed and forgotten" wait_until 10 all_closed
for host in client server; do
	hooker_stop $host
	hooker_start $host --transport "$transport" --receive xdp
done
ok "received at XDP: the same, and EOF after the data" repeat_fetch image
ok "... and half-close" half_close
ok "... and forgeries" forged
# Small messages to and fro, for which a daemon with more than one processor polls: it must still hear a signal.
# Not by ok(): its subshell could not wait for them.
background talk client "$ECHO" ping "$SERVER" 9004 60
talk=$PID status=0
wait_until 5 flow_moves 9004 >"$WORK/flow" || status=1
kill "${DAEMON[client]}"
wait "${DAEMON[client]}" || status=1
wait "$talk" && status=1
tap_result "stopped in the middle of a conversation" $status "$(<"$WORK/talk.out")"
