#!/usr/bin/env bash
# The relay on UDP-Lite in GSO messages: cut before they leave, joined on arrival, and nothing else on the wire.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
. hooker/tests/lib.sh

wire() { tshark -r "$WORK/capture.pcap" -o udplite.check_checksum:TRUE -Y "$1" -T fields -e frame.number 2>/dev/null | wc -l; }

segmenters() { on "$1" sh -c 'ip -br link | grep -c ^hkseg || :'; }

# Of the server, which sends: messages of the kernel against datagrams of the relay.
gso_works() { on server "$HOOKER" stats --json | jq -e .relay.udplite.gso; }

plan 11
# The router must see finished checksums.
hosts_up --tx-csum off
hooker_start client --transport udplite
hooker_start server --transport udplite
is "each interface has a segmenter" "$(segmenters client) $(segmenters server)" "1 1"
background capture router timeout 60 tcpdump -i to-server -U --immediate-mode -s 128 -w "$WORK/capture.pcap"
capture=$PID
wait_until 10 grep -q listening "$WORK/capture.out"
ok "26 MB, byte for byte" fetch video
kill "$capture"
wait "$capture" || :
sent=$(wire 'ip.proto == 136 && ip.src == 10.99.2.2')
ok "in more than 19,000 datagrams of UDP-Lite" test "$sent" -gt 19000
is "none larger than the MTU" "$(wire 'ip.proto == 136 && ip.len > 1500')" 0
is "none in UDP" "$(wire 'ip.proto == 17')" 0
ok "sent in GSO messages" gso_works
is "each arrives as one frame" "$(stat client relay.udplite.malformed.length)" 0
# The whole frame is needed to judge a checksum over all of it.
background capture router timeout 60 tcpdump -i to-server -U --immediate-mode -w "$WORK/capture.pcap"
capture=$PID
wait_until 10 grep -q listening "$WORK/capture.out"
ok "510 KB, byte for byte" fetch image
kill "$capture"
wait "$capture" || :
is "every checksum is right" "$(wire 'ip.proto == 136 && udp.checksum.status == 1')" "$(wire 'ip.proto == 136')"
hooker_stop client
hooker_stop server
is "no segmenter is left" "$(segmenters client) $(segmenters server)" "0 0"
ok "and plain TCP works" fetch text
