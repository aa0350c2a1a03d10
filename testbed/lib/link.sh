# The link: its options, the netem parameters that follow from them, and what it measures in truth.
# shellcheck shell=bash disable=SC2034 # its variables are for others

link_defaults()
{
	LINK_RTT_US=0 LINK_LOSS=0 LINK_RATE=0 LINK_MTU=1500 LINK_LIMIT='' LINK_REORDER=0 LINK_DUPLICATE=0 LINK_CORRUPT=0
	LINK_GRO=on LINK_TSO=auto LINK_TXCSUM=on LINK_VERIFY=1
}

# link_opt ARGS…: takes one option of the link; sets TB_SHIFT to how many words it was, 0 if it was none.
link_opt()
{
	TB_SHIFT=0
	case ${1-} in
	--no-verify) LINK_VERIFY=0 TB_SHIFT=1; return ;;
	--rtt | --loss | --rate | --mtu | --limit | --reorder | --duplicate | --corrupt | --gro | --tso | --tx-csum) tb_need_value "$@" ;;
	*) return 0 ;;
	esac
	case $1 in
	--rtt) LINK_RTT_US=$(tb_duration_us "$2") || tb_usage "--rtt '$2' is no time" "such as 50ms, 300us, 0" ;;
	--rate) LINK_RATE=$(tb_rate_bps "$2") || tb_usage "--rate '$2' is no rate" "such as 100mbit, 1gbit, 0 for no limit" ;;
	--loss) LINK_LOSS=$(tb_percent "$2") || link_bad_percent "$@" ;;
	--reorder) LINK_REORDER=$(tb_percent "$2") || link_bad_percent "$@" ;;
	--duplicate) LINK_DUPLICATE=$(tb_percent "$2") || link_bad_percent "$@" ;;
	--corrupt) LINK_CORRUPT=$(tb_percent "$2") || link_bad_percent "$@" ;;
	--mtu)
		# 1280 is what IPv6 needs.
		[[ $2 =~ ^[0-9]{4,5}$ && $2 -ge 1280 && $2 -le 65535 ]] || tb_usage "--mtu '$2' is not in 1280…65535"
		LINK_MTU=$2
		;;
	--limit)
		[[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || tb_usage "--limit '$2' is no number of packets"
		LINK_LIMIT=$2
		;;
	--gro) link_word LINK_GRO "$@" on off ;;
	--tso) link_word LINK_TSO "$@" on off auto ;;
	--tx-csum) link_word LINK_TXCSUM "$@" on off ;;
	esac
	TB_SHIFT=2
}

link_bad_percent()
{
	tb_usage "$1 '$2' is no percentage" "such as 1%, 0.5%"
}

# link_word VARIABLE OPTION VALUE ALLOWED…
link_word()
{
	local -n link_var=$1
	local w
	for w in "${@:4}"; do
		if [[ $3 == "$w" ]]; then
			link_var=$3
			return
		fi
	done
	tb_usage "$2 '$3' is none of: ${*:4}"
}

# Settles what follows from the options. netem's own limit of 1000 packets would drop at high rate × delay, unasked.
link_settle()
{
	if [[ $LINK_REORDER != 0 ]] && ((LINK_RTT_US == 0)); then
		tb_usage "--reorder needs --rtt" "netem reorders by sending some packets without the delay"
	fi
	if [[ -z $LINK_LIMIT ]]; then
		if ((LINK_RATE)); then
			# What is in flight for half the RTT, and one bandwidth-delay product (at least 10 ms) of queue.
			LINK_LIMIT=$((LINK_RATE * (LINK_RTT_US / 2 + (LINK_RTT_US > 10000 ? LINK_RTT_US : 10000)) / 8000000 / LINK_MTU + 100))
		else
			LINK_LIMIT=100000
		fi
	fi
	if [[ $LINK_TSO == auto ]]; then
		# Loss and rate are per frame: a frame must not be 64 KB then.
		if [[ $LINK_LOSS$LINK_REORDER$LINK_DUPLICATE$LINK_CORRUPT == 0000 ]] && ((LINK_RATE == 0)); then
			LINK_TSO=on
		else
			LINK_TSO=off
		fi
	fi
}

