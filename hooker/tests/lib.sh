# shellcheck shell=bash
# Hosts with Hooker on them, for the ns_ tests: a testbed instance of their own, daemons, a stream server.
# Source testbed/lib/tap.sh first. Needs the products in build/.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HOOKER=${HOOKER_UNDER_TEST:-$ROOT/build/hooker/hooker}
STREAM=$ROOT/build/scenarios/stream
SERVER=10.99.2.2
export TESTBED_NAME=t$$ WORK

# shellcheck disable=SC2120 # most tests need no option
# hosts_up [OPTION…]: the hosts, a work folder $WORK with the three files, a server on port 8080.
hosts_up()
{
	((EUID == 0)) || skip_all "needs root"
	WORK=$(mktemp -d)
	defer "rm -rf '$WORK'"
	defer "'$ROOT/testbed/testbed' down"
	"$ROOT/testbed/testbed" up --no-verify "$@" >"$WORK/up.log" 2>&1 || {
		cat "$WORK/up.log" >&2
		bail "no testbed"
	}
	hosts_known
	mkdir "$WORK/files"
	"$STREAM" generate --kind text --size 3072 --seed 1 -o "$WORK/files/text"
	"$STREAM" generate --kind image --size 522240 --seed 1 -o "$WORK/files/image"
	"$STREAM" generate --kind video --size 27262976 --seed 1 -o "$WORK/files/video"
	serve_on 8080
}

# Where the hosts are: their network namespaces and cgroups.
declare -A NETNS=() CGROUP=()
hosts_known()
{
	local host netns cgroup
	while read -r host netns cgroup; do
		NETNS[$host]=$netns CGROUP[$host]=$cgroup
	done < <("$ROOT/testbed/testbed" status --json | jq -r '.hosts | to_entries[] | "\(.key) \(.value.netns) \(.value.cgroup)"')
}

# on HOST CMD…: runs CMD in the host's namespace and cgroup.
on() { (become "$@"); }

# become HOST CMD…: this (sub)shell becomes CMD there: what `testbed exec` does, without its start-up, which takes
# longer than most of what these tests run.
become()
{
	local host=$1
	shift
	echo "$BASHPID" >"${CGROUP[$host]}/cgroup.procs"
	exec nsenter --net="/run/netns/${NETNS[$host]}" -- "$@"
}

# path [RULE]: what the router does to what it forwards, in nft's words. No rule: everything passes.
path()
{
	on router nft -f - <<-END
		table inet path
		delete table inet path
		table inet path {
			chain forward {
				type filter hook forward priority 0
				${1-}
			}
		}
	END
}

# background NAME HOST CMD…: the same in the background; output to $WORK/NAME.out, $PID is its pid.
background()
{
	local name=$1 host=$2
	shift 2
	: >"$WORK/$name.out" # who waits for a line in it must not see an old one
	# Not by on(): $! would be a shell's, and signals would stop there.
	become "$host" "$@" >"$WORK/$name.out" 2>&1 &
	PID=$!
}

serve_on()
{
	local port=$1
	shift
	background "serve-$port" server "$STREAM" serve -p "$port" -r "$WORK/files" "$@"
	wait_until 10 grep -q listening "$WORK/serve-$port.out" || bail "no server on port $port"
}

# shellcheck disable=SC2120,SC2034 # one listens elsewhere; NGINX is for those who stop it
# start_nginx [LISTEN]: on the server, with the same files; NGINX is its pid. /slow takes its time.
start_nginx()
{
	cat >"$WORK/nginx.conf" <<-EOF
	daemon off; pid $WORK/nginx.pid; error_log $WORK/nginx.log; worker_processes 1;
	events { worker_connections 1024; }
	http { access_log off; sendfile on; keepalive_timeout 30; gzip on; gzip_types *; gzip_min_length 1;
	  client_body_temp_path $WORK/b; proxy_temp_path $WORK/p; fastcgi_temp_path $WORK/f; uwsgi_temp_path $WORK/u; scgi_temp_path $WORK/s;
	  server { listen ${1:-80}; root $WORK/files; location = /slow { alias $WORK/files/text; limit_rate 64; } } }
	EOF
	chmod 755 "$WORK" "$WORK/files" # nginx's own user must read them
	background nginx server nginx -c "$WORK/nginx.conf" -p "$WORK"
	NGINX=$PID
	wait_until 10 on client curl -s -o /dev/null "http://$SERVER/text" || bail "no nginx"
}

# hooker_start HOST [OPTION…]: runs until hooker_stop HOST. Sets ${DAEMON[HOST]}.
declare -A DAEMON=()
hooker_start()
{
	local host=$1
	shift
	rm -f "$WORK/hooker-$host.out" # an earlier one was ready, too
	background "hooker-$host" "$host" "$HOOKER" run --interface eth0 --cgroup "${CGROUP[$host]}" "$@"
	DAEMON[$host]=$PID
	wait_until 10 grep -q '^ready' "$WORK/hooker-$host.out" && return
	cat "$WORK/hooker-$host.out" >&2
	bail "Hooker does not start on $host"
}

hooker_stop()
{
	kill "${DAEMON[$1]}" 2>/dev/null || :
	wait "${DAEMON[$1]}" 2>/dev/null || :
}

# stat HOST PATH: one number of `hooker stats`, as counters.established.
stat()
{
	on "$1" "$HOOKER" stats --json | jq ".$2 // 0"
}

# reaches HOST PATH N: that figure of `hooker stats` is N or more.
reaches() { (($(stat "$1" "$2") >= $3)); }

# Neither relay has a connection any more.
relays_idle() { [[ $(stat client relay.open) == 0 && $(stat server relay.open) == 0 ]]; }

# listens HOST PORT: somebody does, over TCP.
listens() { [[ $(on "$1" ss -Hnlt "sport = :$2") ]]; }

# pairs_ports HOST: where its relay connects to itself, a line for each loop.
pairs_ports()
{
	local ports
	ports=$(on "$1" ss -Htln src 127.72.75.1 | awk '{ sub(/.*:/, "", $4); print $4 }')
	[[ $ports ]] && echo "$ports"
}

# fetch FILE [OPTION…]: byte-exact transfer, client from server; JSON in $WORK/fetch.json.
fetch()
{
	local file=$1
	shift
	on client "$STREAM" fetch --timeout 20 --same-as "$WORK/files/$file" "$@" "$SERVER" "${PORT:-8080}" "$file" \
		>"$WORK/fetch.json"
}

# fetch_many COUNT FILE: at the same time; fails unless all arrive byte-exact.
fetch_many()
{
	local count=$1 file=$2 i pids=() bad=0
	for ((i = 0; i < count; i++)); do
		on client "$STREAM" fetch --timeout 60 --same-as "$WORK/files/$file" "$SERVER" 8080 "$file" \
			>"$WORK/many-$i.json" 2>&1 &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || bad=$((bad + 1))
	done
	((bad == 0)) || { cat "$WORK"/many-*.json; return 1; }
}
