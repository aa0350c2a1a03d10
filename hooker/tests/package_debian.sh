#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# On demand, some minutes: the package in a clean Debian 12 with its own kernel and systemd, in a virtual machine.
# Needs root (debootstrap) and a Debian mirror. The root file system is made once, in ~/.cache/hooker/debian-12.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
# shellcheck source=testbed/lib/apt.sh
. "$root/testbed/lib/apt.sh"

# In the guest: systemd as the first process of a container over the clean root, which runs the test and ends.
guest() {
	local clean=$1 share=$2 mounts
	mounts=$(mktemp -d)
	mount -t tmpfs -o size=1g tmpfs "$mounts"
	mkdir "$mounts"/{upper,work,root}
	mount -t overlay overlay -o "lowerdir=$clean,upperdir=$mounts/upper,workdir=$mounts/work" "$mounts/root"
	mkdir -p "$mounts/root/package"
	cp "$share"/{hooker.deb,signals.sh,tap.sh,package_life.sh} "$mounts/root/package/"
	cat >"$mounts/root/etc/systemd/system/package-life.service" <<-'END'
		[Unit]
		# The outcome is in a file; then the guest has nothing left to do.
		SuccessAction=exit-force
		FailureAction=exit-force
		[Service]
		Type=oneshot
		ExecStart=/package/package_life.sh /package apt-get -y install
		StandardOutput=file:/package/out
		StandardError=file:/package/out
		TimeoutStartSec=infinity
		[Install]
		WantedBy=multi-user.target
	END
	mkdir -p "$mounts/root/etc/systemd/system/multi-user.target.wants"
	ln -s ../package-life.service "$mounts/root/etc/systemd/system/multi-user.target.wants/"
	mount --bind "$mounts/root" "$mounts/root"
	mkdir -p "$mounts/root"/{proc,sys,dev,run}
	mount --rbind /sys "$mounts/root/sys"
	mount --rbind /dev "$mounts/root/dev"
	container=guest unshare --pid --mount --uts --ipc --cgroup --fork --mount-proc="$mounts/root/proc" \
		chroot "$mounts/root" /lib/systemd/systemd --system --show-status=no --log-target=console >"$share/systemd.log" 2>&1 || :
	cp "$mounts/root/package/out" "$share/out" 2>/dev/null || :
}

if [[ ${1-} == --guest ]]; then
	guest "$2" "$3"
	exit
fi

((EUID == 0)) || skip_all "needs root"
for tool in debootstrap dpkg-deb; do
	command -v $tool >/dev/null || skip_all "no $tool here: apt-get install $tool"
done
clean=${XDG_CACHE_HOME:-$HOME/.cache}/hooker/debian-12
if [[ ! -e $clean/etc/debian_version ]]; then
	mirror=$(apt_mirrors | awk -F '\t' '$1 == "archive" { print $3 }')
	rm -rf "$clean.new"
	mkdir -p "$clean.new"
	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$clean.new" "$mirror" >&2
	mv "$clean.new" "$clean"
fi

share=$(mktemp -d -p "${XDG_CACHE_HOME:-$HOME/.cache}/hooker")
defer "rm -rf '$share'"
deb=$(make --no-print-directory -C "$root" deb | tail -n 1)
cp "$root/$deb" "$share/hooker.deb"
cp "$root"/testbed/lib/{signals,tap}.sh "$root/hooker/tests/package_life.sh" "$share/"

# The guest has no network: what the package depends on is fetched before, as its own Debian says.
cp "$share/hooker.deb" "$clean/hooker.deb"
unshare --mount --propagation private sh -euc '
	mount --bind "$1" "$1"
	mount -t proc proc "$1/proc"
	chroot "$1" apt-get -qq update
	chroot "$1" apt-get -qq -y --download-only install /hooker.deb
' sh "$clean" >&2
rm "$clean/hooker.deb"

"$root/testbed/testbed" vm run --kernel 6.1 --share "$share" --timeout 1800 -- "$0" --guest "$clean" "$share" >&2 || :
[[ -s $share/out ]] || {
	tail -n 30 "$share/systemd.log" >&2 || :
	bail "the guest said nothing"
}
cat "$share/out"
if grep -q '^not ok' "$share/out"; then exit 1; fi