# link_netem: the arguments of one direction's qdisc (none if nothing is asked), and of the jq that records it.
link_netem()
{
	LINK_NETEM=()
	((LINK_RTT_US == 0)) || LINK_NETEM+=(delay "$((LINK_RTT_US / 2))us")
	[[ $LINK_REORDER == 0 ]] || LINK_NETEM+=(reorder "$LINK_REORDER%")
	[[ $LINK_LOSS == 0 ]] || LINK_NETEM+=(loss random "$LINK_LOSS%")
	[[ $LINK_DUPLICATE == 0 ]] || LINK_NETEM+=(duplicate "$LINK_DUPLICATE%")
	[[ $LINK_CORRUPT == 0 ]] || LINK_NETEM+=(corrupt "$LINK_CORRUPT%")
	((LINK_RATE == 0)) || LINK_NETEM+=(rate "${LINK_RATE}bit")
	((${#LINK_NETEM[@]} == 0)) || LINK_NETEM=(netem limit "$LINK_LIMIT" "${LINK_NETEM[@]}")
	LINK_JQ_ARGS=(--argjson rtt "$LINK_RTT_US" --argjson loss "$LINK_LOSS" --argjson rate "$LINK_RATE" --argjson mtu "$LINK_MTU"
		--argjson limit "$LINK_LIMIT" --argjson reorder "$LINK_REORDER" --argjson duplicate "$LINK_DUPLICATE"
		--argjson corrupt "$LINK_CORRUPT")
}

# link_has_netem: in a namespace that vanishes at once.
link_has_netem()
{
	local as=(unshare -n)
	((EUID == 0)) || as=(unshare -rn)
	"${as[@]}" tc qdisc add dev lo root netem delay 1ms 2>/dev/null
}

link_need_netem()
{
	link_netem
	((${#LINK_NETEM[@]} == 0)) || link_has_netem ||
		tb_unsupported "this kernel ($(uname -r)) has no netem, so it can't make this link" \
			"make it in a guest: testbed vm run -- testbed/testbed up …; or ask for --rtt 0"
}

# link_offloads NS DEV: as asked, where the driver can.
link_offloads()
{
	local feature
	# netem flips bits of a frame's linear part, and TCP's payload stands in fragments.
	[[ $LINK_CORRUPT == 0 ]] || tb_quiet nsenter --net="$1" ethtool -K "$2" sg off || :
	! tb_quiet nsenter --net="$1" ethtool -K "$2" tso "$LINK_TSO" tx "$LINK_TXCSUM" gro "$LINK_GRO" || return 0
	for feature in "tso $LINK_TSO" "tx $LINK_TXCSUM" "gro $LINK_GRO"; do
		# shellcheck disable=SC2086
		tb_quiet nsenter --net="$1" ethtool -K "$2" $feature || :
	done
}

# For jq: what was asked (with LINK_JQ_ARGS), and what ethtool -k and link_sysctls_read say.
LINK_JQ='
	def asked: {rtt_ms: ($rtt / 1000), loss_pct: $loss, rate_mbit: (if $rate == 0 then null else $rate / 1000000 end), mtu: $mtu,
		limit: $limit, reorder_pct: $reorder, duplicate_pct: $duplicate, corrupt_pct: $corrupt};
	def offloads: {"tcp-segmentation-offload": "tso", "generic-segmentation-offload": "gso", "generic-receive-offload": "gro",
		"tx-checksumming": "tx-checksumming", "rx-checksumming": "rx-checksumming"} as $names |
		split("\n") | map(split(": ") | select($names[.[0]]) | {($names[.[0]]): (.[1] | split(" ")[0])}) | add // {};
	def sysctls: split("\n") | map(select(length > 0) | gsub("\t"; " ") | capture("^(?<k>[^=]*)=(?<v>.*)$") | {(.k): .v}) | add // {};
'

# What TCP does must not depend on the machine's memory or on its administrator.
LINK_SYSCTLS=(
	net.ipv4.tcp_congestion_control=cubic
	net.ipv4.tcp_no_metrics_save=1
	"net.ipv4.tcp_rmem=4096 131072 6291456"
	"net.ipv4.tcp_wmem=4096 16384 4194304"
	net.ipv4.tcp_window_scaling=1
	net.ipv4.tcp_timestamps=1
	net.ipv4.tcp_sack=1
	net.ipv4.tcp_ecn=2
	net.ipv4.tcp_slow_start_after_idle=1
	net.ipv4.tcp_mtu_probing=0
	net.ipv4.conf.all.rp_filter=0
	net.ipv4.conf.default.rp_filter=0
	net.ipv6.conf.all.accept_ra=0
	net.ipv6.conf.default.accept_ra=0
	net.ipv6.conf.all.disable_ipv6=0
	net.ipv6.conf.default.disable_ipv6=0
	net.ipv6.conf.default.accept_dad=0
)

# link_sysctls NS EXTRA…: a kernel may lack one, or refuse it in a namespace; link.json says what they are.
link_sysctls()
{
	local ns=$1 setting
	shift
	for setting in "${LINK_SYSCTLS[@]}" "$@"; do
		tb_trace nsenter --net="$ns" sysctl -qw "$setting"
	done
	# /proc/sys/net shows the namespace of who opens the file: one shell inside does them all.
	nsenter --net="$ns" bash -c 'for s; do f=${s%%=*}; { echo "${s#*=}" >"/proc/sys/${f//.//}"; } 2>/dev/null; done; :' - \
		"${LINK_SYSCTLS[@]}" "$@"
}

link_sysctls_read()
{
	nsenter --net="$1" bash -c 'for s; do f=${s%%=*}; { read -r v <"/proc/sys/${f//.//}"; } 2>/dev/null && printf "%s=%s\n" "$f" "$v"; done; :' - \
		"${LINK_SYSCTLS[@]}" net.ipv4.tcp_mem net.ipv4.tcp_moderate_rcvbuf net.ipv4.tcp_recovery
}

# ---- measuring

# link_measure CLIENT_NS SERVER_NS SERVER_IP: sets LINK_MEASURED (JSON) and LINK_WRONG (empty, or what disagrees).
# In `two-vm` there is no namespace to enter, and no rate can be measured from one side: SERVER_NS is "".
link_measure()
{
	local ns=$1 peer=$2 ip=$3 rtt min loss=null rate=null offered
	LINK_WRONG=''
	if ((!LINK_VERIFY)); then
		LINK_MEASURED='{"rtt_ms":null,"loss_pct":null,"rate_mbit":null,"verified":false}'
		return
	fi
	# Small packets: with a low rate the large ones' own length would count.
	rtt=$(link_ping "$ns" "$ip" 10 0.02) || { LINK_WRONG="no answer to ping from $ip"; rtt=null; }
	if [[ $rtt != null ]]; then
		min=${rtt#*\"min\": } min=${min%%,*}
		# The kernel's own path takes its time too, the more so under emulation.
		awk -v m="$min" -v a="$LINK_RTT_US" 'BEGIN { a /= 1000; exit !(m >= a * 0.995 && m <= a * 1.1 + 5) }' ||
			LINK_WRONG="RTT $min ms instead of $(awk -v a="$LINK_RTT_US" 'BEGIN { print a / 1000 }')"
	fi
	if [[ $LINK_LOSS != 0 && $rtt != null ]]; then
		loss=$(link_measure_loss "$ns" "$ip")
		LINK_WRONG+=$(link_check_loss "$loss")
		loss=$(jq .loss_pct <<<"$loss")
	fi
	if ((LINK_RATE)) && [[ $rtt != null && $peer ]]; then
		read -r rate offered < <(link_measure_rate "$ns" "$peer" "$ip")
		if awk -v o="$offered" -v a="$LINK_RATE" 'BEGIN { exit !(o != "null" && o < a / 1e6) }'; then
			# An emulated processor. What arrives is no measure either: the receiver drops what it can't take.
			tb_note "no more than $offered Mbit/s can be sent here: that the link takes $((LINK_RATE / 1000000)) is not verified"
			rate=null
		else
			LINK_WRONG+=$(link_check_rate "$rate")
		fi
	fi
	printf -v LINK_MEASURED '{"rtt_ms": %s, "loss_pct": %s, "rate_mbit": %s, "verified": %s}' "$rtt" "$loss" "$rate" \
		"$([[ $LINK_WRONG ]] && echo false || echo true)"
}

# link_ping NS IP COUNT INTERVAL: {"min","avg","max","n"} in ms.
link_ping()
{
	local out
	local cmd=(nsenter --net="$1" ping -n -q -s 16 -c "$3" -i "$4" -W 3 "$2")
	tb_trace "${cmd[@]}"
	out=$("${cmd[@]}" 2>&1) || [[ $out == *rtt* ]] || return 1
	awk -F'[ /=]+' '
		/packets transmitted/ { split($0, w, " "); n = w[4] }
		/^rtt/ { printf "{\"min\": %s, \"avg\": %s, \"max\": %s, \"n\": %d}\n", $6, $7, $8, n }' <<<"$out"
}

# A ping is lost if it or its answer is: 1 - (1 - p)².
link_measure_loss()
{
	local out
	local cmd=(nsenter --net="$1" ping -n -q -s 16 -c 2000 -i 0.002 -W 2 "$2")
	tb_trace "${cmd[@]}"
	out=$("${cmd[@]}" 2>&1) || :
	awk '/packets transmitted/ {
		sent = $1; got = $4; p = 1 - sqrt(got / sent)
		printf "{\"loss_pct\": %.4f, \"sent\": %d, \"got\": %d}\n", p * 100, sent, got }' <<<"$out"
}

# Within four standard deviations of the binomial, and a little for rounding.
link_check_loss()
{
	awk -v sent="$(jq .sent <<<"$1")" -v got="$(jq .got <<<"$1")" -v p="$LINK_LOSS" 'BEGIN {
		q = (1 - p / 100) ^ 2; sd = sqrt(sent * q * (1 - q)); d = got - sent * q
		if (d < 0) d = -d
		if (d > 4 * sd + 2) printf ", %d of %d pings came back with a loss of %s %% each way", got, sent, p }'
}

link_check_rate()
{
	awk -v m="$1" -v a="$LINK_RATE" -v l="$LINK_LOSS" 'BEGIN {
		a /= 1e6
		if (m == "null" || m > a * 1.02 || m < a * 0.93 * (1 - l / 50)) printf ", rate %s Mbit/s instead of %s", m, a }'
}

# UDP a little faster than the link: what arrives in a whole second, headers included, is the rate. In Mbit/s, and what
# was sent. Null: it could not be measured.
#
# On a link that loses packets iperf3's own control may wait for a repetition, at either end of the test: so the
# server's seconds count one by one, and the best is the link's, which can't be overrun. Its first datagram
# is not repeated at all: then it is begun again.
link_measure_rate()
{
	local ns=$1 peer=$2 ip=$3 server out='' length=$((LINK_MTU - 28)) port=5999 deadline=20 rate='' tries=5
	# netem counts the Ethernet header too.
	local mbit="def mbit: . * ($length + 42) / $length / 1e6 * 1000 | round / 1000;"
	[[ ${TESTBED_CLOCK:-} != virtual ]] || deadline=7200
	local cmd=(nsenter --net="$ns" timeout "$deadline" iperf3 -J -u -c "$ip" -p "$port" -t 2 -l "$length"
		-b "$((LINK_RATE * 11 / 10))" --get-server-output)
	while [[ ! $rate ]] && ((tries--)); do
		nsenter --net="$peer" iperf3 -s -1 -J -p $port -B "$ip" >/dev/null 2>&1 &
		server=$!
		tb_wait 10 link_listens "$peer" $port || { kill $server 2>/dev/null; break; }
		tb_trace "${cmd[@]}"
		out=$("${cmd[@]}" 2>/dev/null) || :
		kill $server 2>/dev/null || :
		wait $server 2>/dev/null || :
		rate=$(jq -r "$mbit"'[.server_output_json.intervals[].sum | select(.seconds > 0.9).bits_per_second] |
			max // empty | mbit' <<<"$out" 2>/dev/null) || :
	done
	out=$(jq -r "$mbit"'.end.sum_sent.bits_per_second | mbit' <<<"$out" 2>/dev/null) || :
	printf '%s %s\n' "${rate:-null}" "${out:-null}"
}

link_listens()
{
	[[ $(nsenter --net="$1" ss -Htln "sport = :$2") ]]
}
