#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# stream on loopback: both directions, many at once, resets, usage.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
stream=$root/build/scenarios/stream
work=$(mktemp -d)
defer 'rm -rf "$work"'

# serve NAME OPTION…: a server on a free port; its number goes to `port`, its pid to `pid`.
serve() {
	local name=$1
	shift
	"$stream" serve --bind 127.0.0.1 --port 0 --root "$work/files" "$@" >"$work/$name.out" 2>"$work/$name.err" &
	pid=$!
	defer "kill $pid 2>/dev/null"
	wait_until 10 grep -q '^listening' "$work/$name.out"
	port=$(awk '{ print $4 }' "$work/$name.out")
}

sha() { sha256sum "$1" | cut -d' ' -f1; }
different() { ! cmp -s "$1" "$2"; }
field() { jq -r ".$2" <<<"$1"; }

plan 54
mkdir "$work/files"

for file in text:3072 image:522240 video:27262976; do
	IFS=: read -r kind size <<<"$file"
	"$stream" generate --kind "$kind" --size "$size" --output "$work/files/$kind"
	"$stream" generate --kind "$kind" --size "$size" --output "$work/again"
	is "generate $kind: exactly $size bytes" "$(stat -c %s "$work/files/$kind")" "$size"
	ok "generate $kind: same seed, same bytes" cmp -s "$work/files/$kind" "$work/again"
	"$stream" generate --kind "$kind" --size "$size" --seed 2 --output "$work/again"
	ok "generate $kind: another seed, other bytes" different "$work/files/$kind" "$work/again"
done
is 'the text is text' "$(LC_ALL=C tr -d '\n -~' <"$work/files/text" | wc -c)" 0
ok 'the image holds NULs' grep -qaP '\x00' "$work/files/image"
ok 'the video holds NULs' grep -qaP '\x00' "$work/files/video"
"$stream" generate --kind video --size 0 --output "$work/files/empty"
"$stream" generate --kind video --size 1 --output "$work/files/one"

for how in send sendfile; do
	serve $how --$how
	for name in text image video empty one; do
		json=$("$stream" fetch 127.0.0.1 "$port" "$name" --output "$work/got")
		is "$how $name: the sha256 is the file's" "$(field "$json" sha256)" "$(sha "$work/files/$name")"
	done
	ok "$how: --output writes what came" cmp "$work/files/one" "$work/got"
done
json=$("$stream" fetch 127.0.0.1 "$port" image)
ok 'the times are in order' jq -e '0 < .connect_ns and .connect_ns < .first_byte_ns and
	.first_byte_ns <= .last_byte_ns and .last_byte_ns <= .eof_ns' <<<"$json"
ok '--same-as accepts the same bytes' "$stream" fetch 127.0.0.1 "$port" video --same-as "$work/files/video"
exits '--same-as refuses others' 1 "$stream" fetch 127.0.0.1 "$port" video --same-as "$work/again"

json=$("$stream" fetch 127.0.0.1 "$port" - --push "$work/files/video")
is 'a push ends by half-close and is confirmed' "$(field "$json" pushed_sha256)" "$(sha "$work/files/video")"
json=$("$stream" fetch 127.0.0.1 "$port" video --push "$work/files/image" --same-as "$work/files/video")
is 'both directions at once' "$(field "$json" '| "\(.identical) \(.pushed_sha256)"')" "true $(sha "$work/files/image")"
ok 'an empty push' "$stream" fetch 127.0.0.1 "$port" - --push "$work/files/empty"

# Fifty at once, every byte compared.
pids=() bad=0
for i in {1..50}; do
	"$stream" fetch 127.0.0.1 "$port" image --same-as "$work/files/image" >"$work/fifty.$i" &
	pids+=($!)
done
for i in "${pids[@]}"; do wait "$i" || bad=$((bad + 1)); done
is 'fifty clients at once: none fails' "$bad" 0

