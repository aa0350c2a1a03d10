# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # result is that of scenarios/run
# What a result says of itself, as an exit code.

# outcome_of DIR: `ROWS FAILED PASSED`, over all tables below: summary.csv, and what in a program's data.csv or findings.csv
# has a column `status` (results/README.md).
outcome_of() {
	local -a tables
	mapfile -t tables < <(find "$1" -maxdepth 3 \( -name summary.csv -o -name data.csv -o -name findings.csv \))
	((${#tables[@]})) || { echo 0 0 0; return; }
	awk -F, '
	FNR == 1 { split("", at); for (i = 1; i <= NF; i++) at[$i] = i; next }
	"verdict" in at { rows++; failed += $at["failed"]; passed += $at["verdict"] == "ok"; next }
	!("status" in at) { next }
	{ rows++; status = $at["status"] }
	status ~ /^unsupported/ { next }
	# Damage is what a mode that accepts it is measured for; one that accepts none must not have any.
	status == "ok" || status == "identical" || (status == "damaged" && "coverage" in at && $at["coverage"] != "-") { passed++; next }
	{ failed++ }
	END { print rows + 0, failed + 0, passed + 0 }' "${tables[@]}"
}

# The exit code says whether something failed, or nothing was supported.
tell_outcome() {
	local rows failed passed why=cells.jsonl
	read -r rows failed passed < <(outcome_of "$result")
	((rows)) || return 0
	[[ ! -e $result/data.csv ]] || why='the status in data.csv or findings.csv'
	[[ ! -e $result/suite.json ]] || why='cells.jsonl, or the status in data.csv or findings.csv,'
	((failed == 0)) || die "$failed cells failed; $why says why"
	((passed)) || die "no mode is supported here" 4
}
