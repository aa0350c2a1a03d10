#!/usr/bin/env bash
# The kernel datapath between namespaces, without delay: unmodified programs, byte for byte, both transports.
#   client 10.99.1.2 --- router --- 10.99.2.2 server; TRANSPORTS="udp udplite" chooses what is on the wire
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

read -ra transports <<<"${TRANSPORTS:-udp udplite}"
SERVER6=fd99:2::2
URL=http://$SERVER
FEATURES=$ROOT/build/hooker/tests/prog_tcp_features

# The router counts payload bytes by protocol; a handshake ACK or a request is a few hundred.
count_start()
{
	on router nft -f - <<-EOF
	table inet count {
	  counter in_tcp { }
	  counter in_other { }
	  counter in_urgent_tcp { }
	  counter in_urgent_other { }
	  chain forward {
	    type filter hook forward priority 0;
	    meta l4proto tcp counter name in_tcp
	    meta l4proto { udp, udplite } counter name in_other
	    tcp flags & urg == urg counter name in_urgent_tcp
	    meta l4proto { udp, udplite } @th,168,8 & 0x20 == 0x20 counter name in_urgent_other
	  }
	}
	EOF
}

counted() { on router nft -j list counter inet count "in_$1" | jq '.nftables[] | .counter // empty | .bytes'; }
count_reset() { on router nft reset counters table inet count >/dev/null; }

# mostly_redirected: of what crossed the router since count_reset, less than 1 % was TCP.
mostly_redirected()
{
	local tcp other
	tcp=$(counted tcp) other=$(counted other)
	echo "$tcp bytes in TCP, $other on the transport"
	((tcp * 100 < other))
}

curl_keepalive()
{
	local out
	out=$(on client curl -sS -w '%{num_connects} ' -o "$WORK/1" "$URL/video" -o "$WORK/2" "$URL/image" -o "$WORK/3" "$URL/text")
	cmp "$WORK/1" "$WORK/files/video" && cmp "$WORK/2" "$WORK/files/image" && cmp "$WORK/3" "$WORK/files/text" &&
		[[ $out == "1 0 0 " ]] # one connection for all three
}

curl_chunked()
{
	on client curl -sS --compressed -D "$WORK/head" -o "$WORK/1" "$URL/text" &&
		grep -qi 'transfer-encoding: chunked' "$WORK/head" && cmp "$WORK/1" "$WORK/files/text"
}

curl_100()
{
	local i
	on client curl -sS --no-progress-meter -Z --parallel-max 100 --parallel-immediate \
		"$URL/image?[1-100]" -o "$WORK/p#1" || return 1
	for ((i = 1; i <= 100; i++)); do
		cmp "$WORK/p$i" "$WORK/files/image" || return 1
		rm "$WORK/p$i"
	done
}

curl_ip6()
{
	on client curl -gsS -o "$WORK/1" "http://[$SERVER6]/video" && cmp "$WORK/1" "$WORK/files/video"
}

iperf()
{
	on client iperf3 -J -c "$SERVER" -n 30M "$@" >"$WORK/iperf.json" || { jq -r .error "$WORK/iperf.json"; return 1; }
}

# Segments that point at urgent data stay in TCP, whatever else the connection travels on.
urgent_stays_tcp()
{
	feature urgent || return 1
	echo "urgent: $(counted urgent_tcp) bytes in TCP, $(counted urgent_other) on the transport; of all $(counted other) there"
	(($(counted urgent_tcp) > 0 && $(counted urgent_other) == 0 && $(counted other) > 20000000))
}

feature() { on client "$FEATURES" "$1" "$SERVER" 9000 "$WORK/files/video"; }

# What `hooker flows` tells of the three transfers.
flow_is()
{
	# The end that closes first, the server, remembers for the length of TIME_WAIT.
	on server "$HOOKER" flows --json |
		jq -e --arg t "$1" '[.flows[] | select(.local_port == 8080)] | length > 0 and all(.transport == $t and .reason == "negotiated")'
}

# lossy_handshake CMD…: the first SYN-ACK of each connection is lost, and the next one must agree as well.
lossy_handshake()
{
	local status=0 lost
	on router nft -f - <<-EOF
	table inet lossy {
	  chain forward {
	    type filter hook forward priority 0;
	    tcp flags & (syn | ack) == syn | ack numgen inc mod 2 == 0 counter drop
	  }
	}
	EOF
	count_reset
	"$@" || status=1
	lost=$(on router nft list table inet lossy)
	[[ $lost =~ counter\ packets\ [1-9] ]] || { echo "$lost"; status=1; }
	on router nft delete table inet lossy
	mostly_redirected && return $status
}

