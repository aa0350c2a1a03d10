#!/usr/bin/env bash
# RFC 3828 packet by packet: test_run and a live link, each verdict and reason. See lite_cases.c.
set -euo pipefail
cd "$(dirname "$0")/../.."

near=hkul-near-$$ far=hkul-far-$$
cleanup()
{
	ip netns del "$near" 2>/dev/null || :
	ip netns del "$far" 2>/dev/null || :
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

ip netns add "$near"
ip netns add "$far"
ip link add lite0 netns "$near" type veth peer name lite0 netns "$far"
ip -n "$near" addr add 10.78.0.1/24 dev lite0
ip -n "$far" addr add 10.78.0.2/24 dev lite0
ip -n "$near" -6 addr add fd78::1/64 dev lite0 nodad
ip -n "$far" -6 addr add fd78::2/64 dev lite0 nodad
ip -n "$near" link set lite0 up
ip -n "$far" link set lite0 up
# No exec: the trap has to run.
build/hooker/tests/prog_udplite "$near" "$far" lite0
