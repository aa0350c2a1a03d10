# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2004,SC2034,SC2154 # work, fast, the job's settings and hosts.sh's tables are the sourcing program's
# One transfer and its capture: what `cells` and `cells-two` share. Over hosts.sh.

transfer_rc=0 # of the transfers that ended last
answer=''     # what the capture said last
declare -A capture_pid=() capture_in=() capture_out=()

# start_capture MODE OPTION…: one that waits to be told, on MODE's router.
start_capture() {
	local mode=$1 name in out
	name=$fast/capture-$(instance "$mode")
	mkfifo "$name.in" "$name.out"
	# Read and write: opening a FIFO for one of them waits for the other side.
	exec {in}<>"$name.in" {out}<>"$name.out"
	capture_in[$mode]=$in capture_out[$mode]=$out
	(on "$mode" router "$fast/bin/capture" "${@:2}" "${ifname[$mode/router]}") <"$name.in" >"$name.out" 2>"$name.err" &
	capture_pid[$mode]=$!
	children+=($!)
	capture_says "$mode" ready || broken[$mode]="failed the capture: $(tail -n1 "$name.err" | plain)"
}

# capture_says MODE WORD: wait for the line that begins with WORD; what follows it goes to `answer`.
capture_says() {
	local line=''
	answer=''
	until read -r -t 5 -u "${capture_out[$1]}" line; do
		kill -0 "${capture_pid[$1]}" 2>/dev/null || return 1
	done
	[[ $line == "$2"* ]] || return 1
	answer=${line#"$2"}
}

capture_start() { # MODE FILE
	printf 'start %s\n' "$2" >&"${capture_in[$1]}"
	capture_says "$1" started || say "the capture of $1 did not start"
}

# capture_stop MODE: "FRAMES DROPPED BYTES" goes to `answer`.
capture_stop() {
	printf 'stop\n' >&"${capture_in[$1]}"
	capture_says "$1" stopped || { say "the capture of $1 did not stop"; return 1; }
}

# cell_head SEQ REP WARMUP MODE FILE BYTES PARALLEL PHASE_US: what is known of a cell beforehand, to `head`.
cell_head() {
	printf -v head '"seq":%d,"rep":%d,"warmup":%s,"mode":"%s","file":"%s","bytes":%d,"parallel":%d,"phase_us":%d' \
		"$((10#$1))" "${@:2}"
}

cell_phase() { # MICROSECONDS, below a second
	local micros
	printf -v micros '%06d' "$1"
	sleep "0.$micros"
}

# transfer MODE FILE N: N clients at the same instant; what they printed goes to the file `transfer`, the worst exit
# code to transfer_rc.
transfer() {
	local mode=$1 file=$2 parallel=$3 limit=$TIMEOUT
	local -a before to
	read -ra before <<<"${launch[$mode/client]-}"
	read -ra to <<<"${goal[$mode]}"
	# Virtual minutes can pass in no time while the guest waits for the host, after the transfer as well.
	[[ ${TESTBED_CLOCK-} != virtual ]] || limit=$((TIMEOUT * 100))
	transfer_rc=0
	(on "$mode" client timeout "$limit" "${before[@]}" "$fast/bin/stream" fetch "${to[@]}" "$file" \
		--same-as "$fast/files/$file" --clients "$parallel") >"$fast/transfer" 2>"$fast/transfer.err" || transfer_rc=$?
}

# cell_transfers N: what N clients printed, null for nothing, with commas between.
cell_transfers() {
	local i
	local -a lines
	mapfile -t lines <"$fast/transfer"
	for ((i = ${#lines[@]}; i < $1; i++)); do lines+=(null); done
	local IFS=,
	printf '%s' "${lines[*]}"
}

# record SEQ JSON: the file appears last and whole.
record() {
	printf '%s\n' "$2" >"$work/out/$1.tmp"
	mv "$work/out/$1.tmp" "$work/out/$1.json"
}
