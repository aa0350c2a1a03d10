# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # root is its user's
# summary.csv: made, and shown in the terminal.

# summarise_run DIR: everything that follows from the transfers' records alone.
summarise_run() {
	"$root/build/scenarios/summarise" --effects "$1/effects.csv" --transfers "$1/transfers.csv" --lines "$1/lines.csv" \
		"$1/run.json" "$1/cells.jsonl" >"$1/summary.csv.tmp" && mv "$1/summary.csv.tmp" "$1/summary.csv"
}

report_table() { # SUMMARY.csv
	awk -F, '
	function ms(x) { return x == "" ? "-" : sprintf("%.2f", x) }
	NR == 1 { printf "%-12s %-15s %4s %7s %11s %23s %11s  %-8s %s\n", "file", "mode", "n", "failed", "median ms", "95 % interval", "d to tcp", "wire", "verdict"; next }
	$6 != last { print ""; last = $6 }
	{ printf "%-12s %-15s %4d %7d %11s %23s %11s  %-8s %s\n", $6, $5, $8, $9, ms($10), \
		$11 == "" ? "-" : ms($11) " .. " ms($12), $13 == "" || $5 == "tcp" ? "-" : sprintf("%+.2f", $13), \
		$16 == "" ? "-" : $16, $17 }' "$1"
}
