#!/usr/bin/env bash
# A signal ends a shell with the status asked for, by way of its EXIT trap, whatever the shell is doing.
set -euo pipefail
cd "$(dirname "$0")/../.."
source testbed/lib/tap.sh
dir=$(mktemp -d)
defer "rm -rf -- '$dir'"

# ended SIGNAL SCRIPT: what a shell says and how it ends when SCRIPT is run, in which `strike` sends it the signal.
ended()
{
	local rc=0
	cat >"$dir/script" <<-END
		set -euo pipefail
		source testbed/lib/signals.sh
		strike() { kill -$1 \$\$; }
		trap 'echo "\$? cleaned \$(echo up)"' EXIT
		trap_exit 130 INT
		trap_exit 143 TERM HUP
		$2
		echo alive
	END
	env --default-signal=INT,TERM,HUP bash "$dir/script" 2>&1 || rc=$?
	echo "$rc"
}

plan 10
for signal in INT:130 TERM:143 HUP:143; do
	status=${signal#*:} signal=${signal%:*}
	is "$signal between two commands" "$(ended "$signal" strike)" "$status cleaned up"$'\n'"$status"
	# shellcheck disable=SC2016 # for that shell
	is "$signal between two substitutions" "$(ended "$signal" 'x=$(strike)$(echo b)')" "$status cleaned up"$'\n'"$status"
	# shellcheck disable=SC2016 # for that shell
	is "$signal between two of a function, inside a third" \
		"$(ended "$signal" 'f() { local x=$(($(strike; echo 1) + $(echo 2))); echo "$x"; }; f')" "$status cleaned up"$'\n'"$status"
done
# Any other trap that exits would be a syntax error where bash 5.2 is between two substitutions.
is "no other trap exits" "$(grep -rnE "^\s*trap ['\"\$]*exit" hooker scenarios testbed plots | grep -v '^testbed/lib/signals.sh:' || :)" ''
