# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What the person at the terminal sees while cells run.

progress_start() { # CELLS_IN_ALL CELLS_DONE_BEFORE
	progress_total=$1 progress_done=$2 progress_new=0 progress_failed=0 progress_since=$SECONDS
}

progress_cell() { # STATUS TEXT
	local status=$1 line=$2
	progress_done=$((progress_done + 1))
	progress_new=$((progress_new + 1))
	if [[ $status == failed ]]; then
		progress_failed=$((progress_failed + 1))
		[[ -t 2 ]] && printf '\r\033[K' >&2
		printf '  failed: %s\n' "$line" >&2
	fi
	local left=$(((progress_total - progress_done) * (SECONDS - progress_since) / progress_new))
	local text
	text=$(printf '%d/%d cells, %d failed, %d:%02d left' "$progress_done" "$progress_total" \
		"$progress_failed" $((left / 60)) $((left % 60)))
	if [[ -t 2 ]]; then
		printf '\r\033[K  %s   %s' "$text" "$line" >&2
	elif ((progress_done % 25 == 0 || progress_done == progress_total)); then
		printf '  %s\n' "$text" >&2
	fi
}

# progress_spent CELLS BUDGET: would that many more cells end later than BUDGET seconds after the start?
# The average is only taken for true after three times as many: cells differ in length, repetitions hardly.
progress_spent() {
	((progress_new >= 3 * $1)) &&
		((SECONDS - progress_since + (SECONDS - progress_since) * $1 / progress_new >= $2))
}

progress_end() { if [[ -t 2 ]]; then printf '\n' >&2; fi; }
