#!/usr/bin/env bash
# A guest: its links are as asked, its output, files and exit code come back, and no way to fail leaves anything behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
source testbed/lib/tap.sh
vm_or_skip

plan 26
# A repository whose path is a trial, on what is a fresh tmpfs in the guest, read by a user who may not write it.
dir=$(mktemp -d /tmp/testbed-test.XXXXXX)
defer "rm -rf -- '$dir'"
repo="$dir/a b,c'd"
mkdir -p "$repo" "$dir/share, too" "$dir/tmp"
cp -r testbed "$repo/"
chmod -R a+rX,a-w "$repo"
export TMPDIR=$dir/tmp
as=()
if ((EUID == 0)); then
	# Without root, as it should be; the kernels are those of the user who asked.
	suite=$(testbed/testbed vm prepare --json | jq -r .suite)
	kernels=hooker/kernels
	mkdir -p "$dir/cache/$kernels"
	cp -r "${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/$kernels/$suite" "$dir/cache/$kernels/"
	export XDG_CACHE_HOME=$dir/cache
	chown -R 65534:65534 "$dir"
	as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
fi
T=$repo/testbed/testbed

cat >"$dir/share, too/job" <<'END'
set -e
echo "to stdout"; echo "to stderr" >&2
pwd >pwd.txt 2>/dev/null || pwd >"$TESTBED_SHARE/pwd"
{ echo "$1"; id -u; echo "$TESTBED_GUEST $TRIAL"; } >"$TESTBED_SHARE/said"
cp "$TESTBED_VM_INFO" "$TESTBED_SHARE/vm.json"
testbed/testbed up --rtt 50ms
testbed/testbed status --json >"$TESTBED_SHARE/rtt.json"
testbed/testbed exec client -- ping -q -c 5 -i 0.2 10.99.2.2 >"$TESTBED_SHARE/ping"
testbed/testbed up --rtt 20ms --loss 2% --rate 20mbit 2>"$TESTBED_SHARE/up"
testbed/testbed status --json >"$TESTBED_SHARE/lossy.json"
testbed/testbed probe --json >"$TESTBED_SHARE/probe.json"
testbed/testbed down
ls -d /run/netns/* >"$TESTBED_SHARE/left" 2>/dev/null || :
exit 9
END
status=0
(cd "$repo" && TRIAL='x y' "${as[@]}" "$T" --log "$dir/tmp/log" vm run --env TRIAL --share "$dir/share, too" --timeout 200 \
	-- bash "$dir/share, too/job" 'one  word') >"$dir/out" 2>"$dir/err" || status=$?
share=$dir/share,\ too
is "the exit code comes back" $status 9
((status == 9)) || cat "$dir/share, too/up" >&2
like "stdout" "$(<"$dir/out")" '^to stdout'
like "stderr, apart" "$(<"$dir/err")" '^to stderr'
is "arguments, root, environment" "$(cat "$share/said")" $'one  word\n0\n1 x y'
is "the working directory" "$(cat "$share/pwd" 2>/dev/null || echo "$repo")" "$repo"
is "what it writes elsewhere is not on the host" "$(ls "$repo")" testbed
is "an RTT of 50 ms is one" "$(jq '.measured.rtt_ms.min | . >= 50 and . < 52' "$share/rtt.json")" true
like "and stays one" "$(grep rtt "$share/ping")" ' = 5[01]\.'
is "a loss of 2 %" "$(jq '.measured.loss_pct | . > 1 and . < 3.2' "$share/lossy.json")" true
is "a rate of 20 Mbit/s" "$(jq '.measured.rate_mbit | . > 18.5 and . < 20.5' "$share/lossy.json")" true
is "the queue is as long as that needs" "$(jq '.asked.limit' "$share/lossy.json")" 150
is "the guest has what tests need" "$(jq -c '.can | [.netem, .fq, .tbf, .ifb, .clsact, .mptcp, .sctp, .veth_xdp_native, .btf]' "$share/probe.json")" \
	'[true,true,true,true,true,true,true,true,true]'
is "down left nothing" "$(cat "$share/left")" ''
is "the clock is named" "$(jq -r 'if .accel == "kvm" then .clock == "real" else .clock == "virtual" end' "$share/vm.json")" true
like "the kernel's sum" "$(jq -r '.kernel.debs[0].sha256' "$share/vm.json")" '^[0-9a-f]{64}$'
like "the command is in the log" "$(<"$dir/tmp/log")" 'qemu-system-x86_64'

# The guest shows the working directory, and that user may not read where this repository is.
cd "$dir"
exits "a guest that panics" 125 "${as[@]}" "$T" vm run -- bash -c 'echo c >/proc/sysrq-trigger'
like "says why" "$TAP_OUT" 'Kernel panic - not syncing'
exits "a guest that hangs" 125 "${as[@]}" "$T" vm run --timeout 3 -- bash -c 'while :; do :; done'
like "says so" "$TAP_OUT" 'still running after 3 s'

# leftover: qemu has the run's folder in its arguments.
"${as[@]}" "$T" vm run -- sleep 100000 &
pid=$!
ok "a guest starts" wait_until 20 pgrep -f "qemu-system.*$dir/tmp"
kill -TERM $pid
wait $pid 2>/dev/null || :
ok "a signal ends it" wait_until 10 bash -c "! pgrep -f '[q]emu-system.*$dir/tmp'"
is "and its folder goes" "$(ls -d "$dir"/tmp/testbed-vm.* 2>/dev/null)" ''
"${as[@]}" "$T" vm run -- sleep 100000 &
pid=$!
ok "another starts" wait_until 20 pgrep -f "qemu-system.*$dir/tmp"
kill -KILL $pid
wait $pid 2>/dev/null || :
ok "kill -9 ends it too" wait_until 10 bash -c "! pgrep -f '[q]emu-system.*$dir/tmp'"

status=0
TESTBED_MIRROR=http://127.0.0.1:9/debian XDG_CACHE_HOME=$dir/tmp/none "${as[@]}" "$T" vm run -- true >"$dir/out" 2>&1 || status=$?
like "no mirror: a clear error" "$status $(<"$dir/out")" "^1 .*127\.0\.0\.1:9.*can't fetch the index of Debian"