receives() { if [[ $1 == tc ]]; then echo '"tc ingress"'; else echo '"native XDP"'; fi; }

# Where data is lost both ways, TCP's options leave no room for the transport's header. Nothing may outgrow the MTU;
# what does would be lost in front of a real router, so this one takes more and counts.
lossy_both_ways()
{
	local status=0 lossy
	on router ip link set to-client mtu 1600
	on router ip link set to-server mtu 1600
	on router nft -f - <<-EOF
	table inet lossy {
	  chain forward {
	    type filter hook forward priority 0;
	    meta l4proto { udp, udplite } meta length > 1500 counter
	    numgen random mod 25 == 0 drop
	  }
	}
	EOF
	"$@" || status=1
	lossy=$(on router nft list table inet lossy)
	echo "$lossy"
	[[ $lossy =~ counter\ packets\ 0 ]] || status=1
	on router nft delete table inet lossy
	on router ip link set to-client mtu 1500
	on router ip link set to-server mtu 1500
	return $status
}

nothing_left()
{
	local links hooks
	links=$(on "$1" ip -o link) && hooks=$(on "$1" bpftool net show dev eth0) || return 1
	[[ $links != *hkseg* && ! $hooks =~ driver|generic|tcx|clsact ]]
}

plan $((28 * ${#transports[@]} + 4))
hosts_up
count_start
start_nginx "[::]:80 ipv6only=off"
background iperf server iperf3 -s
background features server "$FEATURES" serve 9000
wait_until 10 grep -q listening "$WORK/features.out" || bail "no feature server"
hooker_start client --datapath kernel
ok "Hooker on one side only: plain TCP" fetch video
is "... and says so" "$(stat client counters.established) $(stat client counters.plain)" "0 1"
is "... received at XDP, unless told otherwise" "$(stat client receive.eth0)" "$(receives xdp)"
hooker_stop client

for transport in "${transports[@]}"; do
	# Downloads are received by the client, uploads by the server: both hooks get both transports.
	client_at=tc server_at=xdp
	[[ $transport == udp ]] || client_at=xdp server_at=tc
	hooker_start client --datapath kernel --transport "$transport" --receive $client_at
	hooker_start server --datapath kernel --transport "$transport" --receive $server_at
	is "$transport: stats say where they receive" "$(stat client receive.eth0) $(stat server receive.eth0)" \
		"$(receives $client_at) $(receives $server_at)"
	count_reset
	for file in text image video; do
		ok "$transport: $file arrives" fetch "$file"
	done
	ok "$transport: flows say so" flow_is "$transport"
	ok "$transport: and the router agrees" mostly_redirected
	ok "$transport: 50 at the same time" fetch_many 50 image
	ok "$transport: both directions at once" fetch video --push "$WORK/files/image"
	ok "$transport: curl, three files over one connection" curl_keepalive
	ok "$transport: curl, chunked" curl_chunked
	ok "$transport: curl, 100 parallel" curl_100
	count_reset
	ok "$transport: curl over IPv6, dual-stack listener" curl_ip6
	ok "$transport: IPv6 is redirected as well" mostly_redirected
	ok "$transport: also if the SYN-ACK had to be sent again" lossy_handshake fetch video
	ok "$transport: ... over IPv6" lossy_handshake curl_ip6
	ok "$transport: ... and over IPv4 to a dual-stack listener" lossy_handshake curl_keepalive
	ok "$transport: both directions at once, with loss" lossy_both_ways fetch video --push "$WORK/files/video"
	ok "$transport: iperf3 up" iperf
	ok "$transport: iperf3 down" iperf -R
	ok "$transport: iperf3, 10 streams" iperf -P 10
	count_reset
	for feature in write splice zerocopy; do
		ok "$transport: $feature, then half-close" feature "$feature"
	done
	ok "$transport: all of it redirected" mostly_redirected
	count_reset
	ok "$transport: urgent data stays in TCP, all else is redirected" urgent_stays_tcp
	is "$transport: nobody fell back" "$(stat client counters.kernel_fallback) $(stat server counters.kernel_fallback)" "0 0"
	hooker_stop client
	hooker_stop server
	ok "$transport: nothing is left on the client" nothing_left client
	ok "$transport: nothing is left on the server" nothing_left server
done
hooker_start client --datapath kernel
segmenter=$(on client ip -o link | sed -n 's/.*\(hkseg[0-9]*\).*/\1/p')
on client ip link del "$segmenter"
ok "a segmenter that somebody deletes is missed" wait_until 5 grep -q 'has been deleted' "$WORK/hooker-client.out"
hooker_stop client
