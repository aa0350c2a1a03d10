#!/usr/bin/env bash
# Two guests and their link: commands on both, the delay, native XDP, the client's exit code, nothing left.
set -euo pipefail
cd "$(dirname "$0")/../.."
source testbed/lib/tap.sh
vm_or_skip
grep -qx stream < <(qemu-system-x86_64 -netdev help 2>/dev/null) || skip_all "this qemu has no stream network (7.2 has)"

plan 9
dir=$(mktemp -d)
defer "rm -rf -- '$dir'"
export TMPDIR=$dir
T=testbed/testbed
status=0
# A busy machine makes real time late, never early.
$T two-vm run --rtt 50ms --no-verify --share "$dir" --timeout 240 --info "$dir/info" \
	--server 'trap "echo told to stop; exit" TERM; cp /run/testbed/link.json "$TESTBED_SHARE/server.json"
		nc -l 5000 >"$TESTBED_SHARE/got"; sleep 1000 & wait' \
	--client 'ping -q -c 5 -i 0.2 $TESTBED_SERVER >"$TESTBED_SHARE/ping"; cp /run/testbed/link.json "$TESTBED_SHARE/client.json"
		for i in {1..100}; do echo hello | nc -Nw 5 $TESTBED_SERVER 5000 && exit 6; sleep 0.1; done; exit 1' \
	>"$dir/out" 2>"$dir/err" || status=$?
is "the exit code is the client's" $status 6
((status == 6)) || sed 's/^/# /' "$dir/err"
is "bytes crossed" "$(cat "$dir/got")" hello
like "the delay is there" "$(grep rtt "$dir/ping")" '= (5[0-9]|[6-9][0-9]|1[0-9][0-9])\.'
is "XDP attaches natively on both" "$(jq -s -c 'map(.xdp_native)' "$dir/client.json" "$dir/server.json")" '[true,true]'
is "over virtio" "$(jq -r .driver "$dir/server.json")" virtio_net
like "the server is told to stop" "$(<"$dir/out")" 'told to stop'
is "the clock is real" "$(jq -r .clock "$dir/info")" real
is "no qemu is left" "$(pgrep -f "[q]emu-system.*$dir" || :)" ''
is "no folder is left" "$(ls -d "$dir"/testbed-vm.* 2>/dev/null || :)" ''
