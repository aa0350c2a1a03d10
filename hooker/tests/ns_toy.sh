#!/usr/bin/env bash
# A second transport, made as hooker/transport/README.md says: prog_toy.c, toy.bpf.c.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=testbed/lib/tap.sh
. testbed/lib/tap.sh
((EUID == 0)) || skip_all "needs root"

a=hktoy-a-$$ b=hktoy-b-$$
defer "ip netns del $a 2>/dev/null || :"
defer "ip netns del $b 2>/dev/null || :"
ip netns add "$a"
ip netns add "$b"
ip link add toy0 netns "$a" type veth peer name toy0 netns "$b"
ip -n "$a" addr add 10.78.0.1/24 dev toy0
ip -n "$b" addr add 10.78.0.2/24 dev toy0
ip -n "$a" link set toy0 up
ip -n "$b" link set toy0 up
# No exec: what was deferred has to run.
build/hooker/tests/prog_toy "$a" "$b" toy0 build/hooker/tests/toy.bpf.o
