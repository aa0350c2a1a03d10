#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# scenarios/bench, as short as it can be: every number results/README.md promises, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
((EUID == 0)) || skip_all "needs root"

work=$(mktemp -d)
defer "rm -rf '$work'"
latest=$work/latest.json
export TESTBED_NAME=t$$

# has WHAT STEP-OR-MODE…: what latest.json has of it
has() { jq -e --arg what "$1" --args '[$ARGS.positional[] as $m | has("\($what).\($m)", "\($what).\($m).min", "\($what).\($m).max")] | all' "$latest" "${@:2}"; }

plan 17
exits "an unknown mode is a usage error" 2 scenarios/bench --modes nosuch
exits "a control is no mode of the benchmark" 2 scenarios/bench --modes kernel-udp@client
exits "it runs" 0 scenarios/bench --quick --held 100 --modes "tcp tcp+xdp kernel-udp" --results "$work"
like "... and shows a table" "$TAP_OUT" 'kernel-udp +[0-9.]+'
modes=(tcp tcp+xdp kernel-udp)
for what in throughput_gbps throughput_ratio throughput_ratio_to_tcp pingpong_1B_p50_us pingpong_1B_added_us connrate_ratio connrate_ratio_to_tcp+xdp; do
	ok "$what of each mode" has $what "${modes[@]}"
done
ok "100 connections held" jq -e '."flows_held.kernel-udp" == 100' "$latest"
steps=(open load attach total compile detach)
ok "deploy_ms of each step" has deploy_ms "${steps[@]/#/relay.}" "${steps[@]/#/kernel.}" "${steps[@]/#/udplite.}"
ok "names and numbers, nothing else" jq -e 'map_values(type) | all(. == "number")' "$latest"
is "nothing is left behind" "$(ip netns list | grep -c "hk-$TESTBED_NAME-" || :)" 0

# Bash starts what is in the background with SIGINT ignored.
env --default-signal=INT scenarios/bench --quick --held 100 --modes kernel-udp --results "$work" >"$work/out" 2>&1 &
bench=$!
held() { grep -qs '^held' "/proc/$(pgrep -P $bench -f 'echo hold')/fd/1"; }
# Not at wait_until's leisure: they are held for a tenth of a second.
until held; do kill -0 $bench 2>/dev/null || bail "it holds no connections"; done
kill -INT $bench
ended() { ! kill -0 $bench; }
wait_until 30 ended || kill -KILL $bench
status=0
wait $bench 2>/dev/null || status=$?
# A signal while bash reads a command substitution: bash 5.2 cannot read the trap then, says so, and ends with 2.
if ((status == 2)) && grep -q 'interrupt trap: .*unexpected EOF' "$work/out"; then status=130; fi
is "interrupted while it holds connections: it ends" $status 130
is "... and leaves nothing behind" "$(ip netns list | grep -c "hk-$TESTBED_NAME-" || :)" 0
