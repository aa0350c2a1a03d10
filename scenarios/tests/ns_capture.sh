#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The capture by itself: what it must not lose, and what it must forget.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
((EUID == 0)) || skip_all 'namespaces need root'
work=$(mktemp -d)
defer 'rm -rf "$work"'
testbed() { "$root/testbed/testbed" --name capture "$@"; }
says() { grep -q "^$1" "$work/out"; }
# lost, and echo requests and answers held; the hosts' own neighbour discovery may come at any time.
stopped() { awk '$1 == "stopped" { print $3 }' "$work/out"; tcpdump -r "$work/pcap" icmp 2>/dev/null | wc -l; }
# pings N: 500 a second, for at most 3 s however busy the machine is; the frames of what was sent go to `frames`.
pings() { frames=$(testbed exec server -- ping -q -i 0.002 -c "$1" -w 3 10.99.1.2 | awk '/transmitted/ { print 2 * $1 }'); }
capture() { # what is done before `start`, then until `stop`
	mkfifo "$work/in"
	: >"$work/out"
	(exec "$root/testbed/testbed" --name capture exec router -- "$root/build/scenarios/capture" --ring 16 to-server) \
		<"$work/in" >"$work/out" 2>"$work/err" &
	pid=$!
	exec {in}>"$work/in"
	wait_until 10 says ready
	eval "$1"
	echo "start $work/pcap" >&"$in"
	wait_until 10 says started
	eval "$2"
	echo stop >&"$in"
	wait_until 20 says stopped
	exec {in}>&-
	wait "$pid"
	rm "$work/in"
}
pid='' in='' frames=''
defer 'testbed down'
testbed up >/dev/null
plan 2

# At idle priority on a busy machine it may get no processor for as long as a transfer takes. This ring is 64 blocks:
# full after 6.4 s; handed over after 20 ms each, as they once were, after 1.3 s.
# shellcheck disable=SC2016 # evaluated in capture()
capture : 'kill -STOP "$pid"; pings 1000; kill -CONT "$pid"'
is 'two slow seconds without a processor: nothing lost' "$(stopped | xargs)" "0 $frames"
capture 'pings 50' 'pings 3'
is 'what came before start is forgotten' "$(stopped | xargs)" "0 $frames"
