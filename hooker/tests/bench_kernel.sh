#!/usr/bin/env bash
# What the kernel datapath costs on this machine: two namespaces and one veth pair, XDP on both ends (through a router
# a plain TCP super-packet would be forwarded whole, and every packet of the transport by itself: not the same work).
# Modes take turns; medians, minima and maxima of REPS turns go to stdout as one flat JSON object.
#   REPS=5 SECONDS_EACH=2 PINGS=20000 CONNS=2000 HELD=10000 MODES="tcp tcp+xdp kernel-udp kernel-udplite"
set -euo pipefail
cd "$(dirname "$0")/../.."

reps=${REPS:-5} seconds=${SECONDS_EACH:-2} pings=${PINGS:-20000} conns=${CONNS:-2000} held=${HELD:-10000}
read -ra modes <<<"${MODES:-tcp tcp+xdp kernel-udp kernel-udplite}"
HOOKER=$PWD/build/hooker/hooker
ECHO=$PWD/build/hooker/tests/prog_echo
SERVER=10.97.0.2
name=hkbench$$
work=$(mktemp -d)
cgroup2=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
daemons=() servers=()

cleanup()
{
	local host
	((${#daemons[@]} + ${#servers[@]} == 0)) || kill "${daemons[@]}" "${servers[@]}" 2>/dev/null || :
	wait
	for host in a b; do
		ip netns del "$name$host" 2>/dev/null || :
		rmdir "$cgroup2/$name$host" 2>/dev/null || :
	done
	rm -rf "$work"
}
trap cleanup EXIT

((EUID == 0)) || { echo "bench_kernel: needs root" >&2; exit 4; }

# on HOST CMD…: exec, so that $! is the command's own
on()
{
	local host=$1
	shift
	exec nsenter --net="/run/netns/$name$host" sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$cgroup2/$name$host" "$@"
}

run() { (on "$@"); }

wait_for()
{
	local end=$((SECONDS + 20))
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || { echo "bench_kernel: '$*' did not come true" >&2; exit 1; }
		sleep 0.02
	done
}

links_up()
{
	local host ip=1
	for host in a b; do
		ip netns add "$name$host"
		mkdir "$cgroup2/$name$host"
	done
	ip link add eth0 netns "${name}a" type veth peer name eth0 netns "${name}b"
	for host in a b; do
		ip -n "$name$host" link set lo up
		ip -n "$name$host" addr add 10.97.0.$((ip++))/24 dev eth0
		ip -n "$name$host" link set eth0 up
		# BBR paces by timers, which on a shared machine measures the machine.
		ip -n "$name$host" route replace 10.97.0.0/24 dev eth0 congctl cubic
	done
}

mode_start()
{
	local host options
	daemons=()
	case $1 in
	tcp) return ;;
	tcp+xdp) options=(--datapath none) ;;
	kernel-*) options=(--datapath kernel --transport "${1#kernel-}") ;;
	*) echo "bench_kernel: no mode '$1'" >&2; exit 2 ;;
	esac
	for host in a b; do
		on "$host" "$HOOKER" run -q -i eth0 -c "$cgroup2/$name$host" "${options[@]}" >"$work/$host" &
		daemons+=($!)
	done
	wait_for grep -q ready "$work/a"
	wait_for grep -q ready "$work/b"
}

