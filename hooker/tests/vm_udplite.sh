#!/usr/bin/env bash
# The UDP-Lite tests on other kernels: with TCX and without, with a native UDP-Lite and without.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=testbed/lib/tap.sh
. testbed/lib/tap.sh

read -ra kernels <<<"${KERNELS:-6.1 6.12 7.2}"
plan $((3 * ${#kernels[@]} + 1))
for k in "${kernels[@]}"; do
	for test in ns_udplite ns_udplite_rfc3828 ns_toy; do
		ok "$test.sh on Linux $k" testbed/testbed vm run --kernel "$k" -- \
			testbed/run-tests -v --timeout 100000 "hooker/tests/$test.sh"
	done
done
is "Linux 7.2 has no UDP-Lite of its own" "$(testbed/testbed vm run --kernel 7.2 -- \
	build/hooker/hooker transports --json | jq '.transports[0].native')" false
