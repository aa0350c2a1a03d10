# A signal ends the shell by way of its EXIT trap. Sourced, never run.
# shellcheck shell=bash

# trap_exit STATUS SIGNAL…: each of them makes this shell exit with STATUS.
#
# While bash 5.2 looks for the end of a `$(…)` it runs the traps of signals that came meanwhile, with its parser still
# set to stop at the parenthesis: a trap without one is a syntax error there, and the shell exits with 2, or not at all
# (parse.y: xparse_dolparen(), eval.c: parse_command(); 5.1 and 5.3 do not). This one has it, on a line that is never
# read otherwise, for the first has made the shell exit.
trap_exit()
{
	local status=$1
	shift
	# shellcheck disable=SC2064 # the status is known now
	trap "exit $status"$'\n)' "$@"
}
