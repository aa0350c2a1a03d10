#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The driver's exit code for scenarios that are programs, and what they record of a mode that does not start. The programs
# are the real ones; hosts, Hooker, the application and what they measure with are stand-ins, so no root is needed.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
type -P gnuplot >/dev/null || skip_all 'no gnuplot: make deps installs it'
work=$(mktemp -d)
defer 'rm -rf "$work"'
export TMPDIR=$work

# ---- a tree whose scenarios are these and whose testbed and programs are made up

tree=$work/tree
mkdir -p "$tree"/{testbed,build/scenarios,build/hooker,bin,host}
ln -s "$root/scenarios" "$root/plots" "$tree"
ln -s "$root/testbed/lib" "$tree/testbed"
export STUB_HOST=$tree/host STUB_REAL=$root/build/scenarios/stream
stub() { # FILE: from stdin
	cat >"$tree/$1"
	chmod +x "$tree/$1"
}
stub testbed/testbed <<'END'
#!/bin/bash
while [[ $1 == --* ]]; do shift 2; done
case $1 in
vm) while [[ $1 != -- ]]; do shift; done; shift; exec "$@" ;;
status) jq -n --arg d "$STUB_HOST" '{hosts: (["client", "router", "server"] | map({key: ., value: {netns: ., cgroup: $d, ifname: "eth0", ipv4: "10.0.0.1"}}) | from_entries)}' ;;
esac
END
stub build/hooker/hooker <<'END'
#!/bin/bash
case $1 in
version) echo stub ;;
run) [[ $STUB_HOOKER != ready ]] || { echo ready; exec sleep 600; } ;;&
run | deploy) echo "no such thing, says the stub" >&2; exit "$STUB_HOOKER" ;;
esac
END
stub build/scenarios/stream <<'END'
#!/bin/bash
case $1 in
generate) exec "$STUB_REAL" "$@" ;;
serve) echo listening; exec sleep 600 ;;
esac
case $STUB_FETCH in
ok) echo '{"error":null,"identical":true,"bytes":10000000,"eof_ns":9000000000}' ;;
damaged) echo '{"error":null,"identical":false,"bytes":10000000,"eof_ns":9000000000,"damaged_bytes":1,"damaged_bits":1}' ;;
error) echo '{"error":"no, says the stub","identical":false,"bytes":0,"eof_ns":0}'; exit 1 ;;
silent) exit 137 ;;
esac
END
stub bin/nsenter <<'END'
#!/bin/bash
while [[ $1 != -- ]]; do shift; done
shift
exec "$@"
END
stub bin/iperf3 <<'END'
#!/bin/bash
[[ $1 == --client ]] || { echo 'Server listening'; exec sleep 600; }
echo '{}'
exit "$STUB_IPERF"
END
stub bin/tcpdump <<'END'
#!/bin/bash
[[ " $* " != *' -r '* ]] || { echo "$EPOCHREALTIME a > b, length 1500: one frame"; exit; }
# The real one takes SIGINT although a shell starts what is in the background with it ignored.
[[ ${STUB_AGAIN-} ]] || STUB_AGAIN=1 exec env --default-signal=INT "$0" "$@"
echo 'listening on eth0' >&2
trap 'echo "0 packets dropped by kernel" >&2; exit' INT
while :; do sleep 0.1; done
END
stub bin/tc <<<$'#!/bin/bash\necho "[]"'
stub bin/ip <<<$'#!/bin/bash\necho "default via 10.0.0.1"'
stub bin/nft <<<$'#!/bin/bash'
stub bin/nstat <<<$'#!/bin/bash'
: >"$tree/build/scenarios/capture"
ln -s "$root/build/scenarios/summarise" "$tree/build/scenarios/"
export PATH=$tree/bin:$PATH STUB_HOOKER=0 STUB_FETCH=ok STUB_IPERF=0

at=0
# ends NAME CODE SCENARIO OPTION…: the driver ends with CODE. Sets dir.
ends() {
	dir=$work/$((++at))
	exits "$1" "$2" "$tree/scenarios/run" "$3" --backend vm --into "$dir" --reps 2 --set RATE=10mbit --set 'FILES=a:text:4000' --set CORRUPT=1% "${@:4}"
}
# rows TABLE COLUMN: how often which value.
rows() { awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next } { print $c }' "$dir/$1" | sort | uniq -c | sed 's/^ *//' | tr '\n' '|'; }
unsupported='unsupported hooker on client; exit 4: no such thing; says the stub'

