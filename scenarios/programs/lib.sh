# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034,SC2154 # what it sets and reads is shared with the program and hosts.sh
# What the programs in this folder share (scenarios/README.md: "A program"). They source it with WORK as $1.

work=${1:?WORK}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$(dirname "$here")
testbed=$root/testbed/testbed
fast=''
# shellcheck source=scenarios/modes.sh
. "$here/modes.sh"
# shellcheck source=scenarios/hosts.sh
. "$here/hosts.sh"
# shellcheck disable=SC1091
. "$work/job.sh"
shopt -s nullglob
trap hosts_cleanup EXIT
trap_exit 130 INT
trap_exit 143 TERM
hosts_memory
mkdir -p "$work/env" "$work/data"

# program_warm CMD…: read it from the host's disk now. In virtual time the guest's clock leaps while it
# waits for that disk, and events would come too early. In a subshell, which `on` replaces: what fails here is no end
# of the program.
program_warm() { ("$@") >/dev/null 2>&1 || true; }

# queue_limit RATE_MBIT: netem's limit for a queue of one bandwidth-delay product. It holds the packets of
# half a round-trip time besides, which are under way.
queue_limit() {
	awk -v rate="$1" -v rtt="${RTT%ms}" 'BEGIN { n = rate * 1000 * rtt / 8 / 1500 * 1.5; print n < 20 ? 20 : int(n + 0.5) }'
}

# sniff KEY INTERFACE NAME: headers of what leaves or enters there, to $fast/NAME.pcap, until unsniff NAME.
declare -A sniffer=()
sniff() {
	(beside "$1" router tcpdump -n -Z root -i "$2" -s 96 -B 65536 -w "$fast/$3.pcap") >"$fast/$3.out" 2>"$fast/$3.err" &
	sniffer[$3]=$!
	children+=($!)
	wait_line "$fast/$3.err" 'listening on' "${sniffer[$3]}" || say "no capture on $2: $(tail -n1 "$fast/$3.err")"
}

# The kernel hands over a block that is not full after the second that tcpdump allows; what it has not
# handed over when tcpdump ends is lost.
unsniff() {
	sleep 1.5
	kill -INT "${sniffer[$1]}"
	wait "${sniffer[$1]}" || true
	grep -q '^0 packets dropped by kernel' "$fast/$1.err" || say "$1: $(grep dropped "$fast/$1.err")"
}

# frames NAME FILTER: `SECONDS BYTES` (since the epoch; of the frame) a line.
frames() {
	tcpdump -n -tt -e -r "$fast/$1.pcap" "$2" 2>/dev/null |
		awk '{ for (i = 2; i < NF; i++) if ($i == "length") { print $1, $(i + 1) + 0; break } }'
}

# connected NAME SERVER START: seconds from START to the client's connect(), from which `stream` counts: one
# round-trip time before the router sent on the server's first frame.
connected() {
	frames "$1" "src $2" | awk -v s="$3" -v rtt="${RTT%ms}" 'NR == 1 { d = $1 - s - rtt / 1000 } END { printf "%.6f", d }'
}

# fetched RC: the status of the transfer by `stream fetch`, whose exit code that is and whose JSON is in $fast/fetch; a
# client that was killed left none. A status stands in a CSV: without commas.
fetched() {
	local status
	[[ -s $fast/fetch ]] || echo '{"error": "the client says nothing"}' >"$fast/fetch"
	status=$(jq -r 'if .error == null and .identical then "ok" else .error // "other bytes were received" end' "$fast/fetch" | tr -d ,)
	(($1 == 0)) || status="exit $1: $status"
	printf '%s' "$status"
}

# not_started KEY: why, as the status of each row that there would have been.
not_started() {
	say "$1: ${broken[$1]}"
	printf '%s' "${broken[$1]//,/;}"
}

# program_end: data.csv, and whatever else the program put beside it, becomes the result.
program_end() {
	uname -r >"$work/env/kernel"
	cp "$fast/commands.log" "$work/env/commands.log" 2>/dev/null || true
	cp "$fast"/data/* "$work/data/"
	: >"$work/env/up"
	: >"$work/env/finished"
}
mkdir "$fast/data"
