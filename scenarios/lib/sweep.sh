# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # root, result, conf and others are those of scenarios/run
# A sweep: the same scenario with one key set to several values. Each value is a point, and each point
# an ordinary run below the sweep's folder, with a machine of its own; so a point can be made by any
# computer, and an interrupted sweep continues within the point that it was in.

sweep_key() { printf '%s' "${CONFIG[SWEEP]%% *}"; }
sweep_values() { tr -s ' ' '\n' <<<"${CONFIG[SWEEP]#* }"; }

# sweep_options VALUE: what `scenarios/run` is told for that point, beside the scenario.
sweep_options() {
	local key
	sweep_overrides=()
	for key in "${!override[@]}"; do sweep_overrides+=(--set "$key=${override[$key]}"); done
	sweep_overrides+=(--set SWEEP= --set "$(sweep_key)=$1")
}

# sweep_fingerprint VALUE: what the point's run.json must hold.
sweep_fingerprint() {
	(config_point "$(sweep_key)" "$1" && fingerprint_of)
}

sweep_state_of() { jq -r '.state // "none"' "$1/run.json" 2>/dev/null || echo none; }

# One after the other in the terminal, or many at once by GNU parallel, here or by ssh.
sweep_points() {
	local value point
	local -a values options=() command
	mapfile -t values < <(sweep_values)
	if [[ -z $workers ]] && ((jobs_asked == 1)); then
		for value in "${values[@]}"; do
			[[ $(sweep_state_of "$result/$value") != finished ]] || continue
			say "$(sweep_key)=$value ($((++sweep_at)) of ${#values[@]}$(sweep_left "${#values[@]}"))"
			sweep_options "$value"
			attend "$here/run" "$conf" "${sweep_overrides[@]}" --into "$result/$value" || sweep_tell $?
		done
		return
	fi
	type -P parallel >/dev/null || die "GNU parallel is needed for --jobs and --workers: make deps"
	# A run that is told to end still has hosts to take down.
	options=(--will-cite --termseq 'TERM,60000,KILL,25' --jobs "$jobs_asked" --joblog "$result/points.log" --results "$result/points")
	sweep_options '{}'
	printf -v point '%q ' "$root/scenarios/run" "$conf" "${sweep_overrides[@]}"
	point="${point//\\\{\\\}/\{\}}--into $(printf %q "$result")/{}"
	command=("$point >&2")
	if [[ $workers ]]; then
		options+=(--sshlogin "$workers")
		[[ -z ${SCENARIOS_SSH-} ]] || options+=(--ssh "$SCENARIOS_SSH")
		command=("$point >&2; code=\$?; tar -cf - -C $(printf %q "$result") --exclude=.lock --exclude='work-*' {} && exit \$code")
	fi
	# A worker without $SHELL in its environment would run nothing and say that all is well.
	attend env PARALLEL_SHELL=bash parallel "${options[@]}" "${command[@]}" ::: "${values[@]}" >/dev/null || true
	[[ -z $workers ]] || sweep_unpack "${values[@]}"
	rm -rf "$result/points"
}

# sweep_unpack VALUE…: a point that a worker made came back as an archive on its standard output.
sweep_unpack() {
	local value archive seq=0
	for value; do
		seq=$((seq + 1))
		archive=$result/points/1/$value/stdout
		[[ -s $archive ]] || die "the worker of $(sweep_key)=$value sent nothing: $(
			awk -F'\t' -v seq=$seq '$1 == seq { print "exit", $7 ", signal", $8 }' "$result/points.log")"
		tar -xf "$archive" -C "$result" 2>"$result/points.err" ||
			die "can't unpack what the worker of $(sweep_key)=$value sent: $(head -n1 "$result/points.err")"
	done
	rm -f "$result/points.err"
}

# A point that failed a cell is still a point; Ctrl-C is not.
sweep_tell() { (($1 == 1 || $1 == 4)) || exit "$1"; }

sweep_left() { # POINTS
	local made=$((sweep_at - sweep_before - 1)) left
	((made > 0)) || return 0
	left=$(((SECONDS - sweep_since) * ($1 - sweep_at + 1) / made))
	printf ', %d:%02d left' $((left / 60)) $((left % 60))
}

# Every point finished, of this very configuration and these programs, on one clock: one table.
sweep_merge() {
	local value key clock=''
	local -a values
	mapfile -t values < <(sweep_values)
	key=$(sweep_key)
	for value in "${values[@]}"; do
		local run=$result/$value/run.json
		[[ $(sweep_state_of "$result/$value") == finished ]] ||
			die "$key=$value is not finished; the same command continues"
		[[ $(jq -r .fingerprint "$run") == "$(sweep_fingerprint "$value")" ]] ||
			die "$key=$value was made by other programs or another configuration than this: '$run'"
		[[ -z $clock || $(jq -r .clock "$run") == "$clock" ]] ||
			die "$key=$value was measured by another clock than the points before it: clocks are never mixed"
		clock=$(jq -r .clock "$run")
	done
	sweep_table "$result" "$key" "${values[@]}" >"$result/sweep.csv.tmp"
	mv "$result/sweep.csv.tmp" "$result/sweep.csv"
}

sweep_record() { # STATE
	local started=null
	[[ ! -e $result/sweep.json ]] || started=$(jq .started "$result/sweep.json")
	jq -n --argjson schema "$RESULTS_SCHEMA" --arg id "$id" --arg scenario "$scenario" --arg title "${CONFIG[TITLE]}" \
		--arg state "$1" --arg argv "$argv" --arg key "$(sweep_key)" --arg values "${CONFIG[SWEEP]#* }" \
		--arg fingerprint "$fingerprint" --arg figure "${CONFIG[FIGURE]}" --argjson started "$started" --arg now "$(date -u +%FT%TZ)" '
		{schema: $schema, id: $id, scenario: $scenario, title: $title, figure: $figure, state: $state, argv: $argv,
		 fingerprint: $fingerprint, key: $key, values: ($values | split(" ") | map(select(. != ""))),
		 started: ($started // $now), finished: (if $state == "finished" then $now else null end)}' \
		>"$result/sweep.json.tmp" || die "can't write $result/sweep.json: disk full?"
	mv "$result/sweep.json.tmp" "$result/sweep.json"
}

sweep_main() {
	local value
	sweep_at=0 sweep_before=0 sweep_since=$SECONDS
	while IFS= read -r value; do
		[[ $(sweep_state_of "$result/$value") != finished ]] || sweep_before=$((sweep_before + 1))
	done < <(sweep_values)
	sweep_at=$sweep_before
	[[ -e $result/sweep.json ]] || sweep_record running
	sweep_points
	sweep_merge
	sweep_record finished
}
