#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# make install, make uninstall, make deb: everything where it belongs, nothing left, nothing of the user's touched.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
work=$(mktemp -d)
defer 'rm -rf "$work"'
export HOME=$work

build() { make --no-print-directory -C "$root" "$@"; }
found() { (cd "$1" && find . ! -type d -printf '/%P\n' | LC_ALL=C sort); }

plan 17
ok 'make install' build install DESTDIR="$work/tree"
missing=''
for file in etc/hooker/hooker.conf usr/local/bin/{hooker,testbed} usr/local/share/man/man{8/hooker.8,5/hooker.conf.5,5/scenario.5,1/testbed.1} \
	usr/local/lib/systemd/system/hooker.service usr/local/share/bash-completion/completions/hooker \
	usr/local/share/zsh/site-functions/_hooker usr/local/share/hooker/bpf/udplite.bpf.c usr/local/lib/wireshark/plugins/hooker.lua; do
	[[ -e $work/tree/$file ]] || missing+="$file "
done
is 'usual places' "$missing" ''
like 'the installed hooker runs' "$("$work/tree/usr/local/bin/hooker" version)" '^hooker [0-9]'
ok 'the installed testbed runs' "$work/tree/usr/local/bin/testbed" help
ok 'no path of the build is in what is installed, but for debugging' \
	sh -c "! grep -rIl '$root/' '$work/tree'"
unit=$work/tree/usr/local/lib/systemd/system/hooker.service
like 'the service starts the installed hooker' "$(<"$unit")" 'ExecStart=/usr/local/bin/hooker run'
if command -v systemd-analyze >/dev/null; then
	# Verified as if installed here: the program it names must exist.
	sed "s|/usr/local/bin/hooker|$work/tree/usr/local/bin/hooker|g" "$unit" >"$work/hooker.service"
	is 'systemd finds no fault in the service' "$(systemd-analyze verify --man=no "$work/hooker.service" 2>&1 | grep -F hooker.service || :)" ''
else
	skip 'systemd finds no fault in the service' 'no systemd-analyze here'
fi

echo '# mine' >>"$work/tree/etc/hooker/hooker.conf"
build install DESTDIR="$work/tree"
like 'installing again leaves a configuration alone' "$(<"$work/tree/etc/hooker/hooker.conf")" '# mine'
build uninstall DESTDIR="$work/tree" >"$work/said"
is 'make uninstall leaves nothing but a changed configuration' "$(found "$work/tree")" /etc/hooker/hooker.conf
like 'and says so' "$(<"$work/said")" 'was changed, so it stays'

build install DESTDIR="$work/other" PREFIX=/opt/x BINDIR=/b MANDIR=/m SYSCONFDIR=/s UNITDIR=/u WIRESHARKDIR=/w
is 'BINDIR, MANDIR, SYSCONFDIR, UNITDIR are honoured' \
	"$(found "$work/other" | grep -v '^/opt/x/\(lib\|share\)/' | grep -v '^/w/' | tr '\n' ' ')" \
	'/b/hooker /b/testbed /m/man1/testbed.1 /m/man5/hooker.conf.5 /m/man5/scenario.5 /m/man8/hooker.8 /s/hooker/hooker.conf /u/hooker.service '
ok 'testbed is found through its link' "$work/other/b/testbed" help
build uninstall DESTDIR="$work/other" PREFIX=/opt/x BINDIR=/b MANDIR=/m SYSCONFDIR=/s UNITDIR=/u WIRESHARKDIR=/w
is 'and make uninstall finds them' "$(found "$work/other")" ''

deb=$(build deb | tail -n 1)
cp "$root/$deb" "$work/first.deb"
build deb >/dev/null
ok 'the package is the same each time' cmp "$work/first.deb" "$root/$deb"
dpkg-deb -R "$root/$deb" "$work/deb"
like 'it depends on what the program is linked with' "$(<"$work/deb/DEBIAN/control")" 'Depends: .*libbpf.*libc6.*libevent.*libjansson'
is 'its configuration is one' "$(<"$work/deb/DEBIAN/conffiles")" /etc/hooker/hooker.conf
ok 'its checksums are right' sh -c "cd '$work/deb' && md5sum --quiet -c DEBIAN/md5sums"
