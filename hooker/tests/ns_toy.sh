#!/usr/bin/env bash
# A second transport, made as hooker/transport/README.md says: prog_toy.c, toy.bpf.c.
set -euo pipefail
cd "$(dirname "$0")/../.."

a=hktoy-a-$$ b=hktoy-b-$$
cleanup()
{
	ip netns del "$a" 2>/dev/null || :
	ip netns del "$b" 2>/dev/null || :
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

ip netns add "$a"
ip netns add "$b"
ip link add toy0 netns "$a" type veth peer name toy0 netns "$b"
ip -n "$a" addr add 10.78.0.1/24 dev toy0
ip -n "$b" addr add 10.78.0.2/24 dev toy0
ip -n "$a" link set toy0 up
ip -n "$b" link set toy0 up
# No exec: the trap has to run.
build/hooker/tests/prog_toy "$a" "$b" toy0 build/hooker/tests/toy.bpf.o
