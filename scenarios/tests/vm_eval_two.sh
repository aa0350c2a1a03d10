#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# A tiny evaluation in two virtual machines with one link between them: each datapath and transport, proven.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
vm_or_skip
grep -qx stream < <(qemu-system-x86_64 -netdev help 2>/dev/null) || skip_all "this qemu has no stream network (7.2 has)"
work=$(mktemp -d)/'a path, with a comma'
mkdir -p "$work"
defer 'rm -rf "$(dirname "$work")"'
printf '%s\n' 'FILES="image-510KB:image:522240"' 'MODES="tcp relay-udp kernel-udplite relay-udp@client"' \
	BACKEND=two-vm RTT=50ms REPS=1 WARMUP=0 VM_TIMEOUT=400 >"$work/two.conf"

plan 7
rc=0
"$root/scenarios/run" "$work/two.conf" --results "$work/results" >"$work/out" 2>"$work/err" || rc=$?
is 'no failed cell' "$rc" 0
((rc == 0)) || sed 's/^/# /' "$work/err"
result=$work/results/latest
is 'what was asked for was seen on the wire' "$(jq -r '"\(.mode) \(.observed)"' "$result/cells.jsonl" | sort)" \
	$'kernel-udplite udplite\nrelay-udp udp\nrelay-udp@client tcp\ntcp tcp'
# The server alone sends 361 segments of data and a few more: the rest is the client's.
is 'captures of both guests: data and acknowledgements' \
	"$(jq -s -c 'map(select(.mode == "tcp" or .mode == "kernel-udplite") | .wire.frames > 370)' "$result/cells.jsonl")" '[true,true]'
is 'all the payload' "$(jq -s 'all(.wire.share >= 0.99)' "$result/cells.jsonl")" true
jq -r '"# \(.mode): \(.wire.frames) frames"' "$result/cells.jsonl"
is 'in real time' "$(jq -r .clock "$result/run.json")" real
is 'XDP attached natively, to virtio' "$(jq -c '[.links[] | .driver, .xdp_native]' "$result/run.json")" '["virtio_net",true]'
is 'no guest is left' "$(pgrep -fc "qemu-system.*$work" || :)" 0
