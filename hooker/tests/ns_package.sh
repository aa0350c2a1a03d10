#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The package in this machine's own root, under a memory overlay: the quick form of package_debian.sh.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
((EUID == 0)) || skip_all "needs root"
[[ -e /etc/debian_version ]] || skip_all "packages are for Debian and Ubuntu"
work=$(mktemp -d)
defer 'rm -rf "$work"'
deb=$(make --no-print-directory -C "$root" deb | tail -n 1)
cp "$root/$deb" "$work/hooker.deb"
cp "$root"/testbed/lib/{signals,tap}.sh "$root/hooker/tests/package_life.sh" "$work/"

# All mounts are this namespace's own and end with it.
# shellcheck disable=SC2016
unshare --mount --propagation private bash -euo pipefail -c '
	work=$1 mounts=$1/mnt
	mkdir "$mounts"
	mount -t tmpfs tmpfs "$mounts"
	mkdir "$mounts"/{upper,work,root}
	mount -t overlay overlay -o "lowerdir=/,upperdir=$mounts/upper,workdir=$mounts/work" "$mounts/root"
	for dir in proc sys dev; do mount --rbind "/$dir" "$mounts/root/$dir"; done
	for dir in run tmp; do mount -t tmpfs tmpfs "$mounts/root/$dir"; done
	mkdir "$mounts/root/tmp/package"
	cp "$work"/* "$mounts/root/tmp/package/" 2>/dev/null || :
	# Neither an index of all manuals nor the disk is waited for.
	rm -f "$mounts/root/var/lib/man-db/auto-update"
	echo force-unsafe-io >"$mounts/root/etc/dpkg/dpkg.cfg.d/unsafe-io"
	exec chroot "$mounts/root" /tmp/package/package_life.sh /tmp/package dpkg --install
' bash "$work"
