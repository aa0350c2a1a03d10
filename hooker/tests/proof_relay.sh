#!/usr/bin/env bash
# Not part of `make test`, minutes: the relay's bounds at full size, with figures.
#   a stopped reader while each kind of writer offers OFFER bytes (2,000,000,000)
#   HELD connections at once (1,000); SEQUENCE short ones one after another (100,000)
#   CROWD connections whose process is killed while the daemon stands still (7,500), so that events are lost
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

PRESSURE=$ROOT/build/hooker/tests/prog_pressure
ECHO=$ROOT/build/scenarios/echo
offer=${OFFER:-2000000000} held=${HELD:-1000} sequence=${SEQUENCE:-100000} crowd=${CROWD:-7500}
limit=$((16 << 20)) # --connection-memory's default
port=9300

userspace() { pgrep -P "${DAEMON[$1]}"; }
of_status() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$(userspace "$1")/status"; } # KiB
descriptors() { find "/proc/$(userspace "$1")/fd" -mindepth 1 | wc -l; }
# What TCP's socket buffers hold on this machine, other programs' included, KiB.
kernel_kib() { awk '/^TCP:/ { for (i = 2; i < NF; i += 2) if ($i == "mem") print $(i + 1) * 4 }' /proc/net/sockstat; }
map_entries()
{
	local id
	awk '$1 == "map_id:" { print $2 }' "/proc/${DAEMON[$1]}"/fdinfo/* | sort -u | while read -r id; do
		grep -qE 'name hk_(flows|orders|half) ' < <(bpftool map show id "$id") || continue
		bpftool map dump id "$id" --json 2>/dev/null | jq length
	done | awk '{ n += $1 } END { print n + 0 }'
}

# state NAME: one line of figures for each host.
state()
{
	local host
	for host in client server; do
		printf '# %-22s %s: daemon %s KiB (at most %s), descriptors %s, map entries %s, relay.memory %s KiB; kernel TCP %s KiB\n' \
			"$1" $host "$(of_status $host VmRSS)" "$(of_status $host VmHWM)" "$(descriptors $host)" \
			"$(map_entries $host)" "$(($(stat $host relay.memory_bytes) / 1024))" "$(kernel_kib)"
	done
}

# stopped_reader HOW: the reader sleeps 3 s, then every byte arrives; $PEAK is the most that TCP held, KiB.
stopped_reader()
{
	local how=$1 reader writer now before
	port=$((port + 1)) PEAK=0
	before=$(kernel_kib)
	background "read-$port" server "$PRESSURE" read $port 3000
	reader=$PID
	wait_until 5 grep -q listening "$WORK/read-$port.out"
	background "write-$port" client timeout 300 "$PRESSURE" write "$SERVER" $port "$how" "$offer"
	writer=$PID
	while kill -0 $writer 2>/dev/null; do
		now=$(kernel_kib)
		((now - before <= PEAK)) || PEAK=$((now - before))
		sleep 0.05
	done
	wait $writer || { cat "$WORK/write-$port.out"; return 1; }
	wait $reader || { cat "$WORK/read-$port.out"; return 1; }
	grep -qx "read $offer" "$WORK/read-$port.out"
}

hold()
{
	local clients
	mkfifo "$WORK/go"
	exec 4<>"$WORK/go" # both ways: to open one end alone waits for the other
	# Not by background(): what runs with & there has no stdin of ours.
	"$ROOT/testbed/testbed" exec client -- "$ECHO" hold "$SERVER" 9400 "$held" <"$WORK/go" >"$WORK/hold.out" 2>&1 &
	clients=$!
	wait_until 60 grep -q held "$WORK/hold.out" || { cat "$WORK/hold.out"; return 1; }
	state "$held connections"
	[[ $(stat client relay.pairs.alive) -ge $held && $(stat server relay.pairs.alive) -ge $held ]] ||
		{ echo "not all relayed"; return 1; }
	echo >&4
	exec 4>&-
	wait $clients
}

# Those that have ended are kept for 2 to 5 s, so the daemons grow to what a few seconds bring, and no further.
one_after_another()
{
	local before done=0
	before=$(stat client counters.established)
	while ((done < sequence)); do
		on client "$ECHO" rate "$SERVER" 9400 5 >"$WORK/rate" || return 1
		done=$(($(stat client counters.established) - before))
		printf '# %s connections, %s a second; resident: client %s KiB, server %s KiB; kept: %s and %s\n' $done \
			"$(<"$WORK/rate")" "$(of_status client VmRSS)" "$(of_status server VmRSS)" \
			"$(stat client relay.open)" "$(stat server relay.open)"
	done
}

# Their ends do not find room in the ring of events.
events_lost()
{
	local pid
	mkfifo "$WORK/crowd"
	exec 4<>"$WORK/crowd"
	become client "$ECHO" hold "$SERVER" 9400 "$crowd" <"$WORK/crowd" >"$WORK/crowd.out" 2>&1 4>&- &
	pid=$!
	wait_until 60 grep -q held "$WORK/crowd.out" || { cat "$WORK/crowd.out"; return 1; }
	kill -STOP "$(userspace client)"
	kill -KILL $pid
	wait $pid || :
	kill -CONT "$(userspace client)"
	exec 4>&-
	(($(stat client counters.event_lost) > 0)) || { echo "none lost"; return 1; }
	echo "# $(stat client counters.event_lost) events lost"
}

# report NAME CMD…: as ok, but in this shell.
report()
{
	local name=$1 status=0
	shift
	"$@" || status=$?
	tap_result "$name" $status ''
}

ulimit -n "$(ulimit -Hn)"
plan 15
hosts_up
hooker_start client
hooker_start server
background echo server "$ECHO" serve 9400
wait_until 5 on client "$ECHO" rate "$SERVER" 9400 0.1
wait_until 15 relays_idle
state "at first"
for how in blocking poll level edge; do
	report "$how writer, stopped reader: all $offer bytes" stopped_reader $how
	echo "# most held by the kernel's TCP: $PEAK KiB"
	report "... and is idle again" wait_until 15 relays_idle
	state "after $how"
done
for host in client server; do
	peak=$(stat $host relay.memory_peak_bytes)
	report "the $host never held more than the bound of one connection: $peak of $limit" test "$peak" -le $limit
done
report "$held connections at once" hold
wait_until 15 relays_idle || :
state "after them"
report "$sequence connections one after another" one_after_another
report "all are over" wait_until 15 relays_idle
state "after them"
report "$crowd connections end at once, unseen" events_lost
report "all are over" wait_until 40 relays_idle
state "after them"
