#!/usr/bin/env bash
# What a person sees: status, flows, check, events, metrics, reload, one command's tree, doctor on broken hosts.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

hooker() { on client "$HOOKER" "$@"; }
status_of() { hooker status --json | jq -r "$1"; }
nothing_attached() { local link; link=$(ip -netns "hk-$TESTBED_NAME-client" link show eth0) && [[ $link != *xdp* ]]; }
shows_nc() { grep -q '/nc ' < <(hooker flows); }
uses_udp() { grep -q '/stream ' < <(hooker flows --transport udp); }
no_rules() { [[ -z $(hooker rules) ]]; }
connecting() { grep -q . "$cgroup"/hooker-run-*/cgroup.procs; }
not_served() { ! hooker status; }
stays_empty() { [[ -z $(find "$1" -mindepth 1 -type d) ]]; }
stays_bare() { nothing_attached && stays_empty "$cgroup"; }
router_nft() { ip netns exec "hk-$TESTBED_NAME-router" nft "$@"; }

# drop_udp: the path swallows the transport from now on
drop_udp()
{
	router_nft add table inet cli
	router_nft add chain inet cli f '{ type filter hook forward priority 0; }'
	router_nft add rule inet cli f meta l4proto udp drop
}

# interrupt PID: sets status to what it ends with
interrupt()
{
	status=0
	kill -INT "$1"
	wait "$1" || status=$?
}

# verdict_of CHECK [OPTION…]: fail, warn or ok, and whether there is a remedy; the doctor on the client
verdict_of()
{
	jq -r --arg c "$1" '[.checks[] | select(.check == $c and .verdict != "ok")][0] |
		"\(.verdict) \(if .remedy then "remedy" else "" end) \(.detail)"' "$WORK/doctor.json"
}

# examine CMD…: the doctor, run by CMD
examine() { on client "$@" "$HOOKER" doctor --interface eth0 --json >"$WORK/doctor.json" || :; }

# The text exposition format: HELP and TYPE once, ahead of the samples; names, labels and values well formed.
sound_metrics()
{
	awk '
	/^# HELP / { if ($3 in help) bad("HELP twice " $3); help[$3] = 1; next }
	/^# TYPE / { if ($3 in type) bad("TYPE twice " $3); if (!($3 in help)) bad("no HELP " $3)
		if ($4 != "counter" && $4 != "gauge") bad("type " $4); type[$3] = $4; next }
	/^#/ { next }
	!/^[a-z_]+(\{[a-z_]+="[^"\\]*"(,[a-z_]+="[^"\\]*")*\})? -?[0-9.e+]+$/ { bad("line " $0); next }
	{ name = $1; sub(/\{.*/, "", name); samples++
		if (!(name in type)) bad("no TYPE " name)
		if (type[name] == "counter" && name !~ /^hooker_.*_total$/) bad("counter " name)
		if (seen[$1]++) bad("sample twice " $1) }
	function bad(what) { print "wrong: " what; wrong = 1 }
	END { exit wrong || samples < 20 }' "$1"
}

sample() { awk -v name="$1" '$1 == name { print $2 }' "$2"; }

plan 58
hosts_up
cgroup=${CGROUP[client]}

