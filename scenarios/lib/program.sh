# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # here, root, result and others are those of scenarios/run
# Scenarios that are no table of transfers (PROGRAM=NAME): scenarios/NAME runs on the machine with the
# hosts in the place of `cells`, with the same WORK. What it leaves in WORK/data is the result; it ends
# with WORK/env/finished. plots/NAME.gp, or FIGURE's, draws it from data.csv.

program_main() {
	[[ -x $here/${CONFIG[PROGRAM]} ]] || die "no program '$here/${CONFIG[PROGRAM]}'"
	[[ -e $result/run.json ]] || record_start
	say "$id: ${CONFIG[PROGRAM]}, backend ${CONFIG[BACKEND]}"
	mkdir -p "$work/data"
	start_machine
	end_machine
	[[ -s $work/data/data.csv ]] || die "${CONFIG[PROGRAM]} left no data.csv"
	cp "$work"/data/* "$result/" || die "can't write in '$result': disk full?"
	record_environment
	record_state finished
	publish
	tell_outcome
}
