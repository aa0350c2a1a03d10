#!/usr/bin/env bash
# The fallback of ns_kernel_faults.sh by UDP-Lite: one case of each kind; FULL=1: the whole table.
set -euo pipefail
TRANSPORT=udplite exec "$(dirname "$0")/ns_kernel_faults.sh"
