#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The pages: links lead somewhere, commands are run or say why not, and what they tell of the wire and of reasons is so.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
cd "$root"
mapfile -t pages < <(find . -name '*.md' ! -path './build/*' ! -path './results/?*/*' ! -path './.*/*' -printf '%P\n' | LC_ALL=C sort)

# anchors PAGE: as forges make them of headings.
anchors() { sed -n 's/^##* //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'; }

dead_links() {
	local page link file anchor
	for page in "${pages[@]}"; do
		while IFS= read -r link; do
			file=${link%%#*} anchor=''
			[[ $link != *'#'* ]] || anchor=${link#*#}
			if [[ $file ]]; then file=$(dirname "$page")/$file; else file=$page; fi
			if [[ ! -e $file ]]; then
				echo "$page: $link"
			elif [[ $anchor ]] && ! grep -qxF "$anchor" < <(anchors "$file"); then
				echo "$page: $link (no such heading)"
			fi
		done < <(sed '/^```/,/^```/d' "$page" | grep -oE '\]\([^) ]+\)' | sed 's/^](//; s/)$//' | grep -vE '^[a-z]+:')
	done
}

# fields STRUCT: "offset field bytes" of a packed struct of bpf/wire.h.
fields() {
	sed -n "/^struct $1 {/,/^}/p" bpf/wire.h | awk '
	match($0, /__(u|be)(8|16|32|64) [a-z_0-9]+;/) {
		split(substr($0, RSTART, RLENGTH - 1), word, " ")
		bytes = word[1]; gsub(/[^0-9]/, "", bytes); bytes /= 8
		print at + 0, word[2], bytes; at += bytes
	}'
}

# table FIRST-FIELD: the same from the page's table that begins with that field.
table() {
	awk -F ' *[|] *' -v first="$1" '
	$3 == "`" first "`" { on = 1 }
	on && !/^\|/ { exit }
	on { gsub(/`/, "", $3); print $2, $3, $4 }' hooker/doc/inside.md
}

reasons() { sed -n '/static const char \*const words/,/};/s/^.*\[HK_REASON_[A-Z0-9_]*\] = "\([a-z0-9-]*\)".*/\1/p' hooker/base/names.c | grep -vx none | sort; }

plan 6
is 'links lead somewhere' "$(dead_links)" ''
is 'every block of shell is run or says why not' \
	"$(testbed/run-docs --list "${pages[@]}" | awk -F '\t' '$1 == "indented" || $2 !~ /^(run|run (client|server|router)|(skip|long): .*)$/')" ''
is 'the option, byte by byte' "$(table kind)" "$(fields hk_option)"
is 'the frame header, byte by byte' "$(table version_kind)" "$(fields hk_frame)"
is 'every reason is explained' "$(sed -n '/^| reason | what to do/,/^$/s/^| `\([a-z0-9-]*\)` .*/\1/p' hooker/doc/running.md | sort)" "$(reasons)"
is 'pictures are for light and dark' "$(grep -L 'prefers-color-scheme: dark' hooker/doc/*.svg)" ''
