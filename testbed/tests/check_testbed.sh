#!/usr/bin/env bash
# What the testbed says to bad arguments and on a machine that lacks something; its parsers.
set -euo pipefail
cd "$(dirname "$0")/../.."
source testbed/lib/tap.sh
# shellcheck disable=SC2034 # for what is sourced
TB_DIR=$PWD/testbed
source testbed/lib/common.sh
source testbed/lib/apt.sh

plan 55
T=testbed/testbed
dir=$(mktemp -d)
defer "rm -rf -- '$dir'"

exits "no command" 2 $T
exits "help" 0 $T help
like "help names the commands" "$TAP_OUT" 'two-vm run'
exits "an unknown command" 2 $T frobnicate
like "it is named" "$TAP_OUT" "'frobnicate'"
exits "an unknown option" 2 $T up --speed 3
like "it is named, with a hint" "$TAP_OUT" "'--speed'.*hint: "
exits "a time without its unit" 2 $T up --rtt 50
exits "a rate without its unit" 2 $T up --rate 100
is "0 is a rate, and a time: no limit" "$(bash -euc '. testbed/lib/common.sh; tb_rate_bps 0; echo -n " "; tb_duration_us 0')" '0 0'
exits "a loss above 100 %" 2 $T up --loss 101%
exits "an MTU below IPv6's" 2 $T up --mtu 1000
exits "an option without its value" 2 $T up --rtt
exits "reorder without delay" 2 $T up --reorder 1%
exits "a bad instance name" 2 $T --name 'a b' up
exits "exec without a host" 2 $T exec
exits "exec on an unknown host" 2 $T exec moon -- true
exits "exec without a command" 2 $T exec client --
exits "vm without a verb" 2 $T vm
exits "vm run without a command" 2 $T vm run
exits "vm run with an unknown kernel" 2 $T vm run --kernel 2.4 -- true
exits "vm run with a bad deadline" 2 $T vm run --timeout soon -- true
exits "vm run with a share that is not there" 1 $T vm run --share "$dir/none" -- true
exits "virtual time on two CPUs" 2 $T vm run --virtual-time --cpus 2 -- true
exits "two-vm without commands" 2 $T two-vm run
exits "two-vm in virtual time" 2 $T two-vm run --virtual-time --server a --client b
exits "deps with an unknown argument" 2 testbed/deps --frob
exits "deps --list" 0 testbed/deps --list
like "deps --list names packages" "$TAP_OUT" 'libbpf-dev'
exits "deps with a group: its packages too" 0 testbed/deps --list peers
like "which are named" "$TAP_OUT" 'kcptun'
exits "deps with a group that is none" 2 testbed/deps nosuch
exits "status of what is not up" 0 $T --name tb-none status --json
is "status of what is not up, in JSON" "$(jq .up <<<"$TAP_OUT")" false
exits "probe" 0 $T probe --json
is "probe's JSON" "$(jq '.can.netem | type' <<<"$TAP_OUT")" '"boolean"'

# As another user if we are root, from a copy that one can read.
as=()
((EUID)) || as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
cp -r testbed "$dir/testbed"
chmod -R a+rX "$dir"
exits "up without root" 4 "${as[@]}" "$dir/testbed/testbed" up
like "its remedy" "$TAP_OUT" "hint: .*vm run"

printf '#!/bin/sh\necho this is a wrapper >&2\nexit 2\n' >"$dir/bpftool"
chmod +x "$dir/bpftool"
exits "deps with a bpftool that can't" 4 env BPFTOOL="$dir/bpftool" testbed/deps
like "the remedy is named" "$TAP_OUT" "BPFTOOL="

is "milliseconds" "$(tb_duration_us 50ms)" 50000
is "a rate" "$(tb_rate_bps 1.5gbit)" 1500000000

cat >"$dir/new.sources" <<'END'
# a comment
Types: deb deb-src
URIs: http://a.example/debian
  http://b.example/debian
# in the middle
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/k.gpg

