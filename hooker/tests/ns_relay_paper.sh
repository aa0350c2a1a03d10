#!/usr/bin/env bash
# The relay as published (--paper): right on a perfect link, short on any other, and never for ever.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

# sent HOST PROTOCOL: datagrams its relay has sent.
sent() { stat "$1" "relay.$2.sent"; }

repeat_fetch()
{
	local i
	for ((i = 0; i < 10; i++)); do
		fetch "$1" || { cat "$WORK/fetch.json"; return 1; }
	done
}

# One datagram in 50 is lost: the stream ends early, in seconds, and the client says so.
short()
{
	local started=$SECONDS
	path "oifname \"to-client\" meta l4proto $1 numgen inc mod 50 == 7 drop" || return 1
	fetch image && return 1
	path || return 1
	jq -r .error "$WORK/fetch.json"
	((SECONDS - started < 8)) && jq -e '.error | test("early end")' "$WORK/fetch.json"
}

plan 10
# A link is only perfect on one processor: a router without NAPI has a backlog for each, so that datagrams of a sender that
# moves to another overtake each other, and as published they are handed over as they come.
taskset -cp "$(awk '/^Cpus_allowed_list/ { print $2 + 0 }' /proc/self/status)" $$ >/dev/null
hosts_up
for transport in udp udplite; do
	number=17
	[[ $transport == udp ]] || number=136
	for host in client server; do
		[[ -z ${DAEMON[$host]-} ]] || hooker_stop $host
		hooker_start $host --transport $transport --paper
	done
	ok "$transport: 10 transfers of 3 KB on a perfect link" repeat_fetch text
	ok "$transport: 10 transfers of 510 KB" repeat_fetch image
	# Not one acknowledgement: the client has sent its 20 requests and 20 ENDs.
	is "$transport: nothing was acknowledged" "$(sent client $transport)" 40
	ok "$transport: a loss is an early end, in seconds" short $number
	ok "$transport: everything is forgotten" wait_until 15 relays_idle
done
