#!/usr/bin/env bash
# The relay's loops under ThreadSanitizer: all that ns_relay_loops.sh does must go as it does without, and no two threads
# may use the same memory at a time, unless both only read it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. testbed/lib/tap.sh

((EUID == 0)) || skip_all "needs root"
program=$PWD/build/races/hooker/hooker
reports=$(mktemp -d)
defer "rm -rf '$reports'"

# Its memory layout and the kernel's randomisation of addresses may not go together: without that they do.
under_sanitizer()
{
	HOOKER_UNDER_TEST=$program TSAN_OPTIONS="log_path=$reports/$1 exitcode=0 ${2-}" setarch -R "${@:3}"
}

tells() { under_sanitizer start verbosity=1 "$program" --version && grep -h "Running under ThreadSanitizer" "$reports"/start.*; }
loops() { under_sanitizer race "" hooker/tests/ns_relay_loops.sh; }
no_race()
{
	! grep -h -A 30 "WARNING: ThreadSanitizer" "$reports"/race.*
}

plan 3
ok "the program under test is watched, and its reports are found" tells
ok "several loops, everything they meet in" loops
ok "... without a race" no_race
