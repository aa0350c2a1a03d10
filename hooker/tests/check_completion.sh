#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# What bash and zsh offer for each command is what `hooker help --json` has.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
work=$(mktemp -d)
defer 'rm -rf "$work"'
doc=$root/build/hooker/doc
"$root/build/hooker/hooker" help --json >"$work/help.json"
commands=$(jq -r '.commands[].name' "$work/help.json")
options() { jq -r --arg c "$1" '.commands[] | select(.name == $c).options[] | "--\(.name)"' "$work/help.json"; }

# in_bash WORD…: what is offered for the last of them.
in_bash() {
	bash -c '. "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _hooker; printf "%s\n" "${COMPREPLY[@]}"' \
		bash "$doc/hooker.bash" hooker "$@"
}

# bash_lacks: options and commands that bash does not offer.
bash_lacks() {
	local command
	comm -13 <(in_bash '' | sort) <(sort <<<"$commands")
	for command in $commands; do
		comm -13 <(in_bash "$command" -- | sort) <(options "$command" | sort)
	done
}

# in_zsh LINE…: what is offered at the end of each, in $work/offered behind "== LINE". An interactive zsh, on a terminal
# of its own, whose compadd writes down what it is given.
in_zsh() {
	cat >"$work/setup.zsh" <<-'END'
		PS1=
		compadd() {
			local -a hits
			if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
				builtin compadd -A hits "$@"
				print -rl -- $hits >>$OFFERED
			fi
			builtin compadd "$@"
		}
		# zsh forgets both lists after each completion.
		before() { print -r -- "== $BUFFER" >>$OFFERED; compprefuncs=(before) comppostfuncs=(after) }
		after() { print -r -- '<en''d>' }
		before
	END
	cat >"$work/ask.zsh" <<-'END'
		zmodload zsh/zpty
		zpty shell zsh -f -i
		wait_for() {
			local part seen
			while [[ $seen != *$1* ]]; do zpty -r shell part || exit 1; seen+=$part; done
		}
		zpty -w shell "fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; source $2/setup.zsh; print rea''dy"
		wait_for ready
		shift 2
		for line; do
			zpty -w -n shell "$line"$'\t'
			wait_for '<end>'
			zpty -w -n shell $'\C-u'
		done
		zpty -d shell
	END
	OFFERED=$work/offered timeout 30 zsh -f "$work/ask.zsh" "$doc" "$work" "$@"
}

offered() { awk -v want="== $1" '/^== / { on = $0 == want; next } on' "$work/offered" | sort -u; }

zsh_lacks() {
	local command lines=('hooker ')
	for command in $commands; do lines+=("hooker $command --"); done
	in_zsh "${lines[@]}" >/dev/null || echo 'zsh did not answer'
	comm -13 <(offered 'hooker ') <(sort <<<"$commands")
	for command in $commands; do
		comm -13 <(offered "hooker $command --") <(options "$command" | sort)
	done
}

plan 8
is 'bash offers every command and option' "$(bash_lacks)" ''
is 'bash completes a value' "$(in_bash run --datapath k)" kernel
is 'bash completes a value behind =' "$(in_bash run --datapath = n)" none
is 'bash completes an interface' "$(in_bash run -i l | grep -x lo)" lo
is 'bash completes a command of help' "$(in_bash help und)" undeploy
is 'bash completes what is run' "$(in_bash run -- shellchec | sort -u)" shellcheck
ok 'zsh can read its completion' zsh -n "$doc/_hooker"
is 'zsh offers every command and option' "$(zsh_lacks)" ''
