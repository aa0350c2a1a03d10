#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# results/compare on small recorded runs: what is the same, slower, faster, missing; what can't be compared.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
work=$(mktemp -d)
defer 'rm -rf "$work"'
compare=$root/results/compare
head=$(head -n1 "$root/results/reference/paper/summary.csv")

# run NAME CLOCK ROW…: a row is MODE MEDIAN LOW HIGH FAILED [N].
run() {
	local dir=$work/$1 clock=$2 row mode median low high failed n
	mkdir -p "$dir"
	echo "$head" >"$dir/summary.csv"
	for row in "${@:3}"; do
		read -r mode median low high failed n <<<"$row"
		echo "t,vm,$clock,6.12,$mode,text-3KB,3072,${n:-6},$failed,$median,$low,$high,,,,tcp,ok" >>"$dir/summary.csv"
	done
}

plan 24
run a virtual 'tcp 100 99 101 0' 'relay-udp 120 119 121 0'
run same virtual 'tcp 100.8 99.9 102 0' 'relay-udp 120 119 121 0'
run slow virtual 'tcp 100 99 101 0' 'relay-udp 130 129 131 0'
run fast virtual 'tcp 100 99 101 0' 'relay-udp 110 109 111 0'
run fails virtual 'tcp 100 99 101 0' 'relay-udp 120 119 121 2'
run less virtual 'tcp 100 99 101 0'
run real real 'tcp 100 99 101 0'
exits 'overlapping intervals: no difference' 0 "$compare" "$work/a" "$work/same"
like 'says so, and by how much the median moved' "$TAP_OUT" 'tcp .*\+0\.80 %.* same'
exits 'a slower cell: 1' 1 "$compare" "$work/a" "$work/slow"
like 'named' "$TAP_OUT" 'relay-udp .*\+8\.33 %.* slower'
exits 'a faster one: 0' 0 "$compare" "$work/a" "$work/fast"
like 'named' "$TAP_OUT" 'relay-udp .*-8\.33 %.* faster'
exits 'a cell that fails: 1' 1 "$compare" "$work/a" "$work/fails"
exits 'a cell that is missing: 1' 1 "$compare" "$work/a" "$work/less"
like 'named' "$TAP_OUT" 'relay-udp,text-3KB: only in A'
exits 'two clocks: refused' 2 "$compare" "$work/a" "$work/real"
like 'says why' "$TAP_OUT" 'two clocks'
exits 'moved by more than is allowed: 1' 1 "$compare" --within 0.5% "$work/a" "$work/same"
exits 'by less: 0' 0 "$compare" --within 1% "$work/a" "$work/same"
exits 'the reference with itself' 0 "$compare" --within 0% "$root/results/reference/paper" "$root/results/reference/paper"

# Five transfers have no 95 % interval: what lies apart may do so by chance.
run few virtual 'tcp 100 99 101 0 5' 'relay-udp 120 119 121 0 5'
run fewslow virtual 'tcp 100 99 101 0 5' 'relay-udp 130 129 131 0 5'
run partly virtual 'tcp 100 99 101 0 3' 'relay-udp 130 129 131 0'
run failing virtual 'tcp 100 99 101 0 5' 'relay-udp 120 119 121 1 5'
exits 'five transfers: nothing is decided, so no success' 2 "$compare" "$work/few" "$work/fewslow"
like 'says too few' "$TAP_OUT" 'relay-udp .*\+8\.33 %.* too few'
is 'and not slower' "$(grep -c slower <<<"$TAP_OUT")" 0
like 'what it shows is a range' "$TAP_OUT" 'range 129\.00 \.\. 131\.00'
exits 'too few in one of the two is too few' 2 "$compare" "$work/few" "$work/slow"
exits 'some cells can be decided: by those' 1 "$compare" "$work/a" "$work/partly"
like 'the others are named' "$TAP_OUT" 'tcp .* too few'
exits 'a failure needs no interval' 1 "$compare" "$work/few" "$work/failing"
exits 'nor does --within: moved by more' 1 "$compare" --within 5% "$work/few" "$work/fewslow"
exits 'nor does --within: by less' 0 "$compare" --within 10% "$work/few" "$work/fewslow"
