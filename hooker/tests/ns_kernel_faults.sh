#!/usr/bin/env bash
# The kernel datapath's fallback: every cause, before and during a 26 MB transfer. Each case must be byte-exact; the
# stall is the longest wait for data and is printed with the verdict. ns_kernel_faults_lite.sh: the same by UDP-Lite.
#   TRANSPORT=udp; STALL_MS=1000: what a fault under way may cost; FULL=1: the whole table, which UDP has anyway
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

transport=${TRANSPORT:-udp}
stall_ms=${STALL_MS:-1000}
STALL=$ROOT/build/hooker/tests/prog_stall
PRESSURE=$ROOT/build/hooker/tests/prog_pressure
SPOOF=$ROOT/build/hooker/tests/prog_spoof
CLIENT=10.99.1.2
protocol=17
[[ $transport == udp ]] || protocol=136
URL=http://$SERVER
REMEMBER_S=20 # longer than a transfer at this rate takes
RATE=8000000 # slow enough for a fault to come in time on a busy machine

start_both()
{
	start client "${1:-0}"
	start server "${1:-0}"
}

# start HOST REMEMBER: one end receives at tc, the other at XDP; for UDP-Lite the other way round.
start()
{
	local receive=tc
	[[ $1/$transport == client/udp || $1/$transport == server/udplite ]] || receive=xdp
	hooker_start "$1" --datapath kernel --transport "$transport" --receive $receive --remember "$2"
}

stop_both()
{
	hooker_stop client
	hooker_stop server
}

# The router's faults: one nft rule each, inserted into a chain that stays, because a table made anew would have
# conntrack start afresh.
fault()
{
	local p="meta l4proto $transport"
	case $1 in
	drop) echo "$p drop" ;;
	drop-large) echo "$p meta length > 600 drop" ;;
	drop-up) echo "iifname to-client $p drop" ;;
	drop-down) echo "iifname to-server $p drop" ;;
	reject) echo "$p reject" ;;
	strip) echo "tcp flags syn reset tcp option 254" ;;
	strip-synack) echo "tcp flags & (syn|ack) == syn|ack reset tcp option 254" ;;
	esac
}

fault_on()
{
	case $1 in
	mtu) on router ip link set to-client mtu 1400 ;;
	cookies) on server sysctl -qw net.ipv4.tcp_syncookies=2 ;;
	nat) on router nft add rule inet fault nat oifname to-server masquerade ;;
	*) on router nft add rule inet fault forward "$(fault "$1")" ;;
	esac
}

fault_off()
{
	on router nft flush chain inet fault forward
	on router nft flush chain inet fault nat
	on router ip link set to-client mtu 1500
	on server sysctl -qw net.ipv4.tcp_syncookies=1
}

# transfer [RATE]: the JSON line of prog_stall goes to $WORK/stall.json.
transfer() { on client "$STALL" "$SERVER" 80 video "$WORK/files/video" "$@" >"$WORK/stall.out"; tail -1 "$WORK/stall.out" >"$WORK/stall.json"; }

result() { jq -r '"\(.bytes) bytes, same: \(.same), stall \(.stall_ms) ms, \(.seconds) s \(.error)"' "$WORK/stall.json"; }

stalled_less_than() { jq -e --argjson ms "$1" '.same and .stall_ms < $ms' "$WORK/stall.json" >/dev/null; }

# before FAULT TRANSPORT-AFTERWARDS
before()
{
	local status=0 seen timeouts
	timeouts=$(stat server counters.kernel_suspect)
	fault_on "$1"
	transfer || status=1
	# The flow's end may already be forgotten on one host; the server's is kept for TIME_WAIT, TCP flows are not.
	seen=$(stat client counters.kernel_rx)
	fault_off
	stalled_less_than "$stall_ms" || status=1
	tap_result "$transport: $1 before ($(result))" $status "$seen packets on the transport"
	if [[ $2 == tcp ]]; then
		is "$transport: ... all of it over TCP" "$((seen - received))" 0
	else
		ok "$transport: ... all of it over $2" test $((seen - received)) -gt 15000
	fi
	received=$seen
	# Only the tail loss probe can tell so early: it goes in TCP, too, and its answer says what was not heard.
	[[ $1 != drop-down ]] || is "$transport: ... before TCP's first timeout" "$(stat server counters.kernel_suspect)" "$timeouts"
}

