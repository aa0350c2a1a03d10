#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# hooker.8 and hooker.conf.5 say what the program says, all of it, and nothing else; their examples are right.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
work=$(mktemp -d)
defer 'rm -rf "$work"'
hooker=$root/build/hooker/hooker
doc=$root/build/hooker/doc

"$hooker" help --json >"$work/help.json"
for page in hooker.8 hooker.conf.5; do
	mandoc -Tutf8 "$doc/$page" | col -b | tr -s ' \t\n' ' ' >"$work/$page"
done

# options COMMAND: as --help shows them, those of every argp command left out.
options() {
	"$hooker" "$1" --help | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u | grep -vxE -- '--(help|usage|version)' || :
}

data_options() { jq -r --arg c "$1" '.commands[] | select(.name == $c).options[] | "--\(.name)"' "$work/help.json" | sort -u; }

# Options that a text mentions are found by --help too, so what is in the data must be in --help, and the other way
# round all that stands at the beginning of a line.
help_lacks() {
	local command
	for command in $(jq -r '.commands[].name' "$work/help.json"); do
		comm -13 <(options "$command") <(data_options "$command")
		comm -13 <(data_options "$command") \
			<("$hooker" "$command" --help | grep -oE -- '^ +(-[a-zA-Z?], +)?--[a-z][a-z0-9-]*' | grep -oE -- '--[a-z0-9-]+' |
				sort -u | grep -vxE -- '--(help|usage|version)' || :)
	done
}

page_lacks() {
	local word
	while read -r word; do
		grep -qF -- "$word" "$work/$1" || echo "$word"
	done
}

# Options the hand-written text mentions.
unknown_options() {
	comm -23 <(grep -oE -- '--[a-z][a-z0-9-]*' "$work/$1" | sort -u) \
		<({ jq -r '.commands[].options[] | "--\(.name)"' "$work/help.json"; echo --help; } | sort -u)
}

example() { awk '/^\.Bd -literal/ { on = 1; next } /^\.Ed/ { on = 0 } on' "$doc/hooker.conf.5"; }

plan 11
ok 'hooker.8 is well-formed' mandoc -Tlint -W warning "$doc/hooker.8"
ok 'hooker.conf.5 is well-formed' mandoc -Tlint -W warning "$doc/hooker.conf.5"
is 'help as data has the options of --help' "$(help_lacks)" ''
is 'hooker.8 has every command' "$(jq -r '.commands[] | "\(.name) "' "$work/help.json" | page_lacks hooker.8)" ''
is 'hooker.8 has every option' \
	"$(jq -r '.commands[].options[] | "--\(.name)\(if .argument and (.argument_optional | not) then " \(.argument)" else "" end)"' \
		"$work/help.json" | page_lacks hooker.8)" ''
is 'hooker.8 has no other option' "$(unknown_options hooker.8)" ''
is 'hooker.8 has every exit code' "$(jq -r '.exit_codes[] | "\(.code) \(.meaning)"' "$work/help.json" | page_lacks hooker.8)" ''
is 'hooker.conf.5 has every setting' \
	"$(jq -r '.commands[].options[] | select(.setting) | .name' "$work/help.json" | page_lacks hooker.conf.5)" ''
is 'hooker.conf.5 has no other option' "$(unknown_options hooker.conf.5)" ''
example >"$work/example.conf"
ok 'its example is valid' "$hooker" run --check --config "$work/example.conf"
# As delivered, and with all that is commented out.
sed 's/^#\([a-z]\)/\1/' "$root/hooker/package/hooker.conf" >"$work/all.conf"
ok 'so is the configuration that is installed' \
	sh -c "'$hooker' run --check --config '$root/hooker/package/hooker.conf' && '$hooker' run --check --config '$work/all.conf'"