# ---- without a daemon
exits "status without Hooker" 1 hooker status
like "... says how to start it" "$TAP_OUT" "not active.*hooker run"
is "... as data" "$(hooker status --json | jq .running || :)" false
hooker_start server
ok "run -- COMMAND" hooker run -- "$STREAM" fetch --timeout 20 --same-as "$WORK/files/video" "$SERVER" 8080 video
is "... redirected it" "$(stat server counters.established)" 1
exits "... ends as it ends" 7 hooker run -- sh -c 'exit 7'
exits "... or with 127" 127 hooker run -- no-such-command
# shellcheck disable=SC2016
exits "... by its signal" 137 hooker run -- sh -c 'kill -KILL $$'
# shellcheck disable=SC2016
is "... in a cgroup of its own" "$(hooker run -- sh -c 'grep -c "^0::.*/hooker-run-" /proc/self/cgroup')" 1
exits "... waits for what it leaves, keeps its exit code" 3 hooker run -- sh -c '(sleep 0.5; echo late) & exit 3'
like "... all of it" "$TAP_OUT" late
background tree client "$HOOKER" run -- sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.05; done'
tree=$PID
wait_until 5 grep -q up "$WORK/tree.out" || bail "the command does not start"
kill -TERM "$tree"
status=0
wait "$tree" || status=$?
is "... gets the signals" $status 5
ok "... leaves nothing attached" nothing_attached
ok "... nor a cgroup" stays_empty "$cgroup"
exits "check without a daemon" 0 hooker check "$SERVER:8080"
like "... tells the transport" "$TAP_OUT" "redirected to udp"
ok "... leaves nothing attached" nothing_attached
exits "check where nobody listens" 1 hooker check "$SERVER:81"
# Bash starts what is in the background with SIGINT ignored.
background early client env --default-signal=INT "$HOOKER" run -- sleep 60
wait_until 5 test -d "$cgroup/hooker-run-$PID" || bail "run makes no cgroup"
interrupt "$PID"
is "run, interrupted before its command starts" $status 130
ok "... leaves nothing attached, nor a cgroup" stays_bare
path drop
background waits client env --default-signal=INT "$HOOKER" check --timeout 60 "$SERVER:8080"
wait_until 10 connecting || bail "check does not connect"
interrupt "$PID"
is "check, interrupted while it connects" $status 130
ok "... leaves nothing attached, nor a cgroup" stays_bare
background waits client "$HOOKER" check --timeout 60 "$SERVER:8080"
wait_until 10 connecting || bail "check does not connect"
kill -KILL "$PID"
wait "$PID" 2>/dev/null || :
wait_until 10 not_served || bail "its Hooker stays"
exits "check after one that was killed" 1 hooker check --timeout 0.2 "$SERVER:8080"
ok "... takes away what that has left" stays_bare
path
hooker_stop server
exits "check of a peer without Hooker" 1 hooker check "$SERVER:8080"
like "... says so, and the remedy" "$TAP_OUT" "peer-without-hooker.*remedy: run Hooker there"

# ---- with one
cat >"$WORK/hooker.conf" <<-'CONF'
	datapath kernel
	remember 0
	metrics 127.0.0.1:9101
	remote-port 81 use tcp
CONF
hooker_start server --datapath kernel --remember 0
hooker_start client --config "$WORK/hooker.conf"
exits "a second daemon is told of the first" 1 hooker run --interface eth0 --cgroup "$cgroup" --datapath none
background events client "$HOOKER" events --json
wait_until 5 grep -q schema "$WORK/events.out" || bail "no events"
exits "a command joins the daemon" 0 hooker run -- "$STREAM" fetch --timeout 20 "$SERVER" 8080 image
exits "... with its settings" 2 hooker run --transport udplite -- true
is "status: attached, redirected" "$(status_of '"\(.running) \(.cgroup.attached) \(.interfaces[0].name) \(.redirected) \(.rules)"')" \
	"true true eth0 1 1"
like "... for people" "$(hooker status)" "Hooker .* is active: pid .*redirected +1"
ok "events: it was established" wait_until 5 grep -q '"established".*"reason":"negotiated"' "$WORK/events.out"
ok "... and has ended" wait_until 5 grep -q '"ended"' "$WORK/events.out"
background holder client nc "$SERVER" 8080
wait_until 5 shows_nc || bail "no flow of nc"
is "flows: process, transport by the connection" \
	"$(hooker flows --json "$SERVER:8080" | jq -r '[.flows[] | select(.process == "nc") | .reason][0]')" negotiated
is "... another address" "$(hooker flows --json 10.1.1.1 | jq '.flows | length')" 0
like "... RTT and bytes of the kernel's TCP" "$(hooker flows --json | jq -r '.flows[] | select(.process == "nc") | "\(.rtt_ms) \(.retransmissions)"')" '^[0-9.]+ 0$'
(timeout 2 "$ROOT/testbed/testbed" exec client -- "$HOOKER" flows --watch=0.5 || :) >"$WORK/watch"
ok "... --watch without a terminal: a table each" test "$(grep -c '^LOCAL' "$WORK/watch")" -ge 2