fallbacks() { echo $(($(stat client counters.kernel_fallback) + $(stat server counters.kernel_fallback))); }

fell_back() { (($(fallbacks) > $1)); }

# during FAULT [MILLISECONDS]
during()
{
	local status=0 client fallbacks
	fallbacks=$(fallbacks)
	background stall client "$STALL" "$SERVER" 80 video "$WORK/files/video" $RATE
	client=$PID
	wait_until 10 grep -q 'under way' "$WORK/stall.out" || status=1
	if [[ $1 == restart-* ]]; then
		hooker_stop "${1#restart-}"
		start "${1#restart-}" 0
	elif [[ $1 == kill-* ]]; then
		kill -9 "${DAEMON[${1#kill-}]}"
		wait "${DAEMON[${1#kill-}]}" 2>/dev/null || :
	else
		fault_on "$1"
	fi
	wait "$client" || status=1
	tail -1 "$WORK/stall.out" >"$WORK/stall.json"
	stalled_less_than "${2:-$stall_ms}" || status=1
	fault_off
	# Did the fault come in time, and was it noticed?
	case $1 in
	drop* | reject) (($(fallbacks) > fallbacks)) || status=1 ;;
	esac
	tap_result "$transport: $1 under way ($(result))" $status "$(<"$WORK/stall.out")"
	received=$(stat client counters.kernel_rx 2>/dev/null || echo 0)
}

remembered()
{
	local before
	fault_on drop
	# Slowly enough for the silence to mean something.
	transfer $RATE || return 1
	# The first connection found out; the next one does not even try.
	before=$(stat client counters.syn_offered)
	transfer $RATE || return 1
	fault_off
	[[ $(stat client counters.syn_offered) == "$before" ]]
}

on_transport_again()
{
	local before
	before=$(stat client counters.kernel_rx)
	on client curl -sS -o "$WORK/again" "$URL/image" && cmp "$WORK/again" "$WORK/files/image" || return 1
	(($(stat client counters.kernel_rx) > before + 100))
}

# With a memory of REMEMBER_S, and the path well again: first the next connection stays in TCP, then one tries.
expires()
{
	fault_on drop
	transfer $RATE || return 1
	fault_off
	[[ $(on client "$HOOKER" stats --json | jq .counters.kernel_fallback) -gt 0 ]] || return 1
	! on_transport_again || return 1
	wait_until $((2 * REMEMBER_S)) on_transport_again
}

# Once the transport is gone, a firewall that tracks TCP windows drops the way back: both ends must hear of it
# within seconds, and the next connection must work.
strict_firewall()
{
	local client started
	on router nft add rule inet fault forward ct state invalid drop
	background stall client "$STALL" "$SERVER" 80 video "$WORK/files/video" $RATE
	client=$PID
	wait_until 10 grep -q 'under way' "$WORK/stall.out" || return 1
	fault_on drop
	started=$SECONDS
	wait "$client" && return 1
	tail -1 "$WORK/stall.out" | tee "$WORK/stall.json"
	((SECONDS - started < 15)) || return 1
	jq -e '.error == "Connection reset by peer"' "$WORK/stall.json" >/dev/null || return 1
	wait_until 3 on server "$HOOKER" stats # the daemon is well
	transfer || return 1
	fault_off
}

# strict_firewall_upload HOW: the same where the client sends: the server waits, has no timeout of its own, and hears of it
# only by the client's reset, which it puts right. HOW: of prog_pressure.
strict_firewall_upload()
{
	local reader writer started repaired status=0
	repaired=$(stat server counters.kernel_rst_repaired)
	on router nft add rule inet fault forward ct state invalid drop
	background upload-read server timeout 40 "$PRESSURE" read 9090 0
	reader=$PID
	wait_until 5 grep -q listening "$WORK/upload-read.out" || return 1
	background upload-write client timeout 40 "$PRESSURE" write "$SERVER" 9090 "$1" 1000000000000
	writer=$PID
	wait_until 10 reaches server counters.kernel_rx $(($(stat server counters.kernel_rx) + 1000)) || status=1
	fault_on drop
	started=$SECONDS
	wait_until 15 ended "$writer" || status=1
	wait_until 15 ended "$reader" || status=1
	kill "$writer" "$reader" 2>/dev/null || :
	wait "$writer" "$reader" || :
	cat "$WORK/upload-write.out" "$WORK/upload-read.out"
	((SECONDS - started < 15)) && grep -q 'reset by peer' "$WORK/upload-read.out" || status=1
	reaches server counters.kernel_rst_repaired $((repaired + 1)) || { echo "the reset was not put right"; status=1; }
	fault_off
	return $status
}
ended() { ! kill -0 "$1" 2>/dev/null; }