json=$("$stream" fetch 127.0.0.1 "$port" nothing 2>/dev/null) && rc=0 || rc=$?
is 'a missing file: exit 1, and JSON says why' "$rc $(field "$json" error)" '1 server says: no such file'
exits 'no way out of the folder' 1 "$stream" fetch 127.0.0.1 "$port" ../again
exits 'a client that aborts exits with 1' 1 "$stream" fetch 127.0.0.1 "$port" video --abort-after 100000
ok 'and the server lives on' "$stream" fetch 127.0.0.1 "$port" text

# What the measuring programs ask for: progress and damage.
json=$("$stream" fetch 127.0.0.1 "$port" video --series 1)
is 'a series: rising, and never beyond the end' "$(jq -c '(.series | length > 1) and (.series | map(.[1]) | . == sort) and
	(.series | map(.[0]) | . == unique) and .series[-1][1] <= .bytes and .series[-1][0] <= .last_byte_ns' <<<"$json")" true
is 'at most one point a millisecond' "$(jq '.series | map(.[0] / 1e6 | floor) | . == unique' <<<"$json")" true
cp "$work/files/image" "$work/damaged"
# The image begins ff d8; @ differs from ff in seven bits and A from d8 in four.
printf '@A' | dd of="$work/damaged" bs=1 conv=notrunc status=none
json=$("$stream" fetch 127.0.0.1 "$port" image --same-as "$work/damaged" --damage) && rc=0 || rc=$?
is 'damage is counted, and no failure' "$rc $(field "$json" damaged_bytes) $(field "$json" damaged_bits) $(field "$json" identical)" '0 2 11 false'
json=$("$stream" fetch 127.0.0.1 "$port" image --same-as "$work/files/image" --damage)
is 'no damage: none counted' "$(field "$json" damaged_bytes) $(field "$json" identical)" '0 true'
exits 'a stream of another length is a failure all the same' 1 "$stream" fetch 127.0.0.1 "$port" image --same-as "$work/files/text" --damage
exits '--series 0: usage' 2 "$stream" fetch 127.0.0.1 "$port" image --series 0

kill -TERM "$pid"
rc=0
wait "$pid" || rc=$?
is 'SIGTERM ends the server with 0' "$rc" 0
exits 'nobody listens: exit 1' 1 "$stream" fetch 127.0.0.1 "$port" text

serve reset --abort-after 1000000
json=$("$stream" fetch 127.0.0.1 "$port" video 2>/dev/null) && rc=0 || rc=$?
is 'a reset in mid-transfer: exit 1' "$rc" 1
like 'and it is told apart from an early end' "$(field "$json" error)" 'Connection reset by peer'

exits 'port in use: exit 1' 1 "$stream" serve --bind 127.0.0.1 --port "$port" --root "$work/files"
like 'and the message names it' "$TAP_OUT" "port $port: Address already in use"
exits 'no such folder: exit 1' 1 "$stream" serve --root "$work/none"
exits 'a bad option: exit 2' 2 "$stream" fetch --nonsense
exits 'a bad kind: exit 2' 2 "$stream" generate --kind sound --size 3 --output "$work/again"

# Two hundred clients of one program: each prints its line, all begin before the first ends.
ulimit -S -n 256 # the server helps itself to more; two hundred clients take four hundred
serve crowd
"$stream" fetch 127.0.0.1 "$port" text --same-as "$work/files/text" --clients 200 >"$work/crowd" && rc=0 || rc=$?
is 'two hundred clients at once: exit 0, a line each' "$rc $(wc -l <"$work/crowd")" '0 200'
is 'each with a connection of its own and every byte' \
	"$(jq -sc '[map(select(.identical and .error == null)) | length, (map(.local_port) | unique | length)]' "$work/crowd")" '[200,200]'
"$stream" fetch 127.0.0.1 "$port" text --same-as "$work/files/image" --clients 3 >"$work/crowd" 2>/dev/null && rc=0 || rc=$?
is 'one that fails fails all' "$rc $(wc -l <"$work/crowd")" '1 3'
exits 'a file that many would write: usage' 2 "$stream" fetch 127.0.0.1 "$port" text --clients 2 --output "$work/got"
