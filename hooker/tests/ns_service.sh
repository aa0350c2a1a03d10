#!/usr/bin/env bash
# Hooker as a service, as systemd and its journal see it; metrics by a Unix socket; the live table on a terminal.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

notified() { grep -q "$1" "$WORK/notified"; }
drawn() { (($(grep -c $'\e\[H\e\[J' "$WORK/screen") >= 3)); }
ended() { ! kill -0 "$1" 2>/dev/null; }

plan 11
hosts_up
cgroup=${CGROUP[client]}
socat -u "UNIX-RECV:$WORK/notify" "OPEN:$WORK/notified,creat,append" &
defer "kill $! 2>/dev/null"
wait_until 5 test -S "$WORK/notify" || bail "nobody listens for notifications"

# ---- what a service manager starts: stderr is the journal's
printf 'datapath kernel\nmetrics unix:%s\n' "$WORK/metrics.sock" >"$WORK/hooker.conf"
: >"$WORK/service.out"
stream=$(command stat -c %d:%i "$WORK/service.out")
background service client env "NOTIFY_SOCKET=$WORK/notify" "JOURNAL_STREAM=$stream" \
	"$HOOKER" run --interface eth0 --cgroup "$cgroup" --config "$WORK/hooker.conf"
ok "the service manager hears when it is ready" wait_until 10 notified '^READY=1'
ok "... and what it does" notified '^STATUS=Redirects by the kernel datapath'
printf 'fly high\n' >"$WORK/hooker.conf"
exits "a reload that is refused" 2 on client "$HOOKER" reload
like "the journal gets priorities, no prefix of ours" "$(grep -v -e '^ready' "$WORK/service.out" | cut -c1-3 | sort -u | tr '\n' ' ')" \
	'^(<[3467]> ?)+$'
ok "... a warning as one" grep -q '^<4>' "$WORK/service.out"
ok "metrics by a Unix socket" curl -sf --unix-socket "$WORK/metrics.sock" -o "$WORK/metrics" http://hooker/metrics
ok "... are metrics" grep -q '^hooker_connections_redirected_total 0$' "$WORK/metrics"

# ---- a terminal
TERM=xterm "$ROOT/testbed/testbed" exec client -- script -qfec "'$HOOKER' flows --watch=0.2" "$WORK/screen" </dev/null >/dev/null 2>&1 &
watcher=$!
ok "flows --watch draws its screen again and again" wait_until 10 drawn
kill -TERM "$watcher"
ok "... until it is ended" wait_until 10 ended "$watcher"

kill "$PID"
wait "$PID" || :
ok "it says that it stops" wait_until 5 notified '^STOPPING=1'
ok "and leaves no socket" test ! -e "$WORK/metrics.sock"
