#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The driver without a machine: scenario files, the plan, the summary, figures, report, wrong input.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
work=$(mktemp -d)
defer 'rm -rf "$work"'
run=$root/scenarios/run

conf() { printf '%s\n' "$@" >"$work/t.conf"; }

confs=("$root"/scenarios/*.conf)
plan $((39 + ${#confs[@]}))
conf '# a comment' '' 'FILES="a:text:10"' '  REPS = 3' 'COLOUR=red'
exits 'a key with a space: usage' 2 "$run" "$work/t.conf" --list
like 'names file and line' "$TAP_OUT" "t.conf:4: unknown key 'REPS '"
conf 'FILES="a:text:10"' 'COLOUR=red'
exits 'an unknown key: usage' 2 "$run" "$work/t.conf" --list
like 'names file, line and key' "$TAP_OUT" "t.conf:2: unknown key 'COLOUR'; known: .*FILES"
conf 'FILES="a:text:10"' 'no equals sign'
exits 'a line that is none: usage' 2 "$run" "$work/t.conf" --list
conf 'FILES="a:sound:10"'
exits 'a bad file: usage' 2 "$run" "$work/t.conf" --list
conf 'FILES="a:text:10"' 'MODES="tcp carrier-pigeon"'
exits 'an unknown mode: usage' 2 "$run" "$work/t.conf" --list
like 'lists the known ones' "$TAP_OUT" "unknown mode 'carrier-pigeon'; known: tcp "
conf 'FILES="a:text:10"' 'MODES="tcp relay-udp"' REPS=3 WARMUP=1 'FEWER="tcp:1"'
exits 'FEWER' 0 "$run" "$work/t.conf" --list
is 'has its mode less often' "$(cut -f2,4 <<<"$TAP_OUT" | sort | tr '\t\n' '  ')" '0 relay-udp 0 tcp 1 relay-udp 1 tcp 2 relay-udp 3 relay-udp '
conf 'FILES="a:text:10"' 'MODES="relay-udp"' 'FEWER="tcp:1"'
exits 'FEWER of a mode that is not there: usage' 2 "$run" "$work/t.conf" --list
exits 'an unknown scenario: usage' 2 "$run" nowhere --list
like 'lists those there are' "$TAP_OUT" 'paper.conf'
exits 'an unknown option: usage' 2 "$run" --colour
exits 'REPS must be a number' 2 "$run" paper --reps many --list
exits 'REPS must not be 0' 2 "$run" paper --reps 0 --list
exits 'BACKEND must be known' 2 "$run" paper --backend cloud --list
exits 'help: 0' 0 "$run" --help
for conf in "$root"/scenarios/*.conf; do
	"$run" "$conf" --list >"$work/plan" || : >"$work/plan"
	ok "$(basename "$conf") is a scenario" test -s "$work/plan"
done

"$run" paper --reps 20 --list >"$work/plan"
is 'paper: 6 modes, 3 files, 21 rounds' "$(wc -l <"$work/plan")" $((6 * 3 * 21))
is 'each cell once' "$(cut -f2,4,5 "$work/plan" | sort | uniq -d | wc -l)" 0
is 'the modes of a file stand together' "$(cut -f2,5 "$work/plan" | uniq | wc -l)" 63
ok 'but not always in the same order' test "$(awk -F'\t' '{ o = o " " $4 } NR % 6 == 0 { print o; o = "" }' "$work/plan" | sort -u | wc -l)" -gt 30
"$run" paper --reps 20 --list >"$work/again"
ok 'same seed, same plan' cmp "$work/plan" "$work/again"
"$run" paper --reps 20 --seed 2 --list >"$work/again"
is 'another seed, another plan' "$(cmp -s "$work/plan" "$work/again" || echo differs)" differs
ok 'phases are spread over 50 ms' awk -F'\t' '{ s += $8; if ($8 < 0 || $8 >= 50000) bad = 1 } END { exit bad || s / NR < 22000 || s / NR > 28000 }' "$work/plan"

# A recorded run: tcp 100 ms, relay-udp 101 to 103 ms, one failure, one mode unsupported.
result=$work/r
mkdir "$result"
jq -n '{schema: 1, id: "t-1", scenario: "t", title: "A <test> & more", state: "finished", started: "2026-01-01T00:00:00Z",
	finished: "2026-01-01T00:01:00Z", wall_s: 60, argv: "scenarios/run t", commit: "0123456789abcdef", dirty: false, backend: "vm",
	clock: "virtual", kernel: "6.12", modes: ["tcp", "relay-udp", "kernel-udp"], files: [{name: "text-3KB", bytes: 3072}],
	reps: 3, warmup: 1, seed: 1, send: "send", config: {}, host: {cpu: "c", cpus: 2, os: "o", kernel: "k"}, tools: {}, vm: null, links: {},
	sysctls: {}}' >"$result/run.json"
cell() { jq -nc --arg m "$1" --argjson r "$2" --argjson ms "$3" --arg s "$4" --arg o "$5" '{seq: 1, mode: $m, file: "text-3KB", rep: $r,
	warmup: ($r == 0), status: $s, eof_ns: ($ms * 1e6), observed: $o}'; }
{
	cell tcp 0 900 ok tcp
	for i in 1 2 3; do
		cell tcp $i 10$i ok tcp
		cell kernel-udp $i 0 unsupported none
	done
	cell relay-udp 1 103 ok udp
	cell relay-udp 2 103 ok udp
	cell relay-udp 3 999 failed tcp
} >"$result/cells.jsonl"
printf '{"seq":99,"mode":"re' >>"$result/cells.jsonl" # killed while it wrote
ok 'redraw' "$root/scenarios/redraw" "$result"
is 'summary.csv: the columns of the schema' "$(head -n1 "$result/summary.csv")" \
	scenario,backend,clock,kernel,mode,file,bytes,n,failed,median_ms,ci95_low_ms,ci95_high_ms,delta_ms,delta_ci95_low_ms,delta_ci95_high_ms,observed_protocol,verdict
is 'tcp: warm-up not counted' "$(sed -n 2p "$result/summary.csv")" \
	t,vm,virtual,6.12,tcp,text-3KB,3072,3,0,102.000,101.000,103.000,0.000,0.000,0.000,tcp,ok
is 'relay-udp: deltas paired by repetition, failures counted' "$(sed -n 3p "$result/summary.csv")" \
	t,vm,virtual,6.12,relay-udp,text-3KB,3072,2,1,103.000,103.000,103.000,1.500,1.000,2.000,mixed,failed
is 'kernel-udp: unsupported, neither passed nor failed' "$(sed -n 4p "$result/summary.csv")" \
	t,vm,virtual,6.12,kernel-udp,text-3KB,3072,0,0,,,,,,,,unsupported
ok 'Figure 6 is there' test -s "$result/fig6.svg" -a -s "$result/fig6.pdf"
jq '.fewer = {"relay-udp": 2}' "$result/run.json" >"$work/fewer.json"
is 'a mode that has fewer repetitions is complete with those' "$("$root/build/scenarios/summarise" "$work/fewer.json" \
	<(sed '/999/d' "$result/cells.jsonl") | sed -n 's/.*,relay-udp,.*,//p')" ok
like 'the page escapes what it shows' "$(cat "$result/report.html")" 'A &lt;test&gt; &amp; more'
# What begins with # or is quoted as an anchor lies within the page.
is 'the page needs nothing from elsewhere' "$(grep -cE 'src=|href=.?[a-z/.]|@import|url\([^#]' "$result/report.html" || true)" 0
like 'and holds the figure' "$(cat "$result/report.html")" '<svg'
md5sum "$result"/* >"$work/sums"
"$root/scenarios/redraw" "$result" >/dev/null
ok 'drawn again: the same bytes' md5sum --quiet -c "$work/sums"
printf 'nonsense\n' >>"$result/cells.jsonl"
exits 'a line that is no cell: failed' 1 "$root/build/scenarios/summarise" "$result/run.json" "$result/cells.jsonl"
like 'names file and line' "$TAP_OUT" 'cells.jsonl:[0-9]+: not a cell'
exits 'summarise without arguments: usage' 2 "$root/build/scenarios/summarise"