mode_stop()
{
	((${#daemons[@]} == 0)) || { kill "${daemons[@]}"; wait "${daemons[@]}" || :; }
	daemons=()
}

put() { printf '%s %s %s\n' "$1" "$2" "$3" >>"$work/raw"; } # what mode value

busy_s() { awk '/^cpu / { print ($2 + $3 + $4 + $7 + $8) / 100 }' /proc/stat; }

# A mode that fell back would be a fine figure of TCP's: refuse it.
check()
{
	local transport=${1#kernel-}
	[[ $1 == kernel-* ]] || return 0
	run a "$HOOKER" flows --json |
		jq -e --arg t "$transport" '.flows | length > 0 and all(.transport == $t)' >/dev/null ||
		{ echo "bench_kernel: $1 did not travel on $transport" >&2; exit 1; }
}

measure()
{
	local before after bytes
	before=$(busy_s)
	run a iperf3 -c "$SERVER" -t "$seconds" -J >"$work/iperf"
	after=$(busy_s)
	check "$1"
	bytes=$(jq .end.sum_received.bytes "$work/iperf")
	put throughput_gbps "$1" "$(jq '.end.sum_received.bits_per_second / 1e9' "$work/iperf")"
	put cpu_s_per_gb "$1" "$(awk -v a="$after" -v b="$before" -v n="$bytes" 'BEGIN { print (a - b) / (n / 1e9) }')"
	put pingpong_1B_p50_us "$1" "$(run a "$ECHO" ping "$SERVER" 9000 "$pings")"
	put connrate "$1" "$(run a "$ECHO" rate "$SERVER" 9000 "$conns")"
}

# Kernel memory of the flow table for each flow, from what the map charges; many flows at once must all work.
hold()
{
	local before after pid
	mode_start "$1"
	before=$(flow_memory)
	mkfifo "$work/go"
	# Both ways, or opening one end would wait for the other.
	on a "$ECHO" hold "$SERVER" 9000 "$held" <>"$work/go" >"$work/held" &
	pid=$!
	wait_for grep -q held "$work/held"
	check "$1"
	after=$(flow_memory)
	echo >"$work/go"
	wait "$pid" || { echo "bench_kernel: $1: $held flows at once failed" >&2; exit 1; }
	rm "$work/go"
	put flow_bytes "$1" "$(((after - before) / held))"
	mode_stop
}

# The newest map of that name: the client's, or the server's, which holds as much.
flow_memory() { bpftool map show name hk_flows -j | jq '[.[] | select(.bytes_memlock)] | max_by(.id) | .bytes_memlock'; }

summary()
{
	jq -nR --argjson held "$held" '
	def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
	[inputs | split(" ") | { what: .[0], mode: .[1], value: (.[2] | tonumber) }]
	| group_by([.what, .mode])
	| map({ what: .[0].what, mode: .[0].mode, values: map(.value) })
	| . as $all
	| def of($what; $mode): $all[] | select(.what == $what and .mode == $mode) | .values | median;
	  (map({ "\(.what).\(.mode)": (.values | median), "\(.what).\(.mode).min": (.values | min), "\(.what).\(.mode).max": (.values | max) }) | add)
	  + ([$all[] | select(.what == "throughput_gbps") | { "throughput_ratio.\(.mode)": (of("throughput_gbps"; .mode) / of("throughput_gbps"; "tcp+xdp")),
	        "throughput_ratio_to_tcp.\(.mode)": (of("throughput_gbps"; .mode) / of("throughput_gbps"; "tcp")) }] | add)
	  + ([$all[] | select(.what == "pingpong_1B_p50_us") | { "pingpong_1B_added_us.\(.mode)": (of("pingpong_1B_p50_us"; .mode) - of("pingpong_1B_p50_us"; "tcp")) }] | add)
	  + ([$all[] | select(.what == "connrate") | { "connrate_ratio.\(.mode)": (of("connrate"; .mode) / of("connrate"; "tcp")) }] | add)
	  + { "flows_held": $held }' <"$work/raw"
}

links_up
on b "$ECHO" serve 9000 >"$work/echo" &
servers+=($!)
on b iperf3 -s >"$work/iperf-server" &
servers+=($!)
wait_for grep -q listening "$work/echo"
wait_for run b sh -c 'ss -Htln | grep -q 5201'
for ((rep = 0; rep < reps; rep++)); do
	for mode in "${modes[@]}"; do
		mode_start "$mode"
		measure "$mode"
		mode_stop
		printf 'bench_kernel: turn %d of %d, %s\n' $((rep + 1)) "$reps" "$mode" >&2
	done
done
for mode in "${modes[@]}"; do
	[[ $mode != kernel-* ]] || hold "$mode"
done
summary
