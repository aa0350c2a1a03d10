#!/usr/bin/env bash
# kill -9 of a relay's processes: Hooker userspace, its supervisor, or both, at either end, while a
# stream goes down, goes up, or both applications wait. Both applications must get an error in seconds,
# never a short stream that looks whole; new connections are plain TCP; a restarted daemon works at once.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

LIMIT=10 # seconds from the kill until both applications have heard of it
port=8200

established() { stat "$1" counters.established; }

userspace() { pgrep -P "${DAEMON[$1]}"; }

# kill_9 userspace|supervisor|both HOST
kill_9()
{
	local supervisor=${DAEMON[$2]} child
	child=$(userspace "$2")
	case $1 in
	userspace) kill -9 "$child" ;;
	supervisor) kill -9 "$supervisor" ;;
	both) kill -9 "$supervisor" "$child" ;;
	esac
}

# takes BYTES: has the client's or the server's daemon handed that much to the application at $port?
takes()
{
	{ on client "$HOOKER" flows --json && on server "$HOOKER" flows --json; } | jq -es --argjson port $port \
		"any(.[].flows[]; (.remote_port == \$port or .local_port == \$port) and .rx_bytes >= $1)"
}

# start_stream down|up|wait: two applications with one connection, $CLIENT and $OTHER. They are cat, which
# ends with 0 only if it has seen a complete stream, or written one.
start_stream()
{
	local source="exec cat /dev/zero" sink='exec cat >/dev/null' client server
	client=$sink server=$sink
	[[ $1 != down ]] || server=$source
	[[ $1 != up ]] || client=$source
	background server-app server socat "TCP-LISTEN:$port,reuseaddr" "SYSTEM:$server,nofork"
	OTHER=$PID
	wait_until 5 listens server "$port" || return 1
	background client-app client socat "TCP:$SERVER:$port" "SYSTEM:$client,nofork"
	CLIENT=$PID
	case $1 in
	wait) wait_until 5 takes 0 ;;
	*) wait_until 5 takes 1000000 ;;
	esac
}

# ends NAME PID: it ends, with an error, before LIMIT.
ends()
{
	local status=0
	if ! wait_until $((started + LIMIT - SECONDS)) gone "$2"; then
		echo "the $1 hangs"
		kill -9 "$2"
		return 1
	fi
	wait "$2" || status=$?
	echo "the $1 ended with $status after $((SECONDS - started)) s: $(tail -n 1 "$WORK/$1-app.out")"
	((status != 0))
}
gone() { [[ ! -e /proc/$1 || $(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null) == [ZX] ]]; }

detached()
{
	local hooks
	hooks=$(on "$1" bpftool net show dev eth0) && [[ ! $hooks =~ driver|generic|tcx|clsact ]] &&
		! on "$1" "$HOOKER" stats >/dev/null 2>&1
}

# death WHICH HOST STREAM
death()
{
	local which=$1 host=$2 other=server started before
	[[ $host == server ]] && other=client
	port=$((port + 1))
	start_stream "$3" || { echo "no stream"; return 1; }
	before=$(established $other)
	kill_9 "$which" "$host"
	started=$SECONDS
	ends client "$CLIENT" || return 1
	ends server "$OTHER" || return 1
	wait_until 5 detached "$host" || { echo "something stays attached"; return 1; }
	fetch text || return 1
	[[ $(established $other) == "$before" ]] || { echo "not plain TCP afterwards"; return 1; }
	hooker_start "$host"
	fetch image || return 1
	(($(established $other) == before + 1)) || { echo "not relayed after the restart"; return 1; }
}

# forgotten STREAM: the server's daemon is killed and started again while the client's hears nothing of it. The new
# one does not know the connection and can say so to the client's, but not reset the server's application.
forgotten()
{
	local started
	port=$((port + 1))
	start_stream "$1" || { echo "no stream"; return 1; }
	kill -STOP "$(userspace client)"
	kill_9 both server
	wait_until 5 detached server || { echo "something stays attached"; return 1; }
	hooker_start server
	kill -CONT "$(userspace client)"
	started=$SECONDS
	ends client "$CLIENT" && ends server "$OTHER"
}

retransmissions() { on client nstat -asz TcpRetransSegs | awk '/TcpRetransSegs/ { print $2 }'; }
more_than() { (($(retransmissions) > $1)); }

# short_stream: the client has sent all and closed, the server's application has not read, a part is still at the client's
# daemon. The server's dies, and before anybody hears of it TCP sends its FIN again. That must not end what the
# application has.
short_stream()
{
	local started
	port=$((port + 1))
	mkfifo "$WORK/go" "$WORK/read"
	background server-app server socat "TCP-LISTEN:$port,reuseaddr" "SYSTEM:read x <'$WORK/read'; exec cat >/dev/null,nofork"
	OTHER=$PID
	wait_until 5 listens server "$port" || return 1
	background client-app client bash -c "exec 3<>/dev/tcp/$SERVER/$port; read -r <'$WORK/go'; head -c 10000000 /dev/zero >&3"
	CLIENT=$PID
	wait_until 5 takes 0 || { echo "no stream"; return 1; }
	echo >"$WORK/go"
	wait "$CLIENT" || { echo "the client could not write all"; return 1; }
	wait_until 5 on client sh -c "ss -Htn state fin-wait-1 'dport = :$port' | grep -q ." || { echo "no FIN"; return 1; }
	kill -STOP "$(userspace client)"
	kill_9 both server
	wait_until 5 detached server || { echo "something stays attached"; return 1; }
	wait_until 15 more_than "$(retransmissions)" || { echo "the FIN was not sent again"; return 1; }
	echo >"$WORK/read"
	kill -CONT "$(userspace client)"
	started=$SECONDS
	ends server "$OTHER"
}

plan 21
hosts_up
hooker_start client
hooker_start server
for stream in down up wait; do
	for which in userspace supervisor both; do
		for host in client server; do
			status=0
			# Not by ok(): its subshell would lose the pid of the restarted daemon.
			death $which $host $stream >"$WORK/death.log" 2>&1 || status=$?
			tap_result "$stream: kill -9 of $which at the $host" $status "$(<"$WORK/death.log")"
		done
	done
done
for stream in up wait; do
	status=0
	forgotten $stream >"$WORK/death.log" 2>&1 || status=$?
	tap_result "$stream: killed and started again before the peer hears of it" $status "$(<"$WORK/death.log")"
done
status=0
short_stream >"$WORK/death.log" 2>&1 || status=$?
tap_result "killed with bytes on their way behind which the client has closed" $status "$(<"$WORK/death.log")"
