#!/usr/bin/env bash
# UDP-Lite on a kernel that no longer has it. KERNELS="5.10 6.1 6.12" runs the same on others.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=testbed/lib/tap.sh
. testbed/lib/tap.sh

# In the guest: what the kernel says it has, then the tests. Its clock is virtual and runs while it
# waits for the host's files, so that deadlines in the guest mean nothing; that of `vm run` does.
# shellcheck disable=SC2016 # expands in the guest
job='build/hooker/hooker transports --json | jq -c ".transports[] | {name, native}" >&2
exec testbed/run-tests -v --timeout 100000 \
	hooker/tests/ns_udplite.sh hooker/tests/ns_udplite_rfc3828.sh hooker/tests/ns_toy.sh'

read -ra kernels <<<"${KERNELS:-7.2}"
vm_or_skip "${kernels[@]}"
plan $((2 * ${#kernels[@]}))
for k in "${kernels[@]}"; do
	exits "UDP-Lite and a toy transport on Linux $k" 0 \
		testbed/testbed vm run --kernel "$k" -- bash -c "$job"
	native=true
	[[ $k != 7.* ]] || native=false
	like "where native UDP-Lite is $native" "$TAP_OUT" "\"udplite\",\"native\":$native"
done
