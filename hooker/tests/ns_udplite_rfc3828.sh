#!/usr/bin/env bash
# RFC 3828 packet by packet: test_run and a live link, each verdict and reason. See lite_cases.c.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=testbed/lib/tap.sh
. testbed/lib/tap.sh
((EUID == 0)) || skip_all "needs root"

near=hkul-near-$$ far=hkul-far-$$
defer "ip netns del $near 2>/dev/null || :"
defer "ip netns del $far 2>/dev/null || :"
ip netns add "$near"
ip netns add "$far"
ip link add lite0 netns "$near" type veth peer name lite0 netns "$far"
ip -n "$near" addr add 10.78.0.1/24 dev lite0
ip -n "$far" addr add 10.78.0.2/24 dev lite0
ip -n "$near" -6 addr add fd78::1/64 dev lite0 nodad
ip -n "$far" -6 addr add fd78::2/64 dev lite0 nodad
ip -n "$near" link set lite0 up
ip -n "$far" link set lite0 up
# No exec: what was deferred has to run.
build/hooker/tests/prog_udplite "$near" "$far" lite0
