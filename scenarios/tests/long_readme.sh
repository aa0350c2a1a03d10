#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The numbers in the README are those of results/reference, not typed.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
copy=$(mktemp -d)
defer 'rm -rf "$copy"'
mkdir -p "$copy/results" "$copy/testbed"
cp -r "$root/README.md" "$root/scenarios" "$root/plots" "$copy/"
cp -r "$root/results/reference" "$copy/results/"
cp -r "$root/testbed/lib" "$copy/testbed/" # scenarios/run needs it

plan 11
rows() { grep -c '^| [a-z0-9]*-[0-9A-Z]* | ' "$1" || true; }
is 'a row for each of the summary' "$(rows "$root/README.md")" \
	"$(($(wc -l <"$root/results/reference/paper/summary.csv") - 1))"
"$copy/scenarios/reference"
ok 'README as scenarios/reference writes it' cmp "$root/README.md" "$copy/README.md"
sed -i 's/^| text-3KB | tcp | [0-9]*/| text-3KB | tcp | 999/' "$copy/README.md"
ok 'a typed number would be noticed' test -n "$(cmp "$root/README.md" "$copy/README.md" 2>&1)"
ok 'the report of the reference as scenarios/report writes it' cmp "$root/results/reference/report.md" "$copy/results/reference/report.md"
# Many transfers at once are no larger file.
costs() { sed -n "/^## Completion time by $1\$/,/^## /p" "$root/results/reference/report.md" | grep -c '^### Fixed cost and cost a byte$' || true; }
is 'transfers of several sizes have a cost a byte' "$(costs size)" 1
is '... several transfers at once have none' "$(costs 'connections at once')" 0
claims() { grep -cE '\*\*(reproduced|exceeded|not reproduced|cannot be tested here)\*\*' "$1"; }
is 'every claim of the paper has its verdict in the README' "$(claims "$root/README.md")" \
	"$(grep -c '{id: "' "$root/scenarios/lib/report/claims.jq")"
# A verdict follows from the numbers: with others it is another.
sed -i -E 's/^(paper,[^,]*,[^,]*,[^,]*,relay-udp,([^,]*,){7})[^,]*/\155.000/' "$copy/results/reference/paper/summary.csv"
"$copy/scenarios/reference"
like 'and another if the numbers are others' "$(grep 'adds 55 ms (UDP)' "$copy/README.md")" '\*\*reproduced\*\* \|[^|]*\| relay-udp adds \+55 ms'
is 'no cell of the table in the README failed' \
	"$(awk -F, 'NR > 1 && ($9 > 0 || $17 != "ok")' "$root/results/reference/paper/summary.csv")" ''
# A fallback that ends elsewhere than on TCP is none.
fallback() {
	jq -rn -L "$root/scenarios/lib/report" --arg ended "$1" 'include "claims"; {scenarios: [{name: "fallback", state: "finished", rows: [], run: {config: {REPS: 1}}, runs: [],
		findings: [["mode"], ["tcp", "1", "ok", "3", "0", "0", "tcp", "100", ""], ["relay-udp", "1", "ok", "3", "900", "0", $ended, "100", ""]]}]}
		| claims[] | select(.id == "fallback") | "\(.verdict): \(.because)"'
}
like 'fallback: its data decide' "$(fallback tcp)" '^exceeded: 1 transfers .*longest stall 900 ms'
like 'fallback: to UDP is none' "$(fallback udp)" '^not reproduced: 1 of 1'
