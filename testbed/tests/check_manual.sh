#!/usr/bin/env bash
# testbed.1 has every command and option the testbed takes, and no other; and so has its help.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
page=$root/testbed/testbed.1

# Every option is a pattern of a case, "--name)" or "--name | --other)". What is run, qemu and the like, has none there.
in_code()
{
	sed -nE 's/^[[:space:]]*((-[a-z] \| )?--[a-z0-9-]+( \| --?[a-z0-9-]+)*)\).*/\1/p' "$root"/testbed/lib/{common,link,net,probe,vm,two-vm}.sh |
		grep -oE -- '--[a-z0-9-]+' | sort -u
}

in_page()
{
	mandoc -Tascii "$page" | col -b | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u
}

commands_lack()
{
	local name
	while read -r name; do
		grep -qE "^\.It Cm $name\b" "$page" || echo "$name"
	done < <(sed -nE '/^declare -A TB_COMMANDS/,/^\)/s/\[([a-z-]+)\]=[a-z_]+/\n\1\n/gp' "$root/testbed/testbed" | grep -xE '[a-z-]+')
}

plan 5
ok 'testbed.1 is well-formed' mandoc -Tlint -W warning "$page"
is 'it has every option' "$(comm -23 <(in_code) <(in_page))" ''
is 'and no other' "$(comm -13 <(in_code) <(in_page))" ''
is 'it has every command' "$(commands_lack)" ''
is 'the help has no option the page lacks' \
	"$(comm -13 <(in_page) <("$root/testbed/testbed" help | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u))" ''
