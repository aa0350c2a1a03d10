# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # root is its user's
# summary.csv: made, and shown in the terminal.

# summarise_run DIR: everything that follows from the transfers' records alone.
summarise_run() {
	"$root/build/scenarios/summarise" --effects "$1/effects.csv" --transfers "$1/transfers.csv" --lines "$1/lines.csv" \
		"$1/run.json" "$1/cells.jsonl" >"$1/summary.csv.tmp" && mv "$1/summary.csv.tmp" "$1/summary.csv"
}

# sweep_table DIR KEY VALUE…: sweep.csv of the summaries of its points, on stdout.
sweep_table() {
	local dir=$1 key=$2 value first=1
	for value in "${@:3}"; do
		awk -v first=$first -v key="$key" -v value="$value" -v OFS=, '
			NR == 1 { if (first) print "key,value", $0; next }
			{ print key, value, $0 }' "$dir/$value/summary.csv"
		first=0
	done
}

report_table() { # SUMMARY.csv
	awk -F, '
	function ms(x) { return x == "" ? "-" : sprintf("%.2f", x) }
	NR == 1 { next }
	{ row[NR] = $0; if ($8 >= 6) interval = 1; else if ($8 > 0) range = 1 }
	# Fewer than six transfers have no interval (results/README.md).
	function spread(n, low, high) { return low == "" ? "-" : (interval && n < 6 ? "range " : "") ms(low) " .. " ms(high) }
	END {
		printf "%-12s %-15s %4s %7s %11s %27s %11s  %-8s %s\n", "file", "mode", "n", "failed", "median ms", range && !interval ? "range" : "95 % interval", "d to tcp", "wire", "verdict"
		for (i = 2; i <= NR; i++) {
			$0 = row[i]
			if ($6 != last) { print ""; last = $6 }
			printf "%-12s %-15s %4d %7d %11s %27s %11s  %-8s %s\n", $6, $5, $8, $9, ms($10), spread($8, $11, $12), \
				$13 == "" || $5 == "tcp" ? "-" : sprintf("%+.2f", $13), $16 == "" ? "-" : $16, $17
		}
	}' "$1"
}
