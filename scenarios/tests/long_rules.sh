#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# How many repetitions a run makes: the driver's own rules, fed with made-up cells one after another.
# shellcheck disable=SC2034,SC2154 # what is set here is read by the driver's parts
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
for part in modes lib/config lib/progress lib/record lib/rules; do
	# shellcheck disable=SC1090
	. "$root/scenarios/$part.sh"
done
tmp=$(mktemp -d)
defer 'rm -rf "$tmp"'
work=$tmp/work result=$tmp/result
mkdir "$work" "$result"

# made MS_OF_TCP MS_OF_RELAY…: the run ends after how many repetitions, and by what rule? Times come in turn, the last
# for ever; `x` is a transfer that failed, `u` a mode that is unsupported. As in `cells`, a repetition begins only if
# nothing said stop.
made() {
	local rep mode i
	local -a tcp relay
	read -ra tcp <<<"$1"
	read -ra relay <<<"$2"
	rm -f "$work/stop"
	precise_asked=0 collected=1
	jq -n --argjson reps "${CONFIG[REPS_MAX]}" '{scenario: "t", backend: "vm", clock: "virtual", kernel: "6.12", seed: 1, reps: $reps,
		modes: ["tcp", "relay-udp"], files: [{name: "a", bytes: 10}]}' >"$result/run.json"
	: >"$result/cells.jsonl"
	progress_start $((2 * (CONFIG[REPS_MAX] + CONFIG[WARMUP]))) 0
	for ((rep = 1 - CONFIG[WARMUP]; rep <= CONFIG[REPS_MAX]; rep++)); do
		[[ ! -e $work/stop ]] || break
		for mode in tcp relay; do
			local -n times=$mode
			i=$((rep > 0 ? rep - 1 : 0))
			cell "$mode" "$rep" "${times[i < ${#times[@]} ? i : -1]}" >>"$result/cells.jsonl"
			progress_cell ok '' 2>/dev/null
			keep_rule
		done
	done
	[[ ! -e $work/stop ]] || record_shortened "$(cat "$work/stop")"
	jq -r '"\(.reps) \(.stopped // "-") of \(.reps_asked // .reps)"' "$result/run.json"
}
cell() { # MODE REP MS
	local status=ok time=",\"eof_ns\":${3}000000" warm=false
	[[ $3 != x ]] || status=failed time=''
	[[ $3 != u ]] || status=unsupported time=''
	(($2 > 0)) || warm=true
	printf '{"seq":1,"mode":"%s","file":"a","rep":%d,"warmup":%s,"status":"%s","observed":"tcp"%s}\n' \
		"${1/relay/relay-udp}" "$2" "$warm" "$status" "$time"
}
rule() { # REPS REPS_MAX PRECISION
	config_defaults
	CONFIG[FILES]=a:text:10 CONFIG[MODES]='tcp relay-udp' CONFIG[REPS]=$1 CONFIG[REPS_MAX]=$2 CONFIG[PRECISION]=$3
	config_check
}

plan 13
rule 3 9 2%
is 'narrow from the beginning: stops when there is an interval' "$(made 100 101)" '6 precision of 9'
is 'one cell that scatters by 20 %: goes on to REPS_MAX' "$(made 100 '80 120 80 120 80 120 80 120 80')" '9 - of 9'
is 'half the width counts: 1.5 % is within 2 %' "$(made 100 '99 102 99 102 99 102')" '6 precision of 9'
# Three of six draws are the one extreme with a probability above 2.5 %, four of seven with less (binomial).
is 'and 2.5 % is not, until more repetitions make it narrow' "$(made 100 '90 100')" '7 precision of 9'
is 'each cell counts, tcp too' "$(made '80 120 80 120 80 120 80 120 80' 100)" '9 - of 9'
is 'a warm-up that was slow does not' "$(CONFIG[WARMUP]=3; made '100' '100')" '6 precision of 9'
is 'a mode that cannot be had keeps nobody waiting' "$(made 100 u)" '6 precision of 9'
is 'nor does one that always fails' "$(made 100 x)" '6 precision of 9'
is 'six transfers are needed, not six attempts' "$(made 100 'x 100 100')" '7 precision of 9'
rule 3 5 2%
is 'a REPS_MAX without an interval: all of them' "$(made 100 101)" '5 - of 5'
rule 5 5 2%
is 'REPS_MAX as REPS: exactly that many' "$(made 100 '80 120')" '5 - of 5'
rule 3 9 ''
is 'without PRECISION: REPS_MAX' "$(made 100 101)" '9 - of 9'
rule 4 2 2%
is 'a REPS_MAX below REPS is REPS' "$(made 100 101)" '4 - of 4'
