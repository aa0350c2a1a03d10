#!/usr/bin/env bash
# Where memory is so fragmented that the kernel gets single pages only, it cuts what the relay delivers into parts, and
# runs hk_deliver for the first alone. Nothing may be lost or go elsewhere, least of all when an application goes away between
# two parts. The sysctl has the kernel behave like that.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

single=/proc/sys/net/core/high_order_alloc_disable
[[ -w $single ]] || skip_all "no $single here, which is how memory is made fragmented"
before=$(<$single)
defer "echo $before >$single"
echo 1 >$single
hosts_up --direct

# Clients that go away in the middle of 26 MB, again and again until told to stop; what they get meets nobody.
run_away()
{
	until [[ -e $WORK/enough ]]; do
		on client "$STREAM" fetch --abort-after $((1 + RANDOM * 500)) "$SERVER" 8080 video >/dev/null 2>&1 || :
		echo gone >>"$WORK/gone"
	done
}

# Four transfers at a time, each byte-exact, among such clients.
beside_runaways()
{
	local i pids=() rc=0
	rm -f "$WORK/enough"
	for i in 1 2; do
		run_away &
		pids+=($!)
	done
	for ((i = 0; i < 5; i++)); do
		fetch_many 4 video || { rc=1; break; }
	done
	: >"$WORK/enough"
	wait "${pids[@]}" || :
	return $rc
}

plan 5
for host in client server; do
	hooker_start $host
done
ok "26 MB" fetch video
ok "26 MB both ways" fetch video --push "$WORK/files/video"
ok "transfers beside clients that go away" beside_runaways
ok "more than two have gone away" test "$(wc -l <"$WORK/gone")" -gt 2
echo "# $(wc -l <"$WORK/gone") clients have gone away, $(stat client relay.bounced) deliveries met nobody"
ok "no connection is left" wait_until 20 relays_idle
