# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # here, root, work, result, jobs and others are those of scenarios/run
# run.json: what was asked, on what machine, and what came of it. results/README.md is its schema.

RESULTS_SCHEMA=1

version_of() { { "$@" 2>/dev/null || true; } | head -n1; }

# record_start: everything known before the first cell.
record_start() {
	local peers='{}' mode peer
	local commit dirty=false files='[]' file name kind size parallel
	commit=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)
	[[ -z $(git -C "$root" status --porcelain 2>/dev/null) ]] || dirty=true
	for file in ${CONFIG[FILES]}; do
		IFS=: read -r name kind size parallel <<<"$file"
		files=$(jq -c --arg n "$name" --arg k "$kind" --argjson b "$size" --argjson p "${parallel:-1}" \
			--arg s "$(sha256sum "$work/files/$name" | cut -d' ' -f1)" \
			'. + [{name: $n, kind: $k, bytes: $b, parallel: $p, sha256: $s}]' <<<"$files")
	done
	for mode in ${CONFIG[MODES]}; do
		peer=$(mode_get "$mode" peer)
		[[ ! $peer ]] || peers=$(jq -c --arg m "$mode" --arg a "$("$here/peers/$peer" about)" '.[$m] = $a' <<<"$peers")
	done
	jq -n --argjson peers "$peers" --argjson schema "$RESULTS_SCHEMA" --arg id "$id" --arg scenario "$scenario" \
		--arg title "${CONFIG[TITLE]}" --arg argv "$argv" --arg commit "$commit" --argjson dirty "$dirty" \
		--arg backend "${CONFIG[BACKEND]}" --arg modes "${CONFIG[MODES]}" --argjson files "$files" \
		--argjson reps "${CONFIG[REPS_MAX]}" --arg fewer "${CONFIG[FEWER]}" --argjson warmup "${CONFIG[WARMUP]}" --argjson seed "${CONFIG[SEED]}" \
		--arg send "${CONFIG[SEND]}" --arg fingerprint "$fingerprint" --arg config "$(config_text)" \
		--arg cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n1)" --argjson cpus "$(nproc)" \
		--arg host_kernel "$(uname -r)" --arg os "$(. /etc/os-release && echo "$PRETTY_NAME")" \
		--arg cc "$(version_of cc --version)" --arg clang "$(version_of clang --version)" \
		--arg libbpf "$(version_of pkg-config --modversion libbpf)" \
		--arg qemu "$(version_of qemu-system-x86_64 --version)" --arg tshark "$(version_of tshark --version)" \
		--arg hooker "$(version_of "$root/build/hooker/hooker" version)" --arg started "$(date -u +%FT%TZ)" '
		{schema: $schema, id: $id, scenario: $scenario, title: $title, state: "running", started: $started,
		 argv: $argv, commit: $commit, dirty: $dirty, fingerprint: $fingerprint,
		 backend: $backend, clock: null, kernel: null,
		 modes: ($modes | split(" ") | map(select(. != ""))), files: $files, reps: $reps, warmup: $warmup,
		 fewer: ($fewer | split(" ") | map(select(. != "") | split(":") | {key: .[0], value: (.[1] | tonumber)}) | from_entries),
		 peers: $peers, seed: $seed, send: $send, capture: (if $backend == "two-vm" then "what each guest sends" else "ahead of the delay" end),
		 config: ($config | split("\n") | map(select(. != "") | capture("^(?<key>[^=]*)=(?<value>.*)$")) | from_entries),
		 host: {cpu: $cpu, cpus: $cpus, kernel: $host_kernel, os: $os},
		 tools: {hooker: $hooker, cc: $cc, clang: $clang, libbpf: $libbpf, qemu: $qemu, tshark: $tshark}}' \
		>"$result/run.json.tmp" || die "can't write $result/run.json: disk full?"
	mv "$result/run.json.tmp" "$result/run.json"
}

# record_environment: what the machine with the hosts turned out to be. Once its cells have begun.
record_environment() {
	local links='{}' link vm=null
	[[ -s $work/env/kernel ]] || return 0
	for link in "$work"/env/link-*.json; do
		[[ -e $link ]] || continue
		links=$(jq -c --arg m "$(basename "$link" .json)" --slurpfile l "$link" \
			'.[$m | ltrimstr("link-")] = ($l[0] | {asked, measured, qdisc, offloads, sysctls, clock} + with_entries(select(.key | IN("driver", "xdp_native"))))' <<<"$links")
	done
	[[ -s $work/vm.json ]] && vm=$(cat "$work/vm.json")
	jq --argjson links "$links" --argjson vm "$vm" --arg kernel "$(cat "$work/env/kernel")" \
		--rawfile sysctls <(cat "$work/env/sysctls" 2>/dev/null) '
		.kernel = $kernel | .vm = $vm | .links = $links
		| .clock = ($vm.clock // ([$links[].clock] | first) // "real")
		| .sysctls = ($sysctls | split("\n") | map(select(. != "") | capture("^(?<key>[^=]*) = (?<value>.*)$")) | from_entries)' \
		"$result/run.json" >"$result/run.json.tmp" || die "can't write $result/run.json: disk full?"
	mv "$result/run.json.tmp" "$result/run.json"
}

# A rule ended the run after a whole repetition: that many were made. record_shortened RULE
record_shortened() {
	jq --argjson made "$(jq -s 'map(.rep) | max' "$result/cells.jsonl")" --argjson budget "${CONFIG[BUDGET]}" --arg rule "$1" \
		'if $made < .reps then .reps_asked = .reps | .reps = $made | .stopped = $rule
		 | if $rule == "budget" then .budget_s = $budget else . end else . end' \
		"$result/run.json" >"$result/run.json.tmp" || die "can't write $result/run.json: disk full?"
	mv "$result/run.json.tmp" "$result/run.json"
}

record_state() { # STATE
	jq --arg state "$1" --arg now "$(date -u +%FT%TZ)" --argjson wall "$SECONDS" \
		'.state = $state | .finished = $now | .wall_s = ((.wall_s // 0) + $wall)' \
		"$result/run.json" >"$result/run.json.tmp" || die "can't write $result/run.json: disk full?"
	mv "$result/run.json.tmp" "$result/run.json"
}
