# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What every adapter of scenarios/peers is: another way of carrying an unmodified TCP application.
#
#   peers/NAME about           what it is, and what was tuned: one paragraph of the report
#   peers/NAME programs        the programs it runs, which a measurement copies to memory first
#   peers/NAME run HOST        carry, on that host, until SIGTERM; prints `ready`
#   peers/NAME launch HOST     the words before the application's command there, if any
#   peers/NAME connect         ADDRESS PORT where the unmodified client connects to
#
# HOST is client or server; `run` is called inside the host's network namespace, on both hosts, the
# server's first. PEER_DIR is a folder that both share, PEER_PORT the server's port; TESTBED_CLIENT and
# TESTBED_SERVER are the hosts' addresses. Exit codes: 0, 1 failed, 2 usage, 4 cannot be had here.
#
# An adapter defines ABOUT, PROGRAMS and peer_run HOST, and if it needs them peer_stop, peer_launch, peer_connect.

# shellcheck source=testbed/lib/signals.sh
. "${BASH_SOURCE[0]%/*}/../../../testbed/lib/signals.sh"

ABOUT='' PROGRAMS=()
peer_stop() { :; }
peer_launch() { :; }
peer_connect() { echo "$TESTBED_SERVER $PEER_PORT"; }

peer_die() { # CODE WHY
	printf '%s: %s\n' "${0##*/}" "$2" >&2
	exit "$1"
}

peer_check() {
	local program
	for program in "${PROGRAMS[@]}"; do
		type -P "$program" >/dev/null ||
			peer_die 4 "'$program' is not installed (testbed/deps peers installs it)"
	done
}

peer_module() { # NAME TRY…: the kernel has it, or gets it now
	local name=$1
	shift
	"$@" >/dev/null 2>&1 || { modprobe "$name" 2>/dev/null && "$@" >/dev/null 2>&1; } ||
		peer_die 4 "Linux $(uname -r) has no $name"
}

# `ready` is said by peer_run: only it knows when.
peer_wait() {
	trap_exit 0 INT TERM
	while :; do sleep infinity & wait $! || :; done
}

# peer_carry PID TEST: the process carries; it is ready when TEST says so.
peer_carry() {
	until eval "$2"; do
		kill -0 "$1" 2>/dev/null || peer_die 1 "${PROGRAMS[0]} ended"
		sleep 0.05
	done
	echo ready
	wait "$1" || :
	peer_die 1 "${PROGRAMS[0]} ended"
}

peer_finish() {
	trap '' INT TERM
	peer_stop
	# Whatever this shell started, sleep included.
	local pid
	for pid in $(jobs -p); do kill "$pid" 2>/dev/null || :; done
	wait
}

peer_main() {
	PATH=$PATH:/usr/sbin:/sbin
	case ${1-} in
	about) printf '%s\n' "${ABOUT//$'\n'/ }" ;;
	programs) printf '%s\n' "${PROGRAMS[@]}" ;;
	launch) peer_launch "${2:?HOST}" ;;
	connect) peer_connect ;;
	run)
		[[ ${2-} == @(client|server) ]] || peer_die 2 "run takes client or server, not '${2-}'"
		peer_check
		trap peer_finish EXIT
		trap_exit 0 INT TERM
		peer_run "$2"
		;;
	*) peer_die 2 "usage: ${0##*/} about | programs | run HOST | launch HOST | connect" ;;
	esac
}
