# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Scenario files and the options that override them.

# Every key a scenario file may have, with what it is when absent.
declare -A CONFIG=()
config_defaults() {
	CONFIG=(
		[TITLE]='' [FILES]='' [MODES]='tcp' [REPS]=20 [WARMUP]=1 [SEED]=1 [BACKEND]=vm
		[KERNEL]='' [RTT]=0 [LOSS]='' [RATE]='' [MTU]='' [LIMIT]='' [REORDER]='' [DUPLICATE]='' [CORRUPT]=''
		[SEND]=send [TIMEOUT]=120 [FEWER]=''
		[MEM]=2048 [VM_TIMEOUT]=3600 [BUDGET]=0 [REPS_MAX]=0 [PRECISION]='' [SWEEP]='' [FIGURE]='' [PLACE]=0
		[PROGRAM]=''
	)
}

config_die() {
	printf 'scenarios/run: %s\n' "$1" >&2
	exit 2
}

# config_read FILE: KEY=VALUE lines; a value may stand in quotes; # begins a comment line.
config_read() {
	local file=$1 line key value number=0

	[[ -r $file ]] || config_die "can't read scenario file '$file'"
	while IFS= read -r line || [[ $line ]]; do
		number=$((number + 1))
		line=${line#"${line%%[![:space:]]*}"}
		line=${line%"${line##*[![:space:]]}"}
		[[ -z $line || $line == '#'* ]] && continue
		[[ $line == *=* ]] || config_die "$file:$number: not KEY=VALUE: '$line'"
		key=${line%%=*}
		value=${line#*=}
		[[ $value =~ ^\"(.*)\"$ ]] && value=${BASH_REMATCH[1]}
		[[ -v CONFIG[$key] ]] ||
			config_die "$file:$number: unknown key '$key'; known: $(config_keys)"
		CONFIG[$key]=$value
	done <"$file"
}

config_keys() { printf '%s\n' "${!CONFIG[@]}" | sort | tr '\n' ' '; }

# Every value that would fail half an hour into a run fails here instead.
config_check() {
	local key mode file
	for key in REPS WARMUP SEED TIMEOUT MEM VM_TIMEOUT BUDGET REPS_MAX PLACE; do
		[[ ${CONFIG[$key]} =~ ^[0-9]+$ ]] ||
			config_die "$key must be a whole number, not '${CONFIG[$key]}'"
	done
	((CONFIG[REPS] > 0)) || config_die "REPS must be at least 1"
	((CONFIG[REPS_MAX] >= CONFIG[REPS])) || CONFIG[REPS_MAX]=${CONFIG[REPS]}
	[[ -z ${CONFIG[PRECISION]} || ${CONFIG[PRECISION]} =~ ^[0-9]+(\.[0-9]+)?%$ ]] ||
		config_die "PRECISION must be a percentage such as 0.5%, not '${CONFIG[PRECISION]}'"
	[[ -z ${CONFIG[FIGURE]} || ${CONFIG[FIGURE]} =~ ^[a-z0-9]+$ ]] ||
		config_die "FIGURE must be the name of a figure, not '${CONFIG[FIGURE]}'"
	[[ -z ${CONFIG[PROGRAM]} || ${CONFIG[PROGRAM]} =~ ^[a-z0-9/-]+$ ]] ||
		config_die "PROGRAM must be a program of scenarios/, not '${CONFIG[PROGRAM]}'"
	[[ ${CONFIG[BACKEND]} == @(vm|two-vm|netns) ]] ||
		config_die "BACKEND must be vm, two-vm or netns, not '${CONFIG[BACKEND]}'"
	[[ ${CONFIG[BACKEND]} != two-vm || ! ${CONFIG[PROGRAM]} ]] ||
		config_die "${CONFIG[PROGRAM]} is made for one machine: BACKEND must be vm or netns"
	[[ ${CONFIG[SEND]} == @(send|sendfile) ]] ||
		config_die "SEND must be send or sendfile, not '${CONFIG[SEND]}'"
	[[ ${CONFIG[MODES]} ]] || config_die "MODES is empty"
	for mode in ${CONFIG[MODES]}; do
		modes_known "$mode" ||
			config_die "unknown mode '$mode'; known: $(modes_all | tr '\n' ' ')"
	done
	for mode in ${CONFIG[FEWER]}; do
		[[ $mode =~ ^[^:]+:[1-9][0-9]*$ && " ${CONFIG[MODES]} " == *" ${mode%:*} "* ]] ||
			config_die "FEWER takes MODE:REPS of MODES, not '$mode'"
	done
	[[ ! ${CONFIG[FEWER]} || (! ${CONFIG[PRECISION]} && ${CONFIG[BUDGET]} == 0) ]] ||
		config_die "FEWER goes with neither PRECISION nor BUDGET, for which all modes are repeated alike"
	[[ ${CONFIG[FILES]} ]] || config_die "FILES is empty"
	for file in ${CONFIG[FILES]}; do
		[[ $file =~ ^[A-Za-z0-9_-]+:(text|image|video):[0-9]+(:[1-9][0-9]*)?$ ]] ||
			config_die "FILES takes NAME:text|image|video:BYTES[:PARALLEL], not '$file'"
	done
}

# What a sweep changes (its key, its values), and each of its points as a configuration of its own.
config_check_sweep() {
	local key value
	local -a values
	read -r key value <<<"${CONFIG[SWEEP]}"
	[[ $key && $value && -v CONFIG[$key] && $key != @(SWEEP|TITLE|FILES|MODES|PLACE|FIGURE) ]] ||
		config_die "SWEEP takes a key and its values (SWEEP=\"LOSS 0 1% 5%\"), not '${CONFIG[SWEEP]}'"
	read -ra values <<<"$value"
	for value in "${values[@]}"; do
		[[ $value =~ ^[A-Za-z0-9.%_-]+$ ]] || config_die "SWEEP: '$value' can't name a point"
		(config_point "$key" "$value") || exit 2
	done
}

# config_point KEY VALUE: one point of the sweep instead of all; for a subshell.
config_point() {
	CONFIG[SWEEP]=''
	CONFIG[$1]=$2
	config_check
}

# The keys that change what is measured: runs that agree in them may be continued one by the other.
config_text() {
	local key
	for key in $(config_keys); do
		[[ $key == @(VM_TIMEOUT|TITLE|BUDGET|PLACE) ]] || printf '%s=%s\n' "$key" "${CONFIG[$key]}"
	done
}
