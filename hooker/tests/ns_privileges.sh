#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The capabilities of hooker.service are enough for every datapath and transport, and none of those it needs to start
# is there in vain. (CAP_NET_RAW is for resets and pings of later.)
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
# shellcheck source=hooker/tests/lib.sh
. "$root/hooker/tests/lib.sh"
hosts_up
plan 11

# As setpriv takes them: -all,+bpf,…
read -ra words < <(sed -n 's/^CapabilityBoundingSet=//p' "$root/hooker/package/hooker.service.in")
caps=-all
for word in "${words[@]}"; do word=${word#CAP_} caps+=,+${word,,}; done

# start HOST CAPS [OPTION…]: like hooker_start, but fails where that ends the test.
start() {
	local host=$1 caps=$2 cgroup
	shift 2
	cgroup=${CGROUP[$host]}
	background "hooker-$host" "$host" setpriv --bounding-set "$caps" --no-new-privs \
		"$HOOKER" run --interface eth0 --cgroup "$cgroup" "$@"
	DAEMON[$host]=$PID
	wait_until 10 grep -qE '^(ready|hooker: error)' "$WORK/hooker-$host.out" && grep -q '^ready' "$WORK/hooker-$host.out"
}

both() { start client "$caps" "$@" && start server "$caps" "$@"; }

for mode in relay:udp relay:udplite kernel:udp kernel:udplite; do
	started=yes
	both --datapath "${mode%:*}" --transport "${mode#*:}" || started=$(cat "$WORK"/hooker-*.out)
	is "$mode starts with ${words[*]}" "$started" yes
	before=$(stat client counters.established)
	fetch image
	is "$mode carries a file" "$(jq .identical "$WORK/fetch.json") $(($(stat client counters.established) - before))" 'true 1'
	hooker_stop client
	hooker_stop server
done
for word in bpf perfmon net_admin; do
	started=no
	! start client "${caps/,+$word/}" || started=yes
	is "it does not start without $word" "$started" no
	hooker_stop client
done