on client curl -s http://127.0.0.1:9101/metrics >"$WORK/metrics"
ok "metrics are well formed" sound_metrics "$WORK/metrics"
is "... and true" "$(sample hooker_connections_redirected_total "$WORK/metrics")" "$(status_of .redirected)"
is "... elsewhere: 404" "$(on client curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9101/)" 404
ok "hooker metrics prints the same" sound_metrics <(hooker metrics)

# ---- a blocked path
truncate -s 1G "$WORK/files/big"
background big client "$STREAM" fetch --timeout 20 "$SERVER" 8080 big
big=$PID
wait_until 5 uses_udp || bail "the transfer is not redirected"
drop_udp
status=0
wait "$big" || status=$?
is "a transfer while the path begins to drop UDP" "$status $(jq .bytes "$WORK/big.out")" "0 1073741824"
ok "... is seen to fall back" wait_until 5 grep -qE '"fell-back".*"reason":"(blackhole|peer-fell-back)"' "$WORK/events.out"
is "... and status has the remedy" "$(status_of '.health[] | select(.check == "path") | "\(.verdict) \(.remedy | test("firewall"))"')" "warn true"
router_nft delete table inet cli

# ---- reload
printf 'datapath relay\nremember 0\nmetrics 127.0.0.1:9101\nremote-port 8080 use tcp\n' >"$WORK/hooker.conf"
is "reload: what changed, what can't" "$(hooker reload --json | jq -c '[.changed, .needs_restart]')" '[["rules"],["datapath"]]'
exits "... is in force" 1 hooker check "$SERVER:8080"
printf 'use tcpp\nfly high\n' >"$WORK/hooker.conf"
exits "a bad file: usage" 2 hooker reload
is "... every fault" "$(grep -c "hooker.conf:[12]: " <<<"$TAP_OUT")" 2
is "... the old rules stay" "$(hooker rules)" "remote-port 8080 use tcp"
printf 'datapath kernel\nremember 0\nmetrics 127.0.0.1:9101\n' >"$WORK/hooker.conf"
kill -HUP "$(status_of .pid)"
ok "SIGHUP does the same" wait_until 5 no_rules
hooker_stop client

# ---- broken hosts
ip -netns "hk-$TESTBED_NAME-client" link set eth0 mtu 500
examine setpriv --bounding-set=-net_admin --inh-caps=-net_admin
like "doctor: no privilege" "$(verdict_of privileges)" "^fail remedy .*CAP_NET_ADMIN"
like "... the MTU" "$(verdict_of mtu)" "^fail remedy eth0 has an MTU of 500"
ip -netns "hk-$TESTBED_NAME-client" link set eth0 mtu 1500
background port client nc -u -l 18507
wait_until 5 on client sh -c "ss -Huln sport = 18507 | grep -q ." || bail "nc does not listen"
nsenter --net="/run/netns/hk-$TESTBED_NAME-client" ip link set dev eth0 xdp obj build/hooker/tests/toy.bpf.o program toy_find_rx 2>"$WORK/xdp.err" ||
	cat "$WORK/xdp.err" >&2
examine unshare -m sh -c 'mount -t tmpfs none /sys/kernel/btf; umount -l "$(findmnt -nt cgroup2 -o TARGET | head -1)"; exec "$@"' sh
like "... no BTF" "$(verdict_of btf)" "^fail remedy"
like "... no cgroup v2" "$(verdict_of cgroup)" "^fail remedy no cgroup v2"
like "... a port that is taken" "$(verdict_of ports)" "^fail remedy .*18507/udp"
like "... somebody else's XDP program" "$(verdict_of xdp)" "^fail remedy eth0 has an XDP program"
exits "run where loopback is down: fails" 1 unshare -n sh -c 'ip link add d0 type veth peer name d1 && exec "$@"' sh "$HOOKER" run -i d0
like "... with the remedy" "$TAP_OUT" 'hint: .*ip link set lo up'
