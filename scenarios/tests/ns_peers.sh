#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The peers in namespaces on this kernel: each carries the file, seen as itself on the wire, or is
# unsupported and says why.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
((EUID == 0)) || skip_all 'namespaces need root'
work=$(mktemp -d)
defer 'rm -rf "$work"'
declare -A wire=([mptcp]=mptcp [sctp]=sctp [wireguard]=wireguard [kcptun]=kcp)

plan 13
printf '%s\n' 'FILES="text-3KB:text:3072 image-510KB:image:522240"' 'MODES="mptcp sctp wireguard kcptun"' \
	REPS=1 WARMUP=0 BACKEND=netns >"$work/t.conf"
rc=0
"$root/scenarios/run" "$work/t.conf" --results "$work/results" >"$work/out" 2>&1 || rc=$?
like 'the run ends well, or nothing is supported' "$rc" '^[04]$'
cells=$work/results/latest/cells.jsonl
for mode in mptcp sctp wireguard kcptun; do
	status=$(jq -rs --arg m $mode 'map(select(.mode == $m) | .status) | unique | join(" ")' "$cells")
	if [[ $status == unsupported ]]; then
		why=$(jq -rs --arg m $mode 'map(select(.mode == $m) | .reason)[0]' "$cells")
		like "$mode: says why it is unsupported" "$why" 'has no|not installed'
		skip "$mode carries both files" "$why"
		skip "$mode on the wire" "$why"
		continue
	fi
	is "$mode: both files, byte-exact" "$status" ok
	is "$mode on the wire" "$(jq -rs --arg m $mode 'map(select(.mode == $m) | .observed) | unique | join(" ")' "$cells")" "${wire[$mode]}"
	is "$mode: the payload is there" "$(jq -rs --arg m $mode --arg w "${wire[$mode]}" \
		'map(select(.mode == $m)) | all(.wire[$w + "_payload"] >= 0.99 * .bytes)' "$cells")" true
done
