#!/usr/bin/env bash
# The kernel datapath on links that lose, reorder and duplicate, and beside a VLAN, in a guest that has netem: one
# small file over each, both transports, byte for byte and on the transport to the end. Goodput: netem_kernel.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=testbed/lib/tap.sh
. testbed/lib/tap.sh
vm_or_skip

plan 3
exits "a guest" 0 testbed/testbed vm run --timeout 900 --env BYTES=300000 -- hooker/tests/netem_kernel.sh
# Its own lines, in case one of them was skipped: both transports over three links, the VLAN and the lost packet.
is "all that was to be shown" "$(grep -cE '^ok .*(byte for byte|to the end|as they are|is lost)$' <<<"$TAP_OUT")" 14
is "and nothing else went wrong" "$(grep -c '^not ok' <<<"$TAP_OUT")" 0
