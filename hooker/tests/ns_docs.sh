#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Every command of the documentation runs, and sessions print what the pages say. By hand, with the options and pages of
# testbed/run-docs: ns_docs.sh --record hooker/doc/session.md
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
((EUID == 0)) || skip_all "needs root"
cd "$root"
export PATH=$root/build/hooker:$root/testbed:$PATH
if (($#)); then exec testbed/run-docs "$@"; fi
# Reports in results/ are written by scenarios/run.
mapfile -t pages < <(find . -name '*.md' ! -path './build/*' ! -path './results/?*/*' ! -path './.*/*' -printf '%P\n' | LC_ALL=C sort)
exec testbed/run-docs "${pages[@]}"
