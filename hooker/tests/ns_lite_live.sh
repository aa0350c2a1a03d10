#!/usr/bin/env bash
# UDP-Lite of a running `hooker run`: its steps replaced, and itself taken away, in the middle of 26 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=testbed/lib/tap.sh
. testbed/lib/tap.sh
# shellcheck source=hooker/tests/lib.sh
. hooker/tests/lib.sh

RATE=${RATE:-40M} # of the client's reading: most of a second, in which something is done to the connection

# Listeners from before Hooker are redirected on Linux 6.12 only: so the server starts behind it.
start_both()
{
	hooker_start client "$@"
	hooker_start server "$@"
	start_nginx
}

stop_both()
{
	kill "$NGINX" 2>/dev/null || :
	wait "$NGINX" 2>/dev/null || :
	hooker_stop client
	hooker_stop server
}

# transports HOST JQ: of what `hooker transports` says of UDP-Lite there
transports()
{
	on "$1" "$HOOKER" transports --json | jq -c ".transports[] | select(.name == \"udplite\") | $2"
}

# flow HOST JQ: of the newest connection to nginx
flow()
{
	on "$1" "$HOOKER" flows --json |
		jq -c "[.flows[] | select(.local_port == 80 or .remote_port == 80)] | min_by(.age_s) | $2"
}
flow_is()
{
	[[ $(flow "$1" "[.transport, .reason]") == "$2" ]]
}

flow_becomes()
{
	wait_until 10 flow_is "$@" || { flow "$1" .; return 1; }
}

begun()
{
	[[ $(flow client '[.state, .transport]') == '["active","udplite"]' ]]
}
# 26 MB, and then on the same connection a trickle that keeps it open to be looked at.
begin()
{
	rm -f "$WORK/got"
	background curl client curl -sS --max-time 60 --limit-rate "$RATE" -o "$WORK/got" "http://$SERVER/video" \
		-o /dev/null "http://$SERVER/slow"
	FETCH=$PID
	wait_until 10 begun || bail "no transfer over UDP-Lite: $(flow client .)"
}

complete()
{
	cmp -s "$WORK/got" "$WORK/files/video"
}
arrived()
{
	wait_until 60 complete || { cat "$WORK/curl.out"; return 1; }
	kill -0 "$FETCH"
}
end()
{
	kill "$FETCH"
	wait "$FETCH" || : killed
}

missing()
{
	transports "$1" '[.steps[].reasons["next-step-missing"].packets // 0] | add'
}

chain_is_gone()
{
	[[ $(on "$1" bpftool net -j | jq '[.[0].tc[]?] | length') == 0 && $(transports "$1" .deployed) == false ]]
}

# Asked for UDP-Lite where it is no longer: both ends agree on UDP.
new_is_udp()
{
	background slow client curl -sS -o /dev/null "http://$SERVER/slow"
	flow_becomes client '["udp","negotiated"]' || { kill "$PID"; return 1; }
	kill "$PID"
}

# The path stands still until the server's TCP has timed out.
timed_out()
{
	local received try
	for ((try = 0; try < 6; try++)); do
		path drop
		if wait_until 1 reaches server counters.kernel_suspect 1; then break; fi
		path
		# Nothing was under way that could time out: the client's kernel, whose window is large, had all of it.
		end
		begin
	done
	((try < 6)) || bail "no timeout"
	received=$(stat client counters.kernel_rx)
	path
	# What timed out is sent again, be it the last that there was to send.
	wait_until 10 reaches client counters.kernel_rx $((received + 1)) || bail "the transfer does not go on"
}

# taken_away WHAT HOST OTHER TRANSPORT [BEFORE]: undeployed on HOST during a transfer, which goes on over TRANSPORT
taken_away()
{
	local what=$1
	begin
	${5-:}
	ok "$what: undeployed" on "$2" "$HOOKER" undeploy udplite
	ok "$what: says so" flow_becomes "$2" "[\"$4\",\"undeployed\"]"
	ok "$what: the peer follows" flow_becomes "$3" "[\"$4\",\"peer-fell-back\"]"
	ok "$what: the transfer survives, byte for byte" arrived
	end
	is "$what: it is gone" "$(transports "$2" .deployed)" false
}

