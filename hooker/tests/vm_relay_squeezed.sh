#!/usr/bin/env bash
# The relay where the kernel has too little memory for TCP. KERNELS=7.2 runs the same on others.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=testbed/lib/tap.sh
. testbed/lib/tap.sh

read -ra kernels <<<"${KERNELS:-6.12}"
vm_or_skip "${kernels[@]}"
plan ${#kernels[@]}
for k in "${kernels[@]}"; do
	exits "squeezed on Linux $k" 0 \
		testbed/testbed vm run --kernel "$k" -- testbed/run-tests -v --timeout 100000 hooker/tests/relay_squeezed.sh
done
