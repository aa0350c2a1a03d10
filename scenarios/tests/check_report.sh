#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# What the report says of its sources: every scenario the run that it is of, and no interval where there are too few
# transfers for one.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
work=$(mktemp -d)
defer 'rm -rf "$work"'
reference=$root/results/reference
mkdir "$work/r"
# The report reads no transfers but the paper's, whose wire it shows.
tar -cf - -C "$reference" --exclude=cells.jsonl --exclude=transfers.csv --exclude=report.md --exclude='*.svg' . | tar -xf - -C "$work/r"
page=$work/r/report.md
report() { "$root/scenarios/report" "$work/r"; }
mapfile -t names < <(jq -r '.scenarios[]' "$work/r/suite.json")
# section NAME: what stands under its heading.
section() {
	local title
	title=$(jq -rs '.[0].title' "$work/r/$1"/{sweep,run}.json 2>/dev/null)
	awk -v head="## $title" '/^## / { on = $0 == head } on' "$page"
}
# runs NAME: its run.json, of each point if it is a sweep.
runs() { find "$work/r/$1" -name run.json; }
told() { section "$1" | grep '^Measured '; }
row_of() { grep -F "| $1" "$page"; } # CLAIM

# with_n CSV N [MODE]: as if each row, or that mode's, had so many transfers.
with_n() {
	awk -F, -v OFS=, -v n="$2" -v mode="${3-}" '
	NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
	NR > 1 && (mode == "" || $at["mode"] == mode) { $at["n"] = n }
	1' "$work/r/$1" >"$work/csv"
	mv "$work/csv" "$work/r/$1"
}
edit() { # JSON FILTER
	jq "$2" "$work/r/$1" >"$work/json"
	mv "$work/json" "$work/r/$1"
}

# Whatever the reference is of when this runs.
with_n paper/summary.csv 20
with_n size/summary.csv 3
with_n loss/sweep.csv 3
with_n kernels/sweep.csv 3
with_n lossmatrix/sweep.csv 20
with_n lossmatrix/sweep.csv 2 tcp
edit startup/run.json '.config.REPS = "4"'
edit bench/machine.json '.load_before = 3.24'
cat >"$work/r/fallback/findings.csv" <<'END'
mode,rep,status,seconds,stall_udp_ms,stall_udplite_ms,ended_on,next_ms,reason
tcp,1,ok,10.669,105,23,tcp,101.75,-
kernel-udp,1,ok,11.63,671,120,tcp,101.79,blackhole
relay-udp,1,ok,11.788,1016,104,tcp,101.79,peer-fell-back
END
plan $((${#names[@]} + 16))
report
for name in "${names[@]}"; do
	missing=''
	while IFS= read -r file; do
		for key in '.commit[0:12]' .kernel; do
			value=$(jq -r "$key" "$file")
			[[ $(told "$name") == *"$value"* ]] || missing+=" $value"
		done
	done < <(runs "$name")
	is "$name: its own commit and kernels" "$missing" ''
done
like 'a table of transfers: n' "$(told paper)" ', n = 20, '
like 'a program: repetitions' "$(told startup)" ', n = 4, '
like 'modes repeated less often' "$(told lossmatrix)" 'n = 2 \(tcp\), 20 \(relay-udp, relay-udplite\)'
like 'the tables of a sweep say n' "$(section loss)" 'Medians in ms, by LOSS, n = 3:'
like 'Table 1 says of which scenario it is' "$(grep -A 2 '^## Table 1' "$page")" 'Of scenario paper'
like 'a verdict names its runs' "$(row_of 'They are redirected to UDP-Lite')" 'paper: commit [0-9a-f]{12}, n = 20; kernels: commit [0-9a-f]{12}, n = 3'
like 'enough transfers: an interval' "$(section paper)" '\| median ms \| 95 % interval \|'
like 'too few: a range' "$(section size)" '\| median ms \| range \|'
is 'and no interval' "$(section size | grep -c '95 %' || :)" 0
like 'a benchmark on a busy machine: said' "$(grep -A 2 '^## Table 2' "$page")" 'load average was 3.24'

# Of the paper's scenario three transfers of one mode; a mode of fallback that this kernel does not have.
with_n paper/summary.csv 3 relay-udp
echo 'relay-udplite,4,unsupported hooker on client; exit 4,,,,,,' >>"$work/r/fallback/findings.csv"
edit bench/machine.json '.load_before = 0.4'
report
like 'among intervals a range is called one' "$(section paper | grep 'text-3KB | relay-udp ')" '\| range [0-9.]+ … [0-9.]+ \| [^|]+ \| range '
like 'no claim is judged by a range' "$(row_of 'The other part is redirection')" 'cannot be tested here.*n = 3 is too few'
like 'nor is one that compares with it' "$(row_of 'Going back into the kernel')" 'cannot be tested here.*n = 3 is too few'
like 'fallback: what is unsupported is no failure' "$(row_of 'Fallback to TCP is needed')" '\*\*exceeded\*\*.*2 transfers'
is 'a benchmark on an idle machine: nothing said' "$(grep -c 'load average' "$page" || :)" 0

# A report of one sweep: its table of the testbed is of one point, and a link that spoils packets is not measured.
"$root/scenarios/report" "$work/r/lossmatrix" >/dev/null 2>&1
like 'Table 1 of a sweep: which point' "$(grep '^| Link ' "$work/r/lossmatrix/report.md")" 'first point of the sweep: RTT 50 ms asked, not measured; loss 0 %'
