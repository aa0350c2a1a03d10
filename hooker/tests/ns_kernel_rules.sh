#!/usr/bin/env bash
# Rules: the transport of each connection by prefix, port and cgroup; changed while a connection lives.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

# travels: makes a transfer and says what it used: tcp or transport, by the packets counted on the client
travels()
{
	local before
	before=$(stat client counters.kernel_tx)
	fetch image || echo failed
	if (($(stat client counters.kernel_tx) > before)); then echo transport; else echo tcp; fi
}

# rules HOST LINE…: in force on HOST from now on
rules()
{
	local host=$1
	shift
	printf '%s\n' "$@" >"$WORK/rules"
	on "$host" "$HOOKER" rules "$WORK/rules"
}

# case_of NAME EXPECTED RULE…: a transfer under these rules of the client
case_of()
{
	local name=$1 expected=$2
	shift 2
	rules client "$@"
	is "$name" "$(travels)" "$expected"
}

live_flow_keeps()
{
	local client before
	rules client "use udp"
	before=$(stat client counters.kernel_rx)
	background live client "$STREAM" fetch --timeout 20 "$SERVER" 8080 big
	client=$PID
	wait_until 5 reaches client counters.kernel_rx $((before + 1000)) || return 1
	rules client "use tcp"
	before=$(stat client counters.kernel_rx)
	wait_until 5 reaches client counters.kernel_rx $((before + 1000)) || return 1
	kill "$client"
}

plan 16
hosts_up
head -c 400000000 /dev/zero >"$WORK/files/big"
printf 'use udp\nremote 10.0.0.0/99 use tcp\n' >"$WORK/bad"
exits "a wrong rule: usage error" 2 "$HOOKER" run --datapath kernel --rules "$WORK/bad"
like "... that names the line" "$("$HOOKER" run --datapath kernel --rules "$WORK/bad" 2>&1 || :)" "bad:2: '10.0.0.0/99'"
printf 'remote-port 8080 use tcp\n' >"$WORK/first"
hooker_start server --datapath kernel
hooker_start client --datapath kernel --rules "$WORK/first"
is "a rule given at the start" "$(travels)" tcp
case_of "no rule: the default" transport ""
case_of "by prefix" tcp "remote 10.99.2.0/24 use tcp"
case_of "not that prefix" transport "remote 10.99.3.0/24 use tcp"
case_of "the first that matches decides" transport "remote-port 8080 use udplite" "remote 10.0.0.0/8 use tcp"
mapfile -t others < <(for ((i = 1; i < 64; i++)); do echo "remote 10.7.$i.0/24 remote-port $i use udplite"; done)
case_of "the 64th rule counts as well" tcp "${others[@]}" "remote-port 8080 use tcp"
case_of "... where none before it matches" transport "remote-port 8080 use udp" "${others[@]:1}" "remote-port 8080 use tcp"
cgroup=${CGROUP[client]}
case_of "the 64th, by cgroup" tcp "${others[@]}" "cgroup $cgroup use tcp"
case_of "by cgroup" tcp "cgroup $cgroup use tcp"
mkdir "$cgroup/other"
defer "rmdir '$cgroup/other'"
case_of "another cgroup" transport "cgroup $cgroup/other use tcp"
rules client "use udp"
rules server "local-port 8080 use tcp"
is "the server has a say" "$(travels)" tcp
cgroup=${CGROUP[server]}
rules server "cgroup $cgroup use tcp"
is "by cgroup on the server" "$(travels)" tcp
rules server ""
ok "a live connection keeps its transport" live_flow_keeps
is "hooker rules shows them" "$(on client "$HOOKER" rules)" "use tcp"
