#!/usr/bin/env bash
# Transfers while the kernel has no memory for TCP, off and on: an application's socket then takes a part
# of what the relay delivers, without saying so. Every byte arrives all the same. In a virtual machine (vm_relay_squeezed.sh),
# for the limit is one for all of a kernel.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

limit=/proc/sys/net/ipv4/tcp_mem
before=$(<$limit)
defer "echo '$before' >$limit"

pages_used() { awk '/^TCP:/ { for (i = 1; i < NF; i++) if ($i == "mem") print $(i + 1) }' /proc/net/sockstat; }

squeeze()
{
	local used
	until [[ -e $WORK/enough ]]; do
		used=$(($(pages_used) + RANDOM % 64))
		echo "$used $used $used" >$limit
		sleep 0.02
		echo "$before" >$limit
		sleep 0.02
	done
}

all_arrive()
{
	local i
	for ((i = 0; i < 6; i++)); do fetch_many 2 video || return 1; done
}

plan 3
hosts_up --direct
hooker_start client
hooker_start server
squeeze &
pid=$!
ok "26 MB, twice at a time, six times" all_arrive
: >"$WORK/enough"
wait $pid
ok "no connection is left" wait_until 30 relays_idle
retries=$(stat client relay.retries) refused=$(stat client counters.msg_refused)
echo "# $retries deliveries were not complete; of $refused a part had gone"
ok "memory was short" test "$retries" -gt 0
