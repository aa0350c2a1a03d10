#!/usr/bin/env bash
# Three hosts in namespaces of the running kernel: made, entered, replaced after a kill, gone without a trace.
set -euo pipefail
cd "$(dirname "$0")/../.."
source testbed/lib/tap.sh
((EUID == 0)) || skip_all "needs root"

plan 37
T=testbed/testbed
a=t$$a b=t$$b
defer "$T --name $b down"
defer "$T --name $a down"
cgroup2=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)

exits "up" 0 $T --name "$a" up
exits "a second instance" 0 $T --name "$b" up --mtu 1400 --gro off --tx-csum off
status=$($T --name "$a" status --json)
is "verified" "$(jq .measured.verified <<<"$status")" true
is "RTT below 5 ms" "$(jq '.measured.rtt_ms.min < 5' <<<"$status")" true
is "addresses" "$(jq -r '.hosts | .client.ipv4, .server.ipv6' <<<"$status")" $'10.99.1.2\nfd99:2::2'
is "GRO as asked" "$($T --name "$b" status --json | jq -r '.offloads.client.gro, .offloads.server."tx-checksumming"')" $'off\noff'
is "MTU as asked" "$($T --name "$b" exec client -- cat /sys/class/net/eth0/mtu 2>/dev/null || $T --name "$b" exec client -- ip -j link show eth0 | jq '.[0].mtu')" 1400
ok "IPv4 across" $T --name "$a" exec client -- ping -qc1 -W5 10.99.2.2
ok "IPv6 across" $T --name "$a" exec server -- ping -qc1 -W5 fd99:1::2
is "exec's cgroup is the host's" "$($T --name "$a" exec client -- sed -n 's/^0:://p' /proc/self/cgroup | grep -o 'testbed-.*')" "testbed-$a/client"
is "exec keeps the mount namespace" "$($T --name "$a" exec client -- readlink /proc/self/ns/mnt)" "$(readlink /proc/self/ns/mnt)"
is "the environment" "$($T --name "$a" exec server -- bash -c 'echo $TESTBED_HOST $TESTBED_SERVER $TESTBED_CGROUP')" "server 10.99.2.2 $cgroup2/testbed-$a/server"
exits "exec gives the exit code" 7 $T --name "$a" exec client -- bash -c 'exit 7'
exits "exec passes words unchanged" 0 $T --name "$a" exec client -- test 'a  b*' = 'a  b*'
is "no path between instances" "$($T --name "$b" exec router -- ip -j link | jq length)" 3
is "the commands are in the log" "$(grep -c '^ip netns add' "/run/testbed-$a/commands.log")" 3
$T --name "$a" exec server -- bash -c 'exec nc -lk 5000 >/dev/null' &
server=$!
ok "a server listens" wait_until 10 $T --name "$a" exec client -- nc -zw1 10.99.2.2 5000
# In each transfer the route's congestion control counts, not the machine's.
is "cubic is in use" "$($T --name "$a" exec client -- bash -c 'nc 10.99.2.2 5000 < <(sleep 2) & for i in {1..100}; do
	ss -Htin dst 10.99.2.2 | grep -o cubic && break; sleep 0.02; done; kill $!' | head -n 1)" cubic

exits "up without a router" 0 $T --name "$b" up --direct
ok "... IPv4 across, both ways" $T --name "$b" exec server -- ping -qc1 -W5 10.99.1.2
ok "... and IPv6" $T --name "$b" exec client -- ping -qc1 -W5 fd99:2::2

exits "down" 0 $T --name "$a" down
wait $server 2>/dev/null || :
ok "down kills what ran there" test ! -e /proc/$server
is "no namespace is left" "$(ip netns list | grep -c "hk-$a-" || :)" 0
is "no cgroup is left" "$(ls -d "$cgroup2/testbed-$a" 2>/dev/null)" ''
is "no state is left" "$(ls -d "/run/testbed-$a" 2>/dev/null)" ''
is "the other instance is up" "$($T --name "$b" status --json | jq .up)" true
exits "exec where nothing is up" 1 $T --name "$a" exec client -- true
exits "down again" 0 $T --name "$a" down

# A kill -9 at any moment of `up` leaves something, and the next `up` does not mind.
bad=0
for ms in 60 120 180 250 350; do
	$T --name "$a" up >/dev/null 2>&1 &
	pid=$!
	sleep "0.$(printf %03d "$ms")"
	kill -KILL $pid 2>/dev/null || :
	wait $pid 2>/dev/null || :
done
$T --name "$a" up >/dev/null 2>&1 || bad=1
is "up after five that were killed" $bad 0
$T --name "$a" exec client -- sleep 300 &
left=$!
wait_until 10 grep -q "testbed-$a" /proc/$left/cgroup
exits "up replaces a living instance" 0 $T --name "$a" up
wait $left 2>/dev/null || :
ok "and kills what ran in it" test ! -e /proc/$left

# The owner is dead: the next `up`, of any name, removes the instance.
sleep 300 &
owner=$!
exits "up with an owner" 0 $T --name "$a" up --owner $owner
kill $owner
wait $owner 2>/dev/null || :
$T --name "$b" up 2>/dev/null
is "its instance goes with it" "$($T --name "$a" status --json | jq .up)" false

if [[ $(testbed/testbed probe --json | jq .can.netem) == true ]]; then
	exits "50 ms" 0 $T --name "$a" up --rtt 50ms
	is "are 50 ms" "$($T --name "$a" status --json | jq '.measured.rtt_ms.min | . >= 50 and . < 52')" true
else
	exits "50 ms without netem" 4 $T --name "$a" up --rtt 50ms
	like "the remedy is named" "$TAP_OUT" 'hint: .*vm run'
fi
exits "the second one goes too" 0 $T --name "$b" down
