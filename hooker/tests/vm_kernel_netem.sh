#!/usr/bin/env bash
# netem_kernel.sh where there is netem. On demand, how much of plain TCP's goodput is left:
#   testbed/testbed vm run --timeout 3600 --env REPS=15 --env LINKS="loss:0% loss:1% loss:5%" -- hooker/tests/netem_kernel.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh

plan 1
exits "the kernel datapath under loss, reordering and duplication" 0 \
	testbed/testbed vm run -- testbed/run-tests -v --timeout 100000 hooker/tests/netem_kernel.sh
