#!/usr/bin/env bash
# run-docs: what it runs, what it compares, what it leaves out, and that it says so.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
work=$(mktemp -d)
defer 'rm -rf "$work"'

# page LINES: run-docs on them; its verdicts, without names, in one line.
page()
{
	cat >"$work/page.md"
	"$root/testbed/run-docs" "$@" "$work/page.md" 2>&1 | sed -nE 's/^ok .*# SKIP.*/skip/p; s/^((not )?ok) .*/\1/p; s/^1\.\.([0-9]+)/\1:/p' | tr '\n' ' '
}

plan 15
is 'a block runs' "$(page <<<$'```sh run\ntrue\n```')" '1: ok '
is 'and may fail' "$(page <<<$'```sh run\nfalse\n```')" '1: not ok '
is 'in any of its lines' "$(page <<<$'```sh run\nfalse\ntrue\n```')" '1: not ok '
is 'a block says what it is' "$(page <<<$'```sh\ntrue\n```')" '1: not ok '
is 'or why it does not run' "$(page <<<$'```sh skip: no time\nfalse\n```')" '1: skip '
is 'but says why' "$(page <<<$'```sh skip\nfalse\n```')" '1: not ok '
is 'an indented command is found' "$(page <<<$'Text\n\n    make all')" '1: not ok '
is 'other languages are left alone' "$(page <<<$'```c\nint main;\n```\n\n    key = value')" '0: '
is 'long blocks wait for --all' "$(page <<<$'```sh long: minutes\nfalse\n```')" '1: skip '
is 'and run with it' "$(page --all <<<$'```sh long: minutes\nfalse\n```')" '1: not ok '
is 'a session is compared' "$(page <<<$'```console run\n$ echo a\nb\n```')" '1: not ok '
is 'but for numbers' "$(page <<<$'```console run\n$ echo in 12.5 ms at 10.1.2.3:40001\nin 7 ms at 10.1.2.3:51234\n```')" '1: ok '
is 'not those of addresses' "$(page <<<$'```console run\n$ echo 10.1.2.3:80\n10.1.2.4:80\n```')" '1: not ok '
is 'nothing may be missing, nor be left over' \
	"$(page <<<$'```console run\n$ echo a; echo b\na\n```\n```console run\n$ echo a\na\nb\n```')" '2: not ok not ok '
page --record <<<$'```console run\n$ echo one\n$ sh -c \'echo three; sleep 100\'\n^C\n```\n```console run\n$ echo two\n```' >/dev/null
is 'a recording is what it printed' "$(tr '\n' ' ' <"$work/page.md")" \
	"\`\`\`console run \$ echo one one \$ sh -c 'echo three; sleep 100' three ^C \`\`\` \`\`\`console run \$ echo two two \`\`\` "
