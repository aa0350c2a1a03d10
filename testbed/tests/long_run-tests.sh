#!/usr/bin/env bash
# run-tests tells a pass from a failure, for each way a test can go wrong.
set -euo pipefail
cd "$(dirname "$0")/.."
source lib/tap.sh

plan 40
dir=$(mktemp -d)
defer "rm -rf -- '$dir'"

# fixture NAME BODY
fixture()
{
	printf '#!/bin/bash\n%s\n' "$2" >"$dir/$1"
	chmod +x "$dir/$1"
}

# verdict NAME CODE LAST-LINE ARGS…: run-tests ends so.
verdict()
{
	local name=$1 code=$2 last=$3
	shift 3
	exits "$name" "$code" env -u HOOKER_EXPECT_ALL ./run-tests "$@"
	is "$name: the count" "$(tail -n 1 <<<"$TAP_OUT")" "$last"
}

fixture good 'echo 1..2; echo ok 1 - a; echo ok 2 - b'
fixture last 'echo ok 1; echo 1..1'
fixture bad 'echo 1..2; echo ok 1; echo not ok 2; exit 1'
fixture code 'echo 1..1; echo ok 1; exit 3'
fixture quiet 'echo 1..1; echo not ok 1 - but exit 0'
fixture noplan 'echo ok 1'
fixture short 'echo 1..3; echo ok 1; echo ok 2'
fixture long 'echo 1..1; echo ok 1; echo ok 2'
fixture zero 'echo 1..0'
fixture nothing ':'
fixture died 'echo 1..2; echo ok 1; kill -9 $$'
fixture skipped 'echo "1..0 # SKIP no such kernel"; exit 4'
fixture skipok 'echo "1..0 # SKIP but exit 0"'
fixture partly 'echo 1..2; echo ok 1; echo "ok 2 # SKIP not here"'
fixture hangs 'echo 1..1; echo ok 1; exec sleep 60'
fixture bails 'echo 1..2; echo ok 1; echo "Bail out! no"; exit 1'

verdict "passing tests" 0 "3 passed, 0 failed, 0 skipped" "$dir/good" "$dir/last"
verdict "a failing one" 1 "3 passed, 1 failed, 0 skipped" "$dir/bad" "$dir/good"
like "its output is shown" "$TAP_OUT" 'not ok 2'
verdict "a non-zero exit" 1 "1 passed, 1 failed, 0 skipped" "$dir/code"
verdict "not ok with exit 0" 1 "0 passed, 1 failed, 0 skipped" "$dir/quiet"
verdict "no plan" 1 "1 passed, 1 failed, 0 skipped" "$dir/noplan"
verdict "fewer than planned" 1 "2 passed, 1 failed, 0 skipped" "$dir/short"
verdict "more than planned" 1 "2 passed, 1 failed, 0 skipped" "$dir/long"
verdict "an empty plan" 1 "0 passed, 1 failed, 0 skipped" "$dir/zero"
verdict "no output" 1 "0 passed, 1 failed, 0 skipped" "$dir/nothing"
verdict "a test that was killed" 1 "1 passed, 1 failed, 0 skipped" "$dir/died"
verdict "a skip" 0 "2 passed, 0 failed, 1 skipped" "$dir/good" "$dir/skipped"
verdict "nothing but skips" 1 "0 passed, 0 failed, 1 skipped" "$dir/skipped"
verdict "a skip without its exit code" 1 "0 passed, 1 failed, 0 skipped" "$dir/skipok"
verdict "a bail-out" 1 "1 passed, 1 failed, 0 skipped" "$dir/bails"
exits "expecting all" 1 env HOOKER_EXPECT_ALL=1 ./run-tests "$dir/good" "$dir/partly"
exits "no arguments" 2 ./run-tests
verdict "a test that hangs" 1 "1 passed, 1 failed, 0 skipped" --timeout 1 "$dir/hangs"

# Each passes only if it sees the other run; the third only if it sees nobody.
meets='echo 1..1; touch "$0.here"; for ((i = 0; i < 60; i++)); do [[ ! -e $OTHER.here ]] || { echo ok 1; exit 0; }; read -rt 0.05 <> <(:) || :; done; echo not ok 1'
fixture one "OTHER='$dir/two'; $meets"
fixture two "OTHER='$dir/one'; $meets"
fixture alone "echo 1..1; pgrep -f '$dir/(one|two)\$' >/dev/null && echo not ok 1 || echo ok 1"
verdict "two at once, then one alone" 0 "3 passed, 0 failed, 0 skipped" --jobs 2 "$dir/one" "$dir/two" --jobs 1 "$dir/alone"
rm -f "$dir"/*.here
verdict "one after the other" 1 "1 passed, 1 failed, 0 skipped" "$dir/one" "$dir/two"
verdict "at once, each is judged by itself" 1 "5 passed, 3 failed, 0 skipped" --jobs 3 "$dir/bad" "$dir/good" "$dir/code" "$dir/quiet" "$dir/last"
exits "a number of jobs that is none" 2 ./run-tests --jobs x "$dir/good"
