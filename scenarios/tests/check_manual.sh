#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# scenario.5 and the README have every key of a scenario file, its default, and no other; the example is a scenario.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
# shellcheck source=scenarios/lib/config.sh
. "$root/scenarios/lib/config.sh"
page=$root/scenarios/scenario.5
work=$(mktemp -d)
defer 'rm -rf "$work"'

in_code() {
	local key
	config_defaults
	for key in "${!CONFIG[@]}"; do echo "$key ${CONFIG[$key]}"; done | sort
}

# ".It Sy KEY , KEY" and "Default: value" of each.
in_page() {
	awk '
	function flush(  i) { for (i = 1; i <= n; i++) print keys[i] " " value; n = 0; value = "" }
	/^\.It Sy / { flush(); for (i = 3; i <= NF; i++) if ($i != ",") keys[++n] = $i }
	/^Default: / { value = $2 }
	/^\.El/ { flush() }' "$page" | sort
}

readme_keys() {
	sed -n '/^| key | default/,/^$/s/^| \(`[^|]*\) |.*/\1/p' "$root/scenarios/README.md" | grep -oE '[A-Z_]+' | sort
}

plan 4
ok 'scenario.5 is well-formed' mandoc -Tlint -W warning "$page"
is 'it has every key with its default, and no other' "$(in_page)" "$(in_code)"
is 'so have the keys of the README' "$(readme_keys)" "$(in_code | cut -d' ' -f1)"
awk '/^\.Bd -literal/ { on = 1; next } /^\.Ed/ { on = 0 } on' "$page" >"$work/example.conf"
ok 'the example is a scenario' "$root/scenarios/run" --list "$work/example.conf"