# Two timeouts whose first packet was lost on the transport, each time, are no proof: its company came through.
lost_with_company()
{
	local client fallbacks timeouts status=0
	fallbacks=$(fallbacks) timeouts=$(stat server counters.kernel_suspect)
	background stall client "$STALL" "$SERVER" 80 video "$WORK/files/video" $RATE
	client=$PID
	wait_until 10 grep -q 'under way' "$WORK/stall.out" || status=1
	fault_on drop-large
	wait_until 5 reaches server counters.kernel_suspect $((timeouts + 2)) || status=1
	fault_off
	wait "$client" || status=1
	tail -1 "$WORK/stall.out" >"$WORK/stall.json"
	echo "$(result); $(fallbacks) fallbacks, $fallbacks before"
	jq -e .same "$WORK/stall.json" >/dev/null && (($(fallbacks) == fallbacks)) && return $status
}

# spoofed HOW: under way, somebody who knows the ports only forges packets from the router. Nothing comes of it.
spoofed()
{
	local client port fallbacks status=0
	fallbacks=$(fallbacks)
	background stall client "$STALL" "$SERVER" 80 video "$WORK/files/video" $RATE
	client=$PID
	wait_until 10 grep -q 'under way' "$WORK/stall.out" || status=1
	port=$(on client "$HOOKER" flows --json | jq '.flows[] | select(.remote_port == 80 and .state == "active") | .local_port')
	[[ $port ]] || status=1
	on router "$SPOOF" "$SERVER" 80 "$CLIENT" "$port" "$1" "$protocol" || status=1
	wait "$client" || status=1
	tail -1 "$WORK/stall.out" >"$WORK/stall.json"
	stalled_less_than "$stall_ms" || status=1
	(($(fallbacks) == fallbacks)) || status=1
	tap_result "$transport: forged: $1 ($(result))" $status "$(<"$WORK/stall.out")"
}

# What the router's NAT sees is unfinished, and its devices finish it: every checksum on the transport is wrong, though
# the flow is heard there.
wrong_checksums()
{
	local before status=0
	before=$(fallbacks)
	on router ethtool -K to-client tx off >/dev/null
	on router ethtool -K to-server tx off >/dev/null
	fault_on nat
	transfer || status=1
	cat "$WORK/stall.json"
	fault_off
	on router ethtool -K to-client tx on >/dev/null
	on router ethtool -K to-server tx on >/dev/null
	stalled_less_than 15000 || status=1
	fell_back "$before" || status=1
	return $status
}

