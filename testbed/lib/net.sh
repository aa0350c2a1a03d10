# up, down, exec, status: client -- router -- server, each a network namespace and a cgroup v2 of the running kernel.
# shellcheck shell=bash

NET_CLIENT=10.99.1.2 NET_SERVER=10.99.2.2
NET_CLIENT6=fd99:1::2 NET_SERVER6=fd99:2::2
declare -A NET_NS NET_PATH

# net_names: the paths of this instance, once its name is known.
net_names()
{
	local base=/run
	((EUID == 0)) || base=${XDG_RUNTIME_DIR:-/tmp}
	NET_BASE=$base
	NET_STATE=$base/testbed-$TB_NAME
	NET_CGROUP2=$(tb_cgroup2) || NET_CGROUP2=''
	NET_CGROUP=$NET_CGROUP2/testbed-$TB_NAME
	local host
	for host in "${TB_HOSTS[@]}"; do
		NET_NS[$host]=hk-$TB_NAME-$host
		NET_PATH[$host]=/run/netns/hk-$TB_NAME-$host
	done
}

net_exists()
{
	[[ -e ${NET_PATH[client]} && -e ${NET_PATH[router]} && -e ${NET_PATH[server]} && -s $NET_STATE/link.json ]]
}

# ---- up

net_up()
{
	local owner='' lock
	NET_DIRECT=0
	link_defaults
	while (($#)); do
		tb_common_opt "$@"
		if ((TB_SHIFT)); then shift "$TB_SHIFT"; continue; fi
		link_opt "$@"
		if ((TB_SHIFT)); then shift "$TB_SHIFT"; continue; fi
		case $1 in
		--owner)
			tb_need_value "$@"
			[[ $2 =~ ^[1-9][0-9]*$ && -d /proc/$2 ]] || tb_usage "--owner '$2' is no living process"
			owner=$2
			shift 2
			;;
		--direct) NET_DIRECT=1; shift ;;
		*) tb_unknown_opt up "$1" ;;
		esac
	done
	tb_begin
	link_settle
	link_netem
	((!NET_DIRECT || ${#LINK_NETEM[@]} == 0)) ||
		tb_usage "--direct has no router to delay, lose or slow anything" "leave --direct out"
	tb_need_root up
	tb_need ip tc ethtool ping jq nsenter unshare flock ss awk
	((LINK_RATE == 0)) || tb_need iperf3
	net_names
	[[ $NET_CGROUP2 ]] || tb_unsupported "cgroup v2 is not mounted" "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
	link_need_netem

	exec {lock}>"/run/testbed.lock"
	flock "$lock"
	net_sweep
	if [[ -e $NET_STATE || -e ${NET_PATH[client]} ]]; then
		tb_note "replacing instance '$TB_NAME'"
		net_remove
	fi
	trap 'net_failed' EXIT
	trap_exit 130 INT
	trap_exit 143 TERM
	net_make "$owner"
	exec {lock}>&-
	link_measure "${NET_PATH[client]}" "${NET_PATH[server]}" $NET_SERVER
	net_record
	if [[ $LINK_WRONG ]]; then
		tb_fail "the link is not as asked: ${LINK_WRONG#, }" "a busy machine? --no-verify skips this check"
	fi
	trap - EXIT INT TERM
}

net_failed()
{
	trap '' INT TERM
	net_remove
}

net_make()
{
	local owner=$1 host forward
	mkdir -m 755 "$NET_STATE"
	[[ $TB_LOG ]] || TB_LOG=$NET_STATE/commands.log
	[[ -z $owner ]] || printf '%s %s\n' "$owner" "$(net_start_time "$owner")" >"$NET_STATE/owner"
	mkdir "$NET_CGROUP" "${TB_HOSTS[@]/#/$NET_CGROUP/}" ||
		tb_unsupported "can't make a cgroup in '$NET_CGROUP2'" "is cgroup v2 writable here?"
	tb_batch ip < <(printf 'netns add %s\n' "${NET_NS[@]}")
	for host in "${TB_HOSTS[@]}"; do
		forward=()
		[[ $host != router ]] || forward=(net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1)
		link_sysctls "${NET_PATH[$host]}" "${forward[@]}"
	done
	if ((NET_DIRECT)); then
		net_cable_direct
		return
	fi
	net_cables
	((${#LINK_NETEM[@]} == 0)) || tb_batch tc -n "${NET_NS[router]}" <<-END
		qdisc replace dev to-client root ${LINK_NETEM[*]}
		qdisc replace dev to-server root ${LINK_NETEM[*]}
	END
}

# net_cables: each host's veth to the router, its addresses, neighbours and routes. Neighbours are static: the answer
# to an ARP request would be delayed too, and the first packet take two round trips.
net_cables()
{
	local host n router=${NET_NS[router]} mac=02:00:0a:63
	local -A number=([client]=1 [server]=2)
	tb_batch ip <<-END
		link add eth0 netns ${NET_NS[client]} mtu $LINK_MTU address $mac:01:02 type veth peer name to-client netns $router mtu $LINK_MTU address $mac:01:01
		link add eth0 netns ${NET_NS[server]} mtu $LINK_MTU address $mac:02:02 type veth peer name to-server netns $router mtu $LINK_MTU address $mac:02:01
	END
	for host in client server; do
		link_offloads "${NET_PATH[$host]}" eth0
	done
	tb_batch ip -n "$router" < <(
		for host in client server; do
			n=${number[$host]}
			cat <<-END
				addr add 10.99.$n.1/24 dev to-$host
				addr add fd99:$n::1/64 dev to-$host nodad
				link set to-$host up
				neigh replace 10.99.$n.2 lladdr $mac:0$n:02 dev to-$host nud permanent
				neigh replace fd99:$n::2 lladdr $mac:0$n:02 dev to-$host nud permanent
			END
		done
	)
	# The router's end is up: a route by IPv6 needs both. congctl on the route as well: some kernels refuse the sysctl
	# in a namespace.
	for host in client server; do
		n=${number[$host]}
		tb_batch ip -n "${NET_NS[$host]}" <<-END
			link set lo up
			addr add 10.99.$n.2/24 dev eth0
			addr add fd99:$n::2/64 dev eth0 nodad
			link set eth0 up
			neigh replace 10.99.$n.1 lladdr $mac:0$n:01 dev eth0 nud permanent
			neigh replace fd99:$n::1 lladdr $mac:0$n:01 dev eth0 nud permanent
			route add default via 10.99.$n.1 congctl cubic
			route add default via fd99:$n::1 congctl cubic
		END
	done
}

# net_cable_direct: the same addresses, one cable between the two; the router stands beside it.
net_cable_direct()
{
	local host peer n ns pmac
	tb_cmd ip link add eth0 netns "${NET_NS[client]}" mtu "$LINK_MTU" address 02:00:0a:63:01:02 type veth \
		peer name eth0 netns "${NET_NS[server]}" mtu "$LINK_MTU" address 02:00:0a:63:02:02
	for host in client server; do
		link_offloads "${NET_PATH[$host]}" eth0
		tb_batch ip -n "${NET_NS[$host]}" <<<$'link set lo up\nlink set eth0 up'
	done
	for host in client server; do
		[[ $host == client ]] && n=1 peer=2 || n=2 peer=1
		ns=${NET_NS[$host]} pmac=02:00:0a:63:0$peer:02
		tb_batch ip -n "$ns" <<-END
			addr add 10.99.$n.2/24 dev eth0
			addr add fd99:$n::2/64 dev eth0 nodad
			neigh replace 10.99.$peer.2 lladdr $pmac dev eth0 nud permanent
			neigh replace fd99:$peer::2 lladdr $pmac dev eth0 nud permanent
			route add default dev eth0 congctl cubic
			route add fd99::/16 dev eth0 congctl cubic
		END
	done
}

net_record()
{
	jq -n "${LINK_JQ_ARGS[@]}" --arg name "$TB_NAME" --arg kernel "$(</proc/sys/kernel/osrelease)" --arg clock "${TESTBED_CLOCK:-real}" \
		--arg state "$NET_STATE" --arg cgroup "$NET_CGROUP" --argjson measured "$LINK_MEASURED" \
		--arg ip4c $NET_CLIENT --arg ip4s $NET_SERVER --arg ip6c $NET_CLIENT6 --arg ip6s $NET_SERVER6 \
		--arg qdiscs "$(tc -n "${NET_NS[router]}" qdisc show)" --arg sysctls "$(link_sysctls_read "${NET_PATH[client]}")" \
		--arg offc "$(nsenter --net="${NET_PATH[client]}" ethtool -k eth0)" \
		--arg offs "$(nsenter --net="${NET_PATH[server]}" ethtool -k eth0)" "$LINK_JQ"'
		def host($h): {netns: "hk-\($name)-\($h)", cgroup: "\($cgroup)/\($h)"};
		def qdisc($d): $qdiscs | split("\n") | map(select(contains(" dev \($d) ")))[0] // "" | sub(" dev [^ ]+"; "");
		{schema: 1, name: $name, up: true, kernel: $kernel, clock: $clock, state: $state,
		 hosts: {client: (host("client") + {ifname: "eth0", ipv4: $ip4c, ipv6: $ip6c, mac: "02:00:0a:63:01:02"}),
		         router: (host("router") + {to_client: "to-client", to_server: "to-server"}),
		         server: (host("server") + {ifname: "eth0", ipv4: $ip4s, ipv6: $ip6s, mac: "02:00:0a:63:02:02"})},
		 asked: asked, measured: $measured, qdisc: {"to-client": qdisc("to-client"), "to-server": qdisc("to-server")},
		 sysctls: ($sysctls | sysctls), congctl: "cubic", offloads: {client: ($offc | offloads), server: ($offs | offloads)}}' \
		>"$NET_STATE/link.json"
}

# ---- down

net_down()
{
	local lock
	while (($#)); do
		tb_common_opt "$@"
		((TB_SHIFT)) || tb_unknown_opt down "$1"
		shift "$TB_SHIFT"
	done
	tb_begin
	tb_need_root down
	tb_need ip flock
	net_names
	exec {lock}>"/run/testbed.lock"
	flock "$lock"
	net_remove
}

# net_remove: idempotent; everything of this instance that is there goes, in whatever state a kill left it.
net_remove()
{
	local host ns dir
	[[ -e $NET_STATE || -d $NET_CGROUP || -e ${NET_PATH[client]} || -e ${NET_PATH[router]} || -e ${NET_PATH[server]} ]] || return 0
	net_kill_all
	for host in "${TB_HOSTS[@]}"; do
		ns=${NET_NS[$host]}
		# A name whose mount is gone (a killed `ip netns add`) is but a file.
		[[ ! -e /run/netns/$ns ]] || tb_quiet ip netns delete "$ns" || rm -f "/run/netns/$ns"
	done
	if [[ $NET_CGROUP2 && -d $NET_CGROUP ]]; then
		while IFS= read -r dir; do
			# A killed process leaves its cgroup a little after it is gone from /proc.
			tb_wait 10 rmdir_quiet "$dir" || tb_note "can't remove the cgroup '$dir'"
		done < <(find "$NET_CGROUP" -depth -type d)
	fi
	rm -rf -- "$NET_STATE"
}

rmdir_quiet()
{
	rmdir "$1" 2>/dev/null || [[ ! -d $1 ]]
}

# net_kill_all: what runs in the hosts' cgroups or namespaces. Not this shell, should it stand in one of them.
net_kill_all()
{
	tb_wait 10 net_kill_once || tb_note "processes of '$TB_NAME' do not die: $(net_pids | tr '\n' ' ')"
}

net_kill_once()
{
	local pids
	mapfile -t pids < <(net_pids)
	((${#pids[@]})) || return 0
	kill -KILL "${pids[@]}" 2>/dev/null
	return 1
}

net_pids()
{
	local host
	{
		[[ ! -d $NET_CGROUP || -z $NET_CGROUP2 ]] || find "$NET_CGROUP" -name cgroup.procs -exec cat {} + 2>/dev/null
		for host in "${TB_HOSTS[@]}"; do
			[[ ! -e ${NET_PATH[$host]} ]] || ip netns pids "${NET_NS[$host]}" 2>/dev/null || :
		done
	} | sort -un | grep -vx -e 0 -e $$ || :
}

# net_sweep: instances whose recorded owner is dead.
net_sweep()
{
	local state owner start keep=$TB_NAME log=$TB_LOG
	for state in "$NET_BASE"/testbed-*/owner; do
		[[ -e $state ]] || continue
		read -r owner start <"$state" || continue
		[[ $(net_start_time "$owner") != "$start" ]] || continue
		TB_NAME=${state%/owner}
		TB_NAME=${TB_NAME##*/testbed-}
		tb_note "removing instance '$TB_NAME', whose owner $owner is dead"
		net_names
		net_remove
	done
	TB_NAME=$keep TB_LOG=$log
	net_names
}

# A process id alone may have been given to another process since.
net_start_time()
{
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	stat=${stat##*) }
	awk '{ print $20 }' <<<"$stat"
}

# ---- exec, status

net_exec()
{
	local host
	while tb_common_opt "$@"; ((TB_SHIFT)); do
		shift "$TB_SHIFT"
	done
	tb_begin
	host=${1-}
	[[ " ${TB_HOSTS[*]} " == *" $host "* && $host ]] || tb_usage "'exec' needs a host: ${TB_HOSTS[*]}" "testbed exec client -- CMD…"
	shift
	[[ ${1-} != -- ]] || shift
	(($#)) || tb_usage "'exec $host' needs a command"
	tb_need_root exec
	net_names
	net_exists || tb_fail "no instance '$TB_NAME' is up" "testbed up"
	[[ $TB_LOG ]] || TB_LOG=$NET_STATE/commands.log
	echo 0 >"$NET_CGROUP/$host/cgroup.procs" || tb_fail "can't enter the cgroup '$NET_CGROUP/$host'"
	export TESTBED_HOST=$host TESTBED_NAME=$TB_NAME TESTBED_CGROUP=$NET_CGROUP/$host TESTBED_CLIENT=$NET_CLIENT \
		TESTBED_SERVER=$NET_SERVER TESTBED_CLIENT6=$NET_CLIENT6 TESTBED_SERVER6=$NET_SERVER6
	tb_trace nsenter --net="${NET_PATH[$host]}" -- "$@"
	exec nsenter --net="${NET_PATH[$host]}" -- "$@"
}

net_status()
{
	local json=0
	while (($#)); do
		tb_common_opt "$@"
		if ((TB_SHIFT)); then shift "$TB_SHIFT"; continue; fi
		[[ $1 == --json ]] || tb_unknown_opt status "$1"
		json=1
		shift
	done
	tb_begin
	net_names
	if ! net_exists; then
		if ((json)); then
			printf '{"schema": 1, "name": "%s", "up": false}\n' "$TB_NAME"
		else
			echo "'$TB_NAME' is not up"
		fi
		return
	fi
	if ((json)); then
		cat "$NET_STATE/link.json"
		return
	fi
	jq -r '"instance \(.name), state in \(.state), \(.clock) time, Linux \(.kernel)",
		(.hosts | to_entries[] | "  \(.key): netns \(.value.netns)\(if .value.ipv4 then ", \(.value.ipv4), \(.value.ipv6)" else "" end)"),
		"  asked:    \(.asked | tojson)", "  measured: \(.measured | tojson)",
		(.qdisc | to_entries[] | "  \(.key): \(.value)")' "$NET_STATE/link.json"
	printf '  processes: %s\n' "$(net_pids | wc -l)"
}
