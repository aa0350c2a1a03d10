# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The order of cells: all modes of a file stand together within a repetition (so that what drifts,
# drifts for all), shuffled by the seed. Same configuration, same plan: that is what resuming needs.

# plan_make REPS: lines `SEQ REP WARMUP MODE FILE BYTES PARALLEL PHASE_US`, tab separated, on stdout.
plan_make() {
	awk -v seed="${CONFIG[SEED]}" -v warmup="${CONFIG[WARMUP]}" -v reps="$1" \
		-v modes="${CONFIG[MODES]}" -v files="${CONFIG[FILES]}" -v fewer="${CONFIG[FEWER]}" '
	# Park and Miller, 1988: awk implementations differ in rand().
	function random(n) { state = (state * 16807) % 2147483647; return int(state / 2147483647 * n) }
	function shuffle(a, n,   i, j, t) {
		for (i = n; i > 1; i--) { j = 1 + random(i); t = a[i]; a[i] = a[j]; a[j] = t }
	}
	BEGIN {
		state = (seed * 48271 + 11) % 2147483646 + 1
		nm = split(modes, mode, " ")
		nf = split(files, file, " ")
		for (m = split(fewer, list, " "); m; m--) { split(list[m], part, ":"); most[part[1]] = part[2] }
		for (rep = 1 - warmup; rep <= reps; rep++) {
			shuffle(file, nf)
			for (f = 1; f <= nf; f++) {
				shuffle(mode, nm)
				part[4] = ""
				split(file[f], part, ":")
				for (m = 1; m <= nm; m++) {
					if (mode[m] in most && rep > most[mode[m]]) continue
					printf "%05d\t%d\t%s\t%s\t%s\t%d\t%d\t%d\n", ++seq, rep, rep < 1 ? "true" : "false", \
						mode[m], part[1], part[3], part[4] ? part[4] : 1, random(50000)
				}
			}
		}
	}'
}

# plan_left PLAN CELLS: what CELLS does not hold yet.
plan_left() {
	jq -r '.seq' "$2" 2>/dev/null | awk -F'\t' 'FILENAME == "-" { done[$1 + 0]; next } !($1 + 0 in done)' - "$1"
}
