# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # here, root, result and others are those of scenarios/run
# `all`: every scenario that has a PLACE, in its order, each an ordinary run or sweep below one folder.

suite_scenarios() {
	local file name
	for file in "$here"/*.conf; do
		name=$(basename "$file" .conf)
		config_defaults
		config_read "$file"
		((CONFIG[PLACE] == 0)) || printf '%d %s\n' "${CONFIG[PLACE]}" "$name"
	done | sort -n | cut -d' ' -f2
}

suite_record() { # STATE
	local started=null
	[[ ! -e $result/suite.json ]] || started=$(jq .started "$result/suite.json")
	jq -n --argjson schema "$RESULTS_SCHEMA" --arg id "$id" --arg state "$1" --arg argv "$argv" --arg fingerprint "$fingerprint" \
		--argjson scenarios "$(suite_scenarios | jq -Rn '[inputs]')" --argjson started "$started" --arg now "$(date -u +%FT%TZ)" '
		{schema: $schema, id: $id, scenario: "all", state: $state, argv: $argv, fingerprint: $fingerprint, scenarios: $scenarios,
		 started: ($started // $now), finished: (if $state == "finished" then $now else null end)}' \
		>"$result/suite.json.tmp" || die "can't write $result/suite.json: disk full?"
	mv "$result/suite.json.tmp" "$result/suite.json"
}

suite_main() {
	local name key unfinished='' rc at=0
	local -a names options=()
	mapfile -t names < <(suite_scenarios)
	if ((list)); then
		printf '%s\n' "${names[@]}"
		return
	fi
	for key in "${!override[@]}"; do options+=(--set "$key=${override[$key]}"); done
	options+=(--jobs "$jobs_asked" --workers "$workers")
	fingerprint=$({ printf '%s\n' "${names[@]}" "${options[@]}"
		for name in "${names[@]}"; do cat "$here/$name.conf"; done
		cat "$root"/build/{scenarios/stream,hooker/hooker} 2>/dev/null || true; } | sha256sum | cut -c1-16)
	choose_result suite.json
	[[ -e $result/suite.json ]] || suite_record running
	for name in "${names[@]}"; do
		say "== $name ($((++at)) of ${#names[@]})"
		rc=0
		attend "$here/run" "$name" "${options[@]}" --into "$result/$name" || rc=$?
		((rc == 0 || rc == 1 || rc == 4)) || exit "$rc"
		[[ $(jq -rs '.[0].state' "$result/$name"/{run,sweep}.json 2>/dev/null) == finished ]] || unfinished+=" $name"
	done
	[[ -z $unfinished ]] || die "not finished:$unfinished; the same command continues"
	suite_record finished
	publish
	tell_outcome
}
