# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154,SC2034 # work, here, testbed, fast and the job's settings are the sourcing program's
# The hosts of a mode and what runs on them: `cells` and the programs of scenarios/programs share this,
# and `bench` a little of it.
#
# Before: work, here, root, testbed; WORK/job.sh; fast, a folder in memory. Each mode is an instance of
# the testbed. What of it cannot be had is noted in broken[MODE] ("unsupported why", "failed why").

# shellcheck source=testbed/lib/signals.sh
. "$root/testbed/lib/signals.sh"

declare -A daemons=() broken=() ns=() cg=() server=() client=() ifname=()
declare -A goal=() launch=() # where a mode's client connects to; MODE/HOST: words before the application's command
declare -a children=() made=()

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# hosts_memory: the programs and files, in memory. Nothing in a timed section may touch a slow share.
hosts_memory() {
	fast=$(mktemp -d "${TMPDIR:-/tmp}/cells.XXXXXX")
	mkdir "$fast/bin" "$fast/files"
	cp "$root"/build/scenarios/{stream,capture} "$fast/bin/"
	[[ -x $root/build/hooker/hooker ]] && cp "$root/build/hooker/hooker" "$fast/bin/"
	cp "$work"/files/* "$fast/files/" 2>/dev/null || true
}

hosts_cleanup() {
	local pid mode
	trap - EXIT
	trap '' INT TERM # a second signal must not cut this short
	for pid in "${children[@]}"; do kill "$pid" 2>/dev/null || true; done
	for mode in "${!daemons[@]}"; do
		for pid in ${daemons[$mode]}; do kill -TERM "$pid" 2>/dev/null || true; done
		for pid in ${daemons[$mode]}; do wait "$pid" 2>/dev/null || true; done
	done
	# A guest is about to vanish with all it holds; this machine is not.
	if [[ -z ${TESTBED_GUEST-} ]]; then
		for mode in "${made[@]}"; do
			hosts_undeploy "$mode" "$fast/bin/hooker"
			"$testbed" --name "$(instance "$mode")" down >&2 || true
		done
	fi
	if [[ $fast ]]; then rm -rf "$fast"; fi
}

# hosts_undeploy KEY HOOKER: what was deployed there is pinned in the bpf file system, and would outlive the hosts.
hosts_undeploy() {
	local host pins
	for host in client server; do
		[[ ${ns[$1/$host]-} && -e /run/netns/${ns[$1/$host]} ]] || continue
		for pins in "/sys/fs/bpf/hooker-$(stat -Lc %i "/run/netns/${ns[$1/$host]}")"/*; do
			[[ ! -e $pins ]] || (beside "$1" "$host" "$2" undeploy "${pins##*/}") >&2 || true
		done
	done
}

instance() { printf '%s%s' "$PREFIX" "${1//[^a-z0-9]/-}"; }

# on MODE HOST CMD…: what `testbed exec` does, without its start-up in the middle of a cell. Replaces
# the shell: call it in a subshell.
on() {
	local key=$1/$2
	shift 2
	echo "$BASHPID" >"${cg[$key]}/cgroup.procs"
	exec nsenter --net="/run/netns/${ns[$key]}" -- "$@"
}

# The daemon stays outside the hooked cgroup: it must not hook itself.
beside() {
	local key=$1/$2
	shift 2
	exec nsenter --net="/run/netns/${ns[$key]}" -- "$@"
}

# wait_line FILE REGEX PID: until FILE has such a line, or PID is dead.
wait_line() {
	until grep -qs "$2" "$1"; do
		kill -0 "$3" 2>/dev/null || { grep -qs "$2" "$1" && return; return 1; }
		sleep 0.05
	done
}

# Text that may stand inside JSON quotes.
plain() { tr -cd '[:print:]' | tr '"\134' "'/"; }

