#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The driver on this kernel: a run that is killed continues, and leaves nothing behind.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
((EUID == 0)) || skip_all 'namespaces need root'
work=$(mktemp -d)/'a path with a space'
mkdir -p "$work"
defer 'rm -rf "$(dirname "$work")"'
results=$work/results
conf=$work/t.conf
printf '%s\n' 'FILES="text-3KB:text:3072 image-2x:image:522240:2"' 'MODES="tcp tcp+xdp"' REPS=4 RTT=0 BACKEND=netns >"$conf"
start() { "$root/scenarios/run" "$conf" --results "$results" >"$work/out" 2>"$work/err"; }
# A process of its own pid, so that signals go to the driver; a shell starts what is in the background
# with SIGINT ignored, a terminal does not.
start_behind() {
	(exec env --default-signal=INT "$root/scenarios/run" "$conf" --results "$results") >"$work/out" 2>"$work/err" &
	pid=$!
}
cells() { cat "$results"/t-*/cells.jsonl 2>/dev/null | wc -l; }
at_least() { (($(cells) >= $1)); }
# What `cells` made carries the driver's pid in its name, in hexadecimal.
left() { ip netns list | grep -c "^hk-e$(printf %x "$1")-" || true; }
gone() { [[ $(left "$1") == 0 ]]; }

plan 17
start_behind
ok 'a run gets going' wait_until 120 at_least 4
kill -KILL $pid
wait $pid 2>/dev/null || :
ok 'kill -9 of the driver: its hosts go away' wait_until 60 gone $pid
done_before=$(cells)
is 'no run is finished' "$(test -e "$results/latest" && echo finished || echo no)" no

start_behind
ok 'the next run gets further' wait_until 120 at_least $((done_before + 4))
kill -INT $pid
rc=0
wait $pid || rc=$?
is 'Ctrl-C: exit 130' $rc 130
like 'says that it can be continued' "$(cat "$work/err")" 'the same command continues'
is 'nothing left' "$(left $pid)" 0

rc=0
start || rc=$?
is 'the third finishes it' $rc 0
like 'and says that it continued' "$(cat "$work/err")" 'continuing t-'
is 'in one folder' "$(find "$results" -name run.json | wc -l)" 1
result=$results/latest
is 'every cell once' "$(jq -s 'length == 20 and (map(.seq) | unique | length == 20)' "$result/cells.jsonl")" true
is 'all passed' "$(awk -F, 'NR > 1 { print $8, $9, $17 }' "$result/summary.csv" | sort -u)" '4 0 ok'
is 'two clients at once: bytes of both on the wire' \
	"$(jq -s 'map(select(.file == "image-2x")) | all(.wire.tcp_payload >= 2 * 522240)' "$result/cells.jsonl")" true
is 'captures of the first repetition are kept' "$(find "$result/pcap" -name '*-1.pcap' | wc -l)" 4
is 'nothing of the work is' "$(test -n "$(find "$result/" -name 'work*')" && echo there || echo gone)" gone
is 'run.json knows the link' "$(jq -c '[.state, .clock, .links.tcp.asked.rtt_ms, .links.tcp.measured.verified]' "$result/run.json")" \
	'["finished","real",0,true]'

# The disk is full: one clear error.
mkdir "$work/small"
mount -t tmpfs -o size=1m tmpfs "$work/small"
defer 'umount "$work/small"'
results=$work/small/results
start || :
like 'disk full: says so' "$(cat "$work/err")" 'MB free in'
