#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The numbers in the README are those of results/reference, not typed.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
copy=$(mktemp -d)
defer 'rm -rf "$copy"'
mkdir -p "$copy/scenarios" "$copy/results"
cp "$root/README.md" "$copy/"
cp -r "$root/results/reference" "$copy/results/"
cp "$root/scenarios/reference" "$copy/scenarios/"

plan 4
rows() { grep -c '^| [a-z0-9]*-[0-9A-Z]* | ' "$1" || true; }
is 'a row for each of the summary' "$(rows "$root/README.md")" \
	"$(($(wc -l <"$root/results/reference/paper/summary.csv") - 1))"
"$copy/scenarios/reference"
ok 'README as scenarios/reference writes it' cmp "$root/README.md" "$copy/README.md"
sed -i 's/^| text-3KB | tcp | [0-9]*/| text-3KB | tcp | 999/' "$copy/README.md"
ok 'a typed number would be noticed' test -n "$(cmp "$root/README.md" "$copy/README.md" 2>&1)"
is 'no cell of the reference failed' \
	"$(awk -F, 'NR > 1 && ($9 > 0 || $17 != "ok")' "$root/results/reference/paper/summary.csv")" ''