# hosts_link KEY OPTION…: three hosts and their link. KEY is the mode, or tells apart what a program
# does with one mode. The hosts fill in their checksums themselves, so that the router sees them.
#
# The router is watched where the server's frames enter it, ahead of the delay: a capture takes processor time, and the
# delay line gives it back. Behind it, frames would reach the client in other bursts than without a capture, and
# the largest file's time would scatter by 5 % instead of 0.3 %.
hosts_link() {
	local key=$1 status
	local -a part
	made+=("$key")
	"$testbed" --name "$(instance "$key")" --log "$fast/commands.log" up --tx-csum off --owner $$ "${@:2}" >&2
	status=$("$testbed" --name "$(instance "$key")" status --json)
	printf '%s\n' "$status" >"$work/env/link-$key.json"
	while IFS=$'\t' read -ra part; do
		ns[$key/${part[0]}]=${part[1]} cg[$key/${part[0]}]=${part[2]} ifname[$key/${part[0]}]=${part[3]}
		case ${part[0]} in
		server) server[$key]=${part[4]} ;;
		client) client[$key]=${part[4]} ;;
		esac
	done < <(jq -r '.hosts | to_entries[] | [.key, .value.netns, .value.cgroup, .value.ifname // .value.to_server, .value.ipv4 // ""] | @tsv' <<<"$status")
	goal[$key]="${server[$key]} 8080"
}

# hosts_carry KEY MODE OPTION…: what MODE runs on the hosts, Hooker (with those options too) or a peer.
hosts_carry() {
	local key=$1 mode=$2 host peer
	peer=$(mode_get "$mode" peer)
	if [[ $peer ]]; then
		start_peer "$key" "$peer"
		return
	fi
	for host in $(mode_get "$mode" hosts); do
		[[ ${broken[$key]-} ]] || start_hooker "$key" "$mode" "$host" "${@:3}"
	done
}

start_hooker() { # KEY MODE HOST OPTION…
	local key=$1 host=$3
	local -a options
	[[ -x $fast/bin/hooker ]] || { broken[$key]='failed hooker is not built'; return; }
	read -ra options <<<"$(mode_get "$2" hooker)"
	start_daemon "$key" "$host" hooker "$fast/bin/hooker" run --cgroup "${cg[$key/$host]}" \
		--interface "${ifname[$key/$host]}" "${options[@]}" "${@:4}" --quiet
}

# start_daemon MODE HOST NAME CMD…: until it says that it is ready.
start_daemon() {
	local mode=$1 host=$2 what=$3 name pid rc=0
	name=$fast/$what-$(instance "$mode")-$host
	: >"$name.out"
	(beside "$mode" "$host" "${@:4}") >"$name.out" 2>"$name.err" &
	pid=$!
	daemons[$mode]+="$pid "
	wait_line "$name.out" '^ready$' "$pid" && return
	wait "$pid" || rc=$?
	if ((rc == 4)); then broken[$mode]=unsupported; else broken[$mode]=failed; fi
	broken[$mode]+=" $what on $host, exit $rc: $(tail -n1 "$name.err" | plain)"
}

# start_peer MODE NAME: the adapter of scenarios/peers on both hosts, the server's first.
start_peer() {
	local mode=$1 name=$2 host program
	local -a env
	mkdir -p "$fast/peer-$name"
	env=("PATH=$fast/bin:$PATH" "PEER_DIR=$fast/peer-$name" PEER_PORT=8080
		"TESTBED_CLIENT=${client[$mode]}" "TESTBED_SERVER=${server[$mode]}")
	while read -r program; do
		# Scripts and wrappers stay where they find what belongs to them.
		[[ $(head -c 4 "$(type -P "$program")" 2>/dev/null | tail -c 3) != ELF ]] || cp "$(type -P "$program")" "$fast/bin/"
	done < <("$here/peers/$name" programs)
	for host in server client; do
		[[ ${broken[$mode]-} ]] || start_daemon "$mode" "$host" "$name" env "${env[@]}" "$here/peers/$name" run "$host"
		launch[$mode/$host]=$(env "${env[@]}" "$here/peers/$name" launch "$host")
	done
	goal[$mode]=$(env "${env[@]}" "$here/peers/$name" connect)
}

start_server() {
	local mode=$1 out
	local -a before
	read -ra before <<<"${launch[$mode/server]-}"
	out=$fast/server-$(instance "$1").out
	: >"$out"
	(on "$mode" server "${before[@]}" "$fast/bin/stream" serve --port 8080 --root "$fast/files" "--$SEND") >"$out" 2>&1 &
	children+=($!)
	wait_line "$out" '^listening' $! || broken[$mode]="failed the server: $(tail -n1 "$out" | plain)"
}

