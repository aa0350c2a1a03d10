#!/usr/bin/env bash
# The relay's brake (bpf/abi.h, hk_bounds): a writer that does not block waits in poll() while it has no room, and all that
# comes of it stays on this host.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

PRESSURE=$ROOT/build/hooker/tests/prog_pressure
port=9200
bytes=30000000

# reader STOP_MS: in the background
reader()
{
	background "read-$port" server "$PRESSURE" read $port "$1"
	reader=$PID
	wait_until 5 grep -q listening "$WORK/read-$port.out"
}
has_read()
{
	if wait "$reader" && grep -qx "read $bytes" "$WORK/read-$port.out"; then return; fi
	cat "$WORK/read-$port.out"
	return 1
}
refused() { sed -n 's/.*EAGAIN //p' "$WORK/write-$1.out"; }
no_socket() { [[ -z $(on client ss -Htn "dport = $port") ]]; }

# writes HOW [STOP_MS]: to a reader that sleeps so long
writes()
{
	reader "${2:-2000}"
	on client timeout 60 "$PRESSURE" write "$SERVER" $port "$1" $bytes >"$WORK/write-$1.out" 2>&1 || { cat "$WORK/write-$1.out"; return 1; }
	has_read
}

# The application closes when it would have to wait: its FIN is behind the brake in TCP's queue.
closes_when_braked()
{
	local bytes
	reader 1500
	on client timeout 60 "$PRESSURE" write "$SERVER" $port ending 1000000000 >"$WORK/ending.out" 2>&1 || { cat "$WORK/ending.out"; return 1; }
	bytes=$(sed -n 's/^wrote \([0-9]*\),.*/\1/p' "$WORK/ending.out")
	# All it had to write would mean that it never had to wait.
	((bytes < 1000000000)) || { cat "$WORK/ending.out"; return 1; }
	has_read
}

printf '%s\n6.6\n' "$(uname -r)" | sort -VC -r || skip_all "writers are braked from Linux 6.6 on"
plan 21
hosts_up
hooker_start client
hooker_start server
is "writers can be braked here" "$(stat client relay.brakes)" true
background capture router timeout 120 tcpdump -i to-server -U --immediate-mode -w "$WORK/capture.pcap" tcp
capture=$PID
wait_until 10 grep -q listening "$WORK/capture.out"
for how in poll level edge cork more large; do
	ok "$how: all bytes, to a reader that stops" writes $how
	ok "... $(refused $how) times EAGAIN: waiting is not asking all the time" test "$(refused $how)" -lt 2000
done
ok "writers were braked" reaches client counters.writers_braked 21
ok "a rest under keep-alive, between braked writes" writes rest 0
ok "an end behind the brake" closes_when_braked
ok "all closed" wait_until 10 relays_idle
ok "no socket of theirs is left" wait_until 10 no_socket
kill $capture
wait $capture || :
is "nothing of it was on the network" "$(tshark -r "$WORK/capture.pcap" -Y 'tcp.len > 0' -T fields -e frame.number 2>/dev/null | wc -l)" 0
is "... where TCP's numbers are those of a connection without payload" \
	"$(tshark -r "$WORK/capture.pcap" -Y 'tcp.seq > 2 || tcp.ack > 2' -T fields -e frame.number 2>/dev/null | wc -l)" 0
is "each side's FIN was there" "$(tshark -r "$WORK/capture.pcap" -Y tcp.flags.fin==1 -T fields -e tcp.stream -e ip.src 2>/dev/null | sort -u | wc -l)" $((2 * $(stat client counters.established)))
