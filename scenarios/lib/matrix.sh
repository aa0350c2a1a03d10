# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What works where: of the smoke test's TAP, one row for a kernel and one column for a mode.

# matrix_row KERNEL: TAP on stdin; lines KERNEL MODE STATUS WHY, tab separated. A mode is as bad as its
# worst file; a run without any result is a row of its own.
matrix_row() {
	awk -v kernel="$1" '
	function worse(mode, status, why) {
		if (!(mode in rank)) order[++modes] = mode
		if (rank[mode] >= status) return
		rank[mode] = status
		reason[mode] = why
	}
	# The lines of cells: "ok 3 - MODE FILE: byte-exact, …".
	/^(not )?ok [0-9]+ - [a-z+@-]+ [^ ]+: byte-exact/ {
		bad = /^not /
		mode = bad ? $5 : $4
		why = ""
		if (match($0, /# SKIP /)) why = substr($0, RSTART + 7)
		worse(mode, bad ? 3 : why != "" ? 2 : 1, why)
		if (bad) waiting = mode
		next
	}
	# What `is` says of a failure: "# got REASON, expected …".
	waiting != "" && /^# / {
		why = substr($0, 3)
		sub(/^got ./, "", why)
		sub(/., expected ..$/, "", why)
		reason[waiting] = why
		waiting = ""
	}
	END {
		split("ok unsupported failed", words, " ")
		for (i = 1; i <= modes; i++)
			printf "%s\t%s\t%s\t%s\n", kernel, order[i], words[rank[order[i]]], reason[order[i]]
		if (!modes) printf "%s\t(none)\tfailed\tthe smoke test did not run\n", kernel
	}'
}

# matrix_print: rows on stdin, as a table; why anything is not ok stands below it.
matrix_print() {
	awk -F'\t' '
	{
		if (!($1 in known)) { known[$1] = 1; kernels[++nk] = $1 }
		if ($2 != "(none)" && !($2 in seen)) { seen[$2] = 1; modes[++nm] = $2 }
		cell[$1, $2] = $3
		if ($3 != "ok") notes[++nn] = sprintf("Linux %s, %s, %s: %s", $1, $2, $3, $4)
	}
	function width(mode) { return length(mode) > 11 ? length(mode) : 11 }
	END {
		for (i = 2; i <= nm; i++) # by name: the order of a run is shuffled
			for (j = i; j > 1 && modes[j - 1] > modes[j]; j--) {
				swap = modes[j]; modes[j] = modes[j - 1]; modes[j - 1] = swap
			}
		printf "%-8s", "Linux"
		for (i = 1; i <= nm; i++) printf "  %-*s", width(modes[i]), modes[i]
		print ""
		for (k = 1; k <= nk; k++) {
			printf "%-8s", kernels[k]
			for (i = 1; i <= nm; i++)
				printf "  %-*s", width(modes[i]), \
					(kernels[k], modes[i]) in cell ? cell[kernels[k], modes[i]] : "-"
			print ""
		}
		for (i = 1; i <= nn; i++) print notes[i]
	}' | sed 's/ *$//'
}
