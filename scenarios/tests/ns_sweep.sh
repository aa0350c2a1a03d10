#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# A sweep on this kernel: its points one by one, two at once, by workers over (what stands for) ssh; what is merged,
# and what is refused.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
((EUID == 0)) || skip_all 'namespaces need root'
type -P parallel >/dev/null || skip_all 'no parallel: make deps installs it'
work=$(mktemp -d)
defer 'rm -rf "$work"'
conf=$work/s.conf
printf '%s\n' 'FILES="text-3KB:text:3072"' 'MODES="tcp"' REPS=2 WARMUP=0 BACKEND=netns 'SWEEP="SEND send sendfile"' >"$conf"
start() { "$root/scenarios/run" "$conf" --results "$work/results" "$@" >"$work/out" 2>"$work/err"; }
result() { readlink -f "$work/results/latest"; }

plan 19
rc=0
start || rc=$?
is 'a sweep: one point after the other' "$rc" 0
((rc == 0)) || sed 's/^/# /' "$work/err"
one=$(result)
is 'sweep.csv: key and value before the columns of summary.csv' "$(head -n1 "$one/sweep.csv")" "key,value,$(head -n1 "$one/send/summary.csv")"
is 'a row a point, mode and file' "$(cut -d, -f1,2,7,8,10,19 "$one/sweep.csv" | tail -n +2 | tr '\n' ' ')" \
	'SEND,send,tcp,text-3KB,2,ok SEND,sendfile,tcp,text-3KB,2,ok '
ok 'each point is a run' test "$(jq -r .state "$one/send/run.json")" = finished -a "$(jq -r .send "$one/sendfile/run.json")" = sendfile
ok 'the figure is there' test -s "$one/fig-s.svg" -a -s "$one/fig-s.pdf"
ok 'and the report, with the figure in it' grep -q '<svg' "$one/report.html"
md5sum "$one"/*.{csv,svg,pdf,html,md} >"$work/sums"
"$root/scenarios/redraw" "$one" >/dev/null
ok 'drawn again: the same bytes' md5sum --quiet -c "$work/sums"

# Interrupted after its first point: only the second is made again.
jq '.state = "running"' "$one/sweep.json" >"$work/j" && cp "$work/j" "$one/sweep.json"
rm -r "$one/sendfile" "$one/sweep.csv"
first=$(stat -c %Y "$one/send/cells.jsonl")
start || :
like 'the same command continues' "$(cat "$work/err")" 'continuing s-'
is 'and makes nothing twice' "$(result) $(stat -c %Y "$one/send/cells.jsonl")" "$one $first"

rc=0
start --new --jobs 2 || rc=$?
is 'two points at once' "$rc $(cut -d, -f2 "$(result)/sweep.csv" | tr '\n' ' ')" '0 value send sendfile '

# What stands for ssh runs the command here, as a machine of its own whose results are elsewhere, and whose
# environment is as bare as ssh's can be.
cat >"$work/ssh" <<-'END'
	#!/bin/bash
	while [[ $1 == -* ]]; do shift; done
	echo "$1" >>"${0%/*}/hosts"
	shift
	[[ $1 != -- ]] || shift
	exec env -u SHELL bash -c "$*"
END
chmod +x "$work/ssh"
rc=0
SCENARIOS_SSH=$work/ssh start --new --workers 1/one,1/two || rc=$?
is 'by two workers' "$rc $(cut -d, -f2 "$(result)/sweep.csv" | tr '\n' ' ')" '0 value send sendfile '
((rc == 0)) || sed 's/^/# /' "$work/err"
is 'both had work' "$(sort -u "$work/hosts" | tr '\n' ' ')" 'one two '

# A point of other programs, or by another clock, is not merged with these.
two=$(result)
spoil() { jq "$1" "$two/send/run.json" >"$work/j" && cp "$work/j" "$two/send/run.json"; jq '.state = "running"' "$two/sweep.json" >"$work/j" && cp "$work/j" "$two/sweep.json"; }
spoil '.fingerprint = "0"'
start --into "$two" || :
like 'of other programs: refused' "$(cat "$work/err")" 'other programs or another configuration'
spoil ".fingerprint = \"$(jq -r .fingerprint "$one/send/run.json")\" | .clock = \"virtual\""
start --into "$two" || :
like 'by another clock: refused' "$(cat "$work/err")" 'clocks are never mixed'
exits 'a key that is none: usage' 2 "$root/scenarios/run" "$conf" --set 'SWEEP=COLOUR red' --list

# A signal to the driver alone, as a supervisor sends it: all of it ends, within the time that taking hosts down takes.
runs() { pgrep -f "scenarios/run.*$work/ended" || :; }
no_runs() { [[ -z $(runs) ]]; }
under_way() { (($(cat "$work/ended"/s-*/send*/cells.jsonl 2>/dev/null | wc -l) > 0)); }
for jobs in 1 2; do
	(exec "$root/scenarios/run" "$conf" --results "$work/ended" --new --set REPS=1000 --jobs $jobs) >"$work/out" 2>"$work/err" &
	pid=$!
	wait_until 60 under_way || sed 's/^/# /' "$work/err"
	kill -TERM $pid
	rc=0
	wait $pid || rc=$?
	is "$jobs at a time: TERM ends the driver" $rc 143
	ok "$jobs at a time: and everything it started" wait_until 30 no_runs
	rm -rf "$work/ended"
done