Types: deb-src
URIs: http://c.example/debian
Suites: bookworm

Enabled: no
Types: deb
URIs: http://d.example/debian
Suites: bookworm
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
END
is "deb822 sources" "$(apt_sources "$dir/new.sources")" \
	"/usr/share/keyrings/k.gpg	http://a.example/debian	bookworm
/usr/share/keyrings/k.gpg	http://a.example/debian	bookworm-updates
/usr/share/keyrings/k.gpg	http://b.example/debian	bookworm
/usr/share/keyrings/k.gpg	http://b.example/debian	bookworm-updates"
cat >"$dir/old.list" <<'END'
# deb http://no.example/debian bookworm main
deb-src http://no.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian trixie main contrib # tail
deb [ signed-by=/k2.gpg ] http://s.example/debian-security trixie-security main
deb http://u.example/debian trixie main
END
is "one-line sources" "$(apt_sources "$dir/old.list")" \
	"/k.gpg	http://a.example/debian	trixie
/k2.gpg	http://s.example/debian-security	trixie-security
	http://u.example/debian	trixie"
is "a mirror named by hand" "$(TESTBED_MIRROR=http://m.example/debian apt_mirrors)" "archive	-	http://m.example/debian"
# A machine whose apt has other sources than Debian's, and not its key.
printf '%s\n' 'apt_sources() { printf "\thttp://u.example/ubuntu\tnoble\n"; }' "APT_KEY=$dir/none" >>"$dir/testbed/lib/apt.sh"
exits "no Debian among apt's sources" 4 env -u TESTBED_MIRROR \
	bash -c '. testbed/lib/common.sh; . "$1/testbed/lib/apt.sh"; apt_prepare "$1/apt" trixie' - "$dir"
like "the remedy is named" "$TAP_OUT" "no Debian mirror.*hint: set TESTBED_MIRROR=URL.*install debian-archive-keyring"
if [[ $(uname -m) == x86_64 ]]; then
	mkdir "$dir/bin"
	printf '#!/bin/sh\n' >"$dir/bin/qemu-system-x86_64"
	chmod +x "$dir/bin/qemu-system-x86_64"
	exits "a test of a virtual machine skips there" 4 env -u TESTBED_MIRROR "PATH=$dir/bin:$PATH" "XDG_CACHE_HOME=$dir/cache" \
		bash -euc '. "$1/testbed/lib/tap.sh"; vm_or_skip' - "$dir"
	like "and says why" "$TAP_OUT" "^1\.\.0 # SKIP no Debian mirror.*; set TESTBED_MIRROR=URL"
	printf 'ID=ubuntu\n' >"$dir/os-release"
	like "deps has the key where it is not Debian's own" "$(TESTBED_OS_RELEASE=$dir/os-release testbed/deps --list)" \
		debian-archive-keyring
else
	for what in "a test of a virtual machine skips there" "and says why" "deps has the key where it is not Debian's own"; do
		skip "$what" "no virtual machines on $(uname -m)"
	done
fi
exits "a log that can't be written" 1 $T --log /proc/none up
exits "down of what is not there, or its refusal without root" $((EUID ? 4 : 0)) $T --name tb-none down

# shellcheck source=testbed/lib/vm.sh
source testbed/lib/vm.sh
printf 'flags\t\t: fpu vme hypervisor\n' >"$dir/cpuinfo"
is "KVM without the processor's help is none" "$(TESTBED_CPUINFO=$dir/cpuinfo vm_hardware && echo used || echo not)" not
printf 'flags\t\t: fpu vme svm\n' >"$dir/cpuinfo"
is "with it, it is" "$(TESTBED_CPUINFO=$dir/cpuinfo vm_hardware && echo used || echo not)" used
mkdir "$dir/guest"
printf 'KVM internal error. Suberror: 1\n' >"$dir/guest/qemu"
sleep 100 &
guest=$!
vm_watch "$dir/guest" $guest
status=0
wait $guest || status=$?
is "a guest that KVM gave up is ended" $status 143