plan 41
STUB_HOOKER=4
ends 'bit errors, no mode supported: 4' 4 biterrors --modes relay-udp
like 'says so' "$TAP_OUT" 'no mode is supported here'
is 'each repetition of each variant has its row' "$(rows data.csv status)" "10 $unsupported|"
is 'none of which counts as failed' "$(rows findings.csv failed)" '5 0|'
ok 'there is no figure' test ! -e "$dir/fig-biterrors.svg"
ends 'one that is supported, others that are not: 0' 0 biterrors --modes tcp
is 'both are recorded' "$(rows data.csv status)" "2 identical|8 $unsupported|"
ok 'and there is a figure' test -s "$dir/fig-biterrors.svg"
for name in fairness fallback; do
	ends "$name, no mode supported: 4" 4 $name --modes relay-udp
	like "$name: the reason is recorded" "$(rows findings.csv status)" "^2 unsupported hooker on (client|server); exit 4: "
done
ends 'hot swap, no deployment supported: 4' 4 hotswap
is 'each variant has its rows' "$(rows findings.csv variant)$(rows findings.csv status)" \
	'2 none|2 redeploy|2 swap|6 unsupported hooker deploy on the client; exit 4|'
ends 'start-up, no mode supported: 4' 4 startup --modes relay-udp
like 'each transfer has its row' "$(rows data.csv status)" '^20 unsupported hooker'

STUB_HOOKER=1
for name in biterrors fairness fallback hotswap startup; do
	ends "$name, Hooker fails: 1" 1 $name --modes relay-udp
	like "$name: says where" "$TAP_OUT" 'cells failed; the status in data.csv or findings.csv says why'
done

STUB_FETCH=error
ends 'a transfer that fails: 1' 1 startup --modes tcp --reps 1
STUB_FETCH=silent
ends 'a client that leaves no word: 1' 1 biterrors --modes tcp
is 'and a row' "$(rows data.csv status)" '2 exit 137: the client says nothing|8 failed hooker on client; exit 1: no such thing; says the stub|'
STUB_FETCH=damaged STUB_HOOKER=4
ends 'damage where none is accepted: 1' 1 biterrors --modes tcp
exits 'the same command again: finished, and the same answer' 1 "$tree/scenarios/run" biterrors --backend vm --into "$dir" --reps 2 \
	--set RATE=10mbit --set 'FILES=a:text:4000' --set CORRUPT=1% --modes tcp
STUB_FETCH=ok STUB_IPERF=1
ends 'fairness, iperf3 fails: 1' 1 fairness --modes tcp --reps 1
is 'and says it' "$(rows findings.csv status)" '1 failed iperf3; exit 1|'

# What passes is not touched by all that.
STUB_HOOKER=ready STUB_IPERF=0
ends 'start-up, all passes: 0' 0 startup --modes 'tcp relay-udp' --reps 1
is 'each transfer has its row' "$(rows data.csv status)$(rows data.csv variant)" '20 ok|5 relay-udp known|5 relay-udp new|5 tcp|5 tcp iw361|'
ends 'fairness, all passes: 0' 0 fairness --modes relay-udp --reps 1
is 'status' "$(rows findings.csv status)" '1 ok|'
ends 'fallback, all passes: 0' 0 fallback --modes relay-udp --reps 1
is 'status' "$(rows findings.csv status)" '1 ok|'

# ---- the rule itself
# shellcheck source=scenarios/lib/outcome.sh
. "$root/scenarios/lib/outcome.sh"
printf '%s\n' corrupt_pct,mode,coverage,rep,status 1,kernel-udplite,24,1,damaged 1,tcp,-,1,identical >"$work/data.csv"
mkdir -p "$work/one/prog" "$work/one/table/6.1"
cp "$work/data.csv" "$work/one/prog/"
is 'damage where it is accepted has passed' "$(outcome_of "$work/one")" '2 0 2'
cp "$root/results/reference/paper/summary.csv" "$work/one/table/6.1/"
echo 't,vm,virtual,6.1,tcp,a,1,0,3,,,,,,,none,failed' >>"$work/one/table/6.1/summary.csv"
is 'programs and tables of all scenarios together' "$(outcome_of "$work/one" | cut -d' ' -f2)" 3
