# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # root, work, result, collected and others are those of scenarios/run
# When a run ends before REPS_MAX: BUDGET, the time; PRECISION, the intervals.

# The guest is told to begin no further repetition: a repetition is whole or not begun.
keep_rule() {
	local each=$(($(wc -w <<<"${CONFIG[MODES]}") * $(wc -w <<<"${CONFIG[FILES]}")))

	[[ ! -e $work/stop ]] || return 0
	if ((CONFIG[BUDGET])) && progress_spent "$each" "${CONFIG[BUDGET]}"; then
		echo budget >"$work/stop"
	elif [[ ${CONFIG[PRECISION]} ]] && ((collected)) && precise_enough "$each"; then
		echo precision >"$work/stop"
	fi
}

# precise_enough CELLS: after REPS whole repetitions of that many, is each interval's half width at most PRECISION of
# its median? Fewer than six transfers have none (results/README.md). Asked once a repetition.
precise_enough() {
	local whole
	whole=$(($(wc -l <"$result/cells.jsonl") / $1 - CONFIG[WARMUP]))
	((whole >= CONFIG[REPS] && whole > ${precise_asked:-0})) || return 1
	precise_asked=$whole
	"$root/build/scenarios/summarise" "$result/run.json" "$result/cells.jsonl" |
		awk -F, -v most="${CONFIG[PRECISION]%\%}" 'NR > 1 && $10 != "" && ($8 < 6 || ($12 - $11) / 2 > $10 * most / 100) { wide = 1 } END { exit wide }'
}
