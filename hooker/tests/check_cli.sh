#!/usr/bin/env bash
# The command line: every command explains itself, errors are objects for --json, a configuration is checked as a whole.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh
hooker=build/hooker/hooker
work=$(mktemp -d)
defer "rm -rf '$work'"
commands=$("$hooker" help --json | jq -r '.commands[].name')

# Its help ends well, has an example, and that example names it.
explains_itself()
{
	"$hooker" "$1" --help >"$work/help" && grep -q "^  hooker $1" "$work/help"
}

# error_of CODE OPTION…: ends with CODE; prints the error's object on one line
error_of()
{
	local code=$1 status=0
	shift
	"$hooker" "$@" >"$work/out" 2>/dev/null || status=$?
	((status == code)) || { echo "ended with $status"; return; }
	jq -r '"\(.exit_code) \(.error)"' "$work/out"
}

plan $(($(wc -w <<<"$commands") + 19))
for command in $commands; do
	ok "$command explains itself" explains_itself "$command"
done
exits "no command: usage" 2 "$hooker"
exits "an unknown command: usage" 2 "$hooker" fly
like "... which is named" "$TAP_OUT" "no command 'fly'"
is "an unknown option" "$(error_of 2 flows --json --fly)" "2 unrecognized option '--fly'"
is "a wrong value" "$(error_of 2 flows --json --sort colour)" "2 no column 'colour' to sort by; see --help"
is "a missing argument" "$(error_of 2 check --json)" "2 which HOST:PORT?"
for target in host host: :443; do
	is "'$target' to check" "$(error_of 2 check --json $target)" "2 '$target' is not HOST:PORT"
done
is "what can't be looked up is none" "$(error_of 1 check --json 127.0.0.1:no-such-service | cut -d' ' -f1)" 1
for command in deploy undeploy; do
	is "an unknown transport to $command" "$(error_of 2 $command --json fly)" "2 no transport 'fly': see \`hooker transports\`"
done
is "--json after -- is the command's" "$(error_of 2 run --fly -- x --json | cut -c1-30)" ""

printf 'interface lo\ndatapath kernel\ncoverage 9\nremote 1.2.3.4/33 use tcp\ncolour red\n' >"$work/bad.conf"
exits "a bad configuration: usage" 2 "$hooker" run --check --config "$work/bad.conf"
is "... every fault by its line" "$(grep -c 'bad.conf:[345]: ' <<<"$TAP_OUT")" 3
is "... as an object" "$(error_of 2 run --check --json --config "$work/bad.conf" | cut -d' ' -f1) $(jq '.details | length' "$work/out")" "2 2"
exits "a sound one with an interface that is not here" 1 "$hooker" run --check --config /dev/null --interface nowhere0
like "... which is named, with the remedy" "$TAP_OUT" "no interface 'nowhere0' here: see .ip link"
is "Hooker's version" "$("$hooker" version --json | jq -r .hooker)" "$("$hooker" help --json | jq -r .version)"