# outage [FAULT]: a link, perhaps in TCP after FAULT, that is dead for so long that TCP's next attempt comes seconds
# after it is back: the transfer goes on then.
outage()
{
	local client fallbacks
	fallbacks=$(fallbacks)
	background stall client "$STALL" "$SERVER" 80 video "$WORK/files/video" $RATE
	client=$PID
	wait_until 10 grep -q 'under way' "$WORK/stall.out" || return 1
	if (($#)); then
		fault_on "$1"
		wait_until 10 fell_back "$fallbacks" || return 1
	fi
	on router nft add rule inet fault forward drop
	sleep 7 # of TCP's attempts, 5 are in the first 6.2 s, the next one comes 6.4 s later
	fault_off
	wait "$client" || { cat "$WORK/stall.out"; return 1; }
	tail -1 "$WORK/stall.out" | tee "$WORK/stall.json"
	stalled_less_than 20000
}

# Nothing but ping comes back to the router, whose server is reached by a link-local address: reset as well.
link_local()
{
	local client address started
	address=$(on router ip -j -6 addr show dev to-client scope link | jq -r '[.[].addr_info[]? | .local // empty][0]')
	background hooker-router router "$HOOKER" run --interface to-client --cgroup "${CGROUP[router]}" \
		--datapath kernel --transport "$transport"
	DAEMON[router]=$PID
	wait_until 10 grep -q '^ready' "$WORK/hooker-router.out" || return 1
	sed "s,$WORK/nginx\.,$WORK/nginx-router.,g; s,listen 80,listen [::]:80," "$WORK/nginx.conf" >"$WORK/router.conf"
	background nginx-router router nginx -c "$WORK/router.conf" -p "$WORK"
	wait_until 10 on client curl -sg -o /dev/null "http://[$address%eth0]/text" || return 1
	background stall client "$STALL" "$address%eth0" 80 video "$WORK/files/video" $RATE
	client=$PID
	wait_until 10 grep -q 'under way' "$WORK/stall.out" || return 1
	on client nft -f - <<-EOF
		table inet silent { chain output { type filter hook output priority 0; meta l4proto tcp drop; }; }
	EOF
	started=$SECONDS
	wait "$client" && return 1
	tail -1 "$WORK/stall.out"
	((SECONDS - started < 15)) || return 1
	hooker_stop router
	on client nft delete table inet silent
	jq -e '.error == "Connection reset by peer"' <(tail -1 "$WORK/stall.out") >/dev/null
}

cases_before=(drop drop-up drop-down reject strip strip-synack cookies)
cases_during=(drop drop-up drop-down reject mtu kill-server kill-client restart-server restart-client)
cases_spoofed=(reset carry overtake refuse short)
if [[ $transport != udp && ${FULL:-0} == 0 ]]; then
	cases_before=(drop-down reject) cases_during=(drop mtu kill-server) cases_spoofed=(carry overtake short)
fi
plan $((2 * ${#cases_before[@]} + 5 + ${#cases_during[@]} + ${#cases_spoofed[@]} + 12))
hosts_up
on router nft -f - <<-EOF
	table inet fault {
	  chain forward { type filter hook forward priority 0; }
	  chain nat { type nat hook postrouting priority 100; }
	}
	EOF
start_nginx

start_both
received=0
for case in "${cases_before[@]}"; do
	before "$case" tcp
done
before mtu "$transport"
if [[ $transport == udp ]]; then
	ok "udp: checksums that are always wrong are found out" wrong_checksums
else
	skip "udplite: checksums that are always wrong are found out" "a NAT makes it fall back at once"
fi
# Real checksums, or the router would see the half-made ones of a veth. A NAT knows UDP, but not UDP-Lite.
on client ethtool -K eth0 tx off >/dev/null
on server ethtool -K eth0 tx off >/dev/null
before nat "$([[ $transport == udp ]] && echo udp || echo tcp)"
on client ethtool -K eth0 tx on >/dev/null
on server ethtool -K eth0 tx on >/dev/null
stop_both
start_both
for case in "${cases_during[@]}"; do
	during "$case"
	[[ $case != kill-* ]] || start "${case#kill-}" 0
done
# What is to find out is small, and comes through: only that each timeout brings a byte tells.
during drop-large 5000
ok "$transport: two timeouts that took only the large packets are not the end" lost_with_company
for case in "${cases_spoofed[@]}"; do
	spoofed "$case"
done
is "$transport: ... and what was too short has been counted" "$(stat client counters.kernel_rx_malformed)" 1
ok "$transport: a dead link of some seconds is not the end" outage
ok "$transport: ... nor after a fallback" outage drop
stop_both
start_both 60
ok "$transport: a path that refused is remembered" remembered
stop_both
start_both $REMEMBER_S
ok "$transport: ... and tried again once that has expired" expires
stop_both
start_both 60
ok "$transport: behind a strict firewall it fails loudly, the next one works" strict_firewall
stop_both
for how in blocking eager; do
	start_both
	ok "$transport: ... and at both ends where the client sends, $how" strict_firewall_upload $how
	stop_both
done
fault_off
start client 0
ok "$transport: the same over a link-local address" link_local
hooker_stop client
