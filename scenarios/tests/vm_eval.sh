#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# A tiny evaluation in a virtual machine, killed while it sets up and continued (with cells done: ns_run.sh): 50 ms, each
# datapath and transport once (all modes: ns_smoke.sh here, make vmtest elsewhere).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
vm_or_skip
work=$(mktemp -d)
defer 'rm -rf "$work"'
results=$work/results
printf '%s\n' 'FILES="text-3KB:text:3072 image-510KB:image:522240"' \
	'MODES="tcp tcp+xdp relay-udplite kernel-udp"' RTT=50ms REPS=2 WARMUP=0 >"$work/tiny.conf"
start() { "$root/scenarios/run" "$work/tiny.conf" --results "$results" >"$work/out" 2>"$work/err"; }
sets_up() { grep -qs 'setting up tcp' "$results"/tiny-*/work-*/machine.err; }
guests() { pgrep -fc "qemu-system.*$results" || true; }

plan 14
(exec "$root/scenarios/run" "$work/tiny.conf" --results "$results") >"$work/out" 2>"$work/err" &
pid=$!
ok 'an evaluation gets going' wait_until 500 sets_up
kill -KILL $pid
wait $pid 2>/dev/null || :
no_guest() { [[ $(guests) == 0 ]]; }
ok 'kill -9 of the driver: the guest goes away' wait_until 60 no_guest

rc=0
start || rc=$?
is 'the same command finishes it: no failed cell' "$rc" 0
((rc == 0)) || sed 's/^/# /' "$work/err"
like 'by continuing' "$(cat "$work/err")" 'continuing tiny-'
result=$results/latest
is 'the columns of summary.csv' "$(head -n1 "$result/summary.csv")" \
	scenario,backend,clock,kernel,mode,file,bytes,n,failed,median_ms,ci95_low_ms,ci95_high_ms,delta_ms,delta_ci95_low_ms,delta_ci95_high_ms,observed_protocol,verdict
is 'a row a mode and file' "$(awk 'END { print NR - 1 }' "$result/summary.csv")" 8
is 'each says ok or unsupported' "$(awk -F, 'NR > 1 && $17 !~ /^(ok|unsupported)$/' "$result/summary.csv")" ''
is 'what passed was seen on the asked transport' "$(jq -s 'map(select(.status == "ok")) | all(.asked == .observed)' "$result/cells.jsonl")" true
ok 'TCP takes two round trips for 3 KB, four to eight for 510 KB' awk -F, '
	$5 == "tcp" && $7 == 3072 { small = $10 >= 100 && $10 < 115 }
	$5 == "tcp" && $7 > 3072 { large = $10 >= 200 && $10 < 420 }
	END { exit !(small && large) }' "$result/summary.csv"
for file in run.json report.html report.md fig6.svg fig6.pdf commands.log; do test -s "$result/$file" || echo $file; done >"$work/missing"
is 'every file is there' "$(cat "$work/missing")" ''
is 'run.json knows clock, kernel package, link' "$(jq -c '[.clock | IN("virtual", "real")] + [.vm.kernel.package, .links.tcp.measured.rtt_ms.avg | . != null]' "$result/run.json")" \
	'[true,true,true]'
is 'schema' "$(jq .schema "$result/run.json")" 1
is 'no guest is left' "$(guests)" 0

# What is measured must not depend on being watched: with the capture behind the delay these scattered by 10 %.
printf '%s\n' 'FILES="video-26MB:video:27262976"' MODES=tcp RTT=50ms REPS=5 >"$work/same.conf"
"$root/scenarios/run" "$work/same.conf" --results "$work/same" >"$work/out" 2>"$work/err" || sed 's/^/# /' "$work/err"
if [[ $(jq -r .clock "$work/same/latest/run.json") == virtual ]]; then
	ok 'in virtual time five transfers of 26 MB lie within 4 %' awk -F, '
		NR > 1 { if (!n++ || $3 < low) low = $3; if ($3 > high) high = $3 }
		END { printf "%d transfers, %s to %s ms\n", n, low, high; exit !(n == 5 && high < low * 1.04) }' "$work/same/latest/transfers.csv"
else
	skip 'in virtual time five transfers of 26 MB lie within 4 %' 'real time here'
fi
