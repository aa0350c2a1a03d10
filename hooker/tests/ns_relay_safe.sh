#!/usr/bin/env bash
# The relay's bounds: writers that wait, a reader that stops, limits, and nothing left behind.
# OFFER=bytes (2 GB: OFFER=2000000000), REPEATS=connections in sequence.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

PRESSURE=$ROOT/build/hooker/tests/prog_pressure
offer=${OFFER:-200000000}
repeats=${REPEATS:-200}
limit=$((16 << 20)) # --connection-memory's default
port=9100

memory_peak() { stat "$1" relay.memory_peak_bytes; }
userspace() { pgrep -P "${DAEMON[$1]}"; }
resident() { awk '/VmRSS/ { print $2 * 1024 }' "/proc/$(userspace "$1")/status"; }
descriptors() { find "/proc/$(userspace "$1")/fd" -mindepth 1 | wc -l; }

# stopped_reader HOW BYTES: every byte arrives, though the reader sleeps 3 s first.
stopped_reader()
{
	local how=$1 bytes=$2 reader started
	port=$((port + 1))
	background "read-$port" server "$PRESSURE" read $port 3000
	reader=$PID
	wait_until 5 grep -q listening "$WORK/read-$port.out"
	started=$SECONDS
	on client timeout 300 "$PRESSURE" write "$SERVER" $port "$how" "$bytes" >"$WORK/write.out" 2>&1 ||
		{ cat "$WORK/write.out"; return 1; }
	wait "$reader" || { cat "$WORK/read-$port.out"; return 1; }
	# A writer that was never held up has not been tested.
	((SECONDS - started >= 2)) || { echo "the writer did not wait"; return 1; }
	grep -qx "read $bytes" "$WORK/read-$port.out"
}

# reader_leaves: a reader that never reads closes while the window is shut: its writer gets an error, as over TCP.
reader_leaves()
{
	local status=0
	background leave server socat TCP-LISTEN:9200,reuseaddr SYSTEM:'sleep 2',nofork
	wait_until 5 listens server 9200 || return 1
	on client timeout 15 "$PRESSURE" write "$SERVER" 9200 blocking 50000000 || status=$?
	((status == 1)) || { echo "the writer ended with $status"; return 1; }
	wait_until 10 relays_idle
}

# Others connect to where the daemon connects to itself, and wait. It must go on making pairs, for more connections than
# it has made ahead.
crowd()
{
	local ports before status=0 i
	mapfile -t ports < <(pairs_ports client)
	((${#ports[@]})) || return 1
	background crowd client perl -MSocket=:all -e 'my @all;
		for my $port (@ARGV) {
			for (1 .. 300) {
				socket(my $s, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
				connect($s, sockaddr_in($port, inet_aton("127.72.75.1")));
				push @all, $s;
			}
		}
		$| = 1; print "there\n"; sleep 60' "${ports[@]}"
	local crowd=$PID
	wait_until 5 grep -q there "$WORK/crowd.out" || return 1
	before=$(stat client counters.established)
	for ((i = 0; i < 150; i++)); do
		fetch text --timeout 5 || { status=1; break; }
	done
	kill "$crowd"
	echo "$i connections"
	((status == 0 && $(stat client counters.established) == before + 150))
}

in_sequence()
{
	local i
	for ((i = 0; i < repeats; i++)); do
		fetch text || { echo "connection $i"; return 1; }
	done
}

# room_again: connections that filled --memory and are idle now do not keep others out.
room_again()
{
	local before pids=() i status=0
	hooker_stop client
	hooker_start client --memory 12M --connection-memory 12M
	background sink server socat -u TCP-LISTEN:9300,reuseaddr,fork SYSTEM:'sleep 1; cat >/dev/null'
	pids+=("$PID")
	wait_until 5 listens server 9300 || return 1
	for i in 1 2 3 4; do
		# shellcheck disable=SC2016 # for the shell there
		background "idle-$i" client bash -c 'exec 3<>/dev/tcp/$0/9300; head -c 12000000 /dev/zero >&3; echo sent; exec sleep 60' \
			"$SERVER"
		pids+=("$PID")
	done
	wait_until 5 is_full client || { echo "never full"; status=1; }
	wait_until 20 all_sent || { echo "not sent"; status=1; }
	wait_until 5 has_room client || { on client "$HOOKER" stats --json | jq .relay; status=1; }
	before=$(stat client counters.established)
	fetch text || status=1
	[[ $(stat client relay.open) == [45] && $(stat client counters.established) == $((before + 1)) ]] || status=1
	kill "${pids[@]}"
	return $status
}
is_full() { [[ $(stat "$1" relay.full) == true ]]; }
has_room() { ! is_full "$1"; }
all_sent() { (($(cat "$WORK"/idle-?.out | grep -c sent) == 4)); }

# Also once idle connections have given back their empty buffers, which they do after 0.2 s: until then those count, too.
stays_full()
{
	local since=$EPOCHREALTIME

	while awk -v since="$since" -v now="$EPOCHREALTIME" 'BEGIN { exit now - since > 0.5 }'; do
		is_full server || return 1
	done
	is_full server
}

# Two connections, one after the other, to readers that have stopped: each is given a whole window, which together is more
# than there may be. Of several at once each would be given less, and all together not too much.
refused_for_memory()
{
	local port filled=0
	hooker_stop server
	hooker_start server --memory 12M --connection-memory 12M
	for port in 9090 9091; do
		background "refused-$port" server "$PRESSURE" read $port 8000
		wait_until 5 grep -q listening "$WORK/refused-$port.out"
		background "fill-$port" client "$PRESSURE" write "$SERVER" $port blocking 30000000
		filled=$((filled + 4000000))
		wait_until 5 reaches server relay.memory_bytes $filled || { echo "never filled"; return 1; }
	done
	wait_until 5 stays_full || { echo "never full"; return 1; }
	fetch text || return 1 # in plain TCP
	on server "$HOOKER" stats --json | jq -e '.counters.no_room > 0'
}

plan 17
hosts_up
hooker_start client
hooker_start server
for how in blocking poll level edge; do
	ok "$how writer, stopped reader: all $((offer / 4)) bytes" stopped_reader $how $((offer / 4))
done
ok "$offer bytes offered to a stopped reader" stopped_reader blocking "$offer"
ok "nothing of it went in plain TCP" test "$(stat client counters.established)" = 5
for host in client server; do
	peak=$(memory_peak $host)
	ok "the $host's connections never held more than the bound: $peak of $limit" test "$peak" -le "$limit"
done
ok "edge-triggered writers were woken" test "$(stat client relay.kicks)" -gt 0
ok "all closed" wait_until 10 relays_idle
fetch text
wait_until 10 relays_idle
ok "a stopped reader closes: its writer is reset" reader_leaves
ok "a crowd at the pairs' listener" crowd
wait_until 10 relays_idle
before="$(descriptors client) $(resident client)"
ok "$repeats connections in sequence" in_sequence
ok "... leave nothing" wait_until 10 relays_idle
after="$(descriptors client) $(resident client)"
printf '# descriptors and resident bytes of the client: before %s, after %s\n' "$before" "$after"
ok "no leak" test $((${after% *} - ${before% *})) -le 300 -a $((${after#* } - ${before#* })) -le 8000000
ok "idle connections do not keep --memory full" room_again
ok "beyond --memory new connections are plain TCP" refused_for_memory