hosts_up
plan 40

# ---- what `hooker run` has deployed is seen and changed by the other commands
printf 'transport udplite\ncoverage 100\n' >"$WORK/hooker.conf"
start_both --config "$WORK/hooker.conf"
is "deployed by the daemon" "$(transports client '[.deployed, .pinned, .from, (.since | type)]')" \
	'[true,false,"built","string"]'
like "hooker transports says who keeps it" "$(on client "$HOOKER" transports)" 'kept by `hooker run`'
begin
is "the coverage is agreed on, and sent" "$(flow client .coverage) $(transports client '.ports[0] | [.coverage, .min_coverage]')" '100 [100,100]'
# The peer keeps what was agreed on, so here nothing else may be sent, nor anything less covered be taken.
printf 'transport udplite\ncoverage 200\n' >"$WORK/hooker.conf"
is "another coverage needs a restart" "$(on client "$HOOKER" reload --json | jq -c '[.changed, .needs_restart]')" '[[],["coverage"]]'
is "... and nothing has changed" "$(transports client '.ports[0] | [.coverage, .min_coverage]')" '[100,100]'
# On a busy machine a transfer may be over before anything was swapped: then another one.
swaps=0 lost='[0]'
for ((round = 0; swaps < 7 && round < 20; round++)); do
	((round == 0)) || { end; begin; }
	while ! complete; do
		for step in parse coverage verify deliver; do
			on client "$HOOKER" deploy udplite --swap "$step"
			complete || swaps=$((swaps + 1))
		done
		for step in classify header checksum; do
			on server "$HOOKER" deploy udplite --swap "$step=$ROOT/build/bpf/udplite.bpf.o"
			complete || swaps=$((swaps + 1))
		done
		lost=$(flow server '[.retransmissions, .tx_bytes, .probe_timeouts]')
	done
done
echo "# $swaps swaps; the sender's retransmissions, bytes, probe timeouts: $lost"
ok "steps were swapped during the transfer" test "$swaps" -ge 7
ok "byte for byte" arrived
end
is "no packet found an empty slot" "$(missing client) $(missing server)" "0 0"
# A burst would be a window: hundreds of the 19000 datagrams.
is "no burst of retransmissions" "$(jq '.[0] < 100' <<<"$lost")" true
exits "an unknown step is refused" 1 on client "$HOOKER" deploy udplite --swap nonsense
like "and named" "$TAP_OUT" "nonsense.*no such step"

# ---- taken away: the relay's connections go on in UDP
taken_away "by the sender" server client udp
ok "nothing of the chain is left" chain_is_gone server
exits "undeploying twice is refused" 1 on server "$HOOKER" undeploy udplite
ok "a new connection uses UDP, and says so" new_is_udp
stop_both
echo 'remote-port 80 use udplite' >"$WORK/rules" # a rule for it is enough to have it deployed
echo 'local-port 80 use udplite' >>"$WORK/rules"
start_both --rules "$WORK/rules"
taken_away "by the receiver" client server udp
stop_both

# ---- coverage: both ends must want the same, or nobody's application sees damage
hooker_start client --transport udplite --coverage 100
hooker_start server --transport udplite
start_nginx
ok "another coverage than the peer's: UDP" new_is_udp
stop_both
exits "a coverage that leaves out the header is refused" 2 timeout 20 nsenter --net="/run/netns/hk-$TESTBED_NAME-client" \
	"$HOOKER" run --interface eth0 --transport udplite --coverage 20
like "and says what there is" "$TAP_OUT" '0 .everything. or at least 72'

# ---- and those of the kernel datapath in TCP
start_both --datapath kernel --transport udplite
is "the kernel datapath has no steps, and says what it has" "$(transports client '[.deployed, .datapath]')" '[true,"kernel"]'
taken_away "kernel datapath, by the sender" server client tcp
ok "a new connection uses UDP there, too" new_is_udp
stop_both
# Even if the sender has had a timeout, it is not the path's fault, and the next connection may try.
start_both --datapath kernel --transport udplite
taken_away "kernel datapath, by the receiver" client server tcp timed_out
is "... which is not held against the path" "$(stat server fallbacks.blackhole)" 0
stop_both
