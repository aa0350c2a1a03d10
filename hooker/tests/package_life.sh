#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The life of the package in a Debian root that may be spoiled: installed, used, upgraded, removed, purged. Run in there,
# as root, by ns_package.sh and package_debian.sh: package_life.sh FOLDER INSTALL…; FOLDER holds hooker.deb, tap.sh and
# signals.sh, INSTALL is the command that installs a package.
set -euo pipefail
work=$1
shift
# shellcheck source=testbed/lib/tap.sh
. "$work/tap.sh"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
systemd=0
[[ ! -d /run/systemd/system ]] || systemd=1
plan $((systemd ? 21 : 17))

# Of each file its name and, where links point to, that; what dpkg, apt and logs keep for themselves is not the package's.
tree() {
	find /etc /usr /opt /srv /var -xdev \( -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log -o -path /var/tmp \
		-o -path /var/lib/systemd \) -prune -o -printf '%p %l\n' | sort
}
programs() { find /sys/fs/bpf -name 'hooker*' 2>/dev/null; }
dpkg_status() { dpkg-query -W -f '${db:Status-Status}' hooker 2>/dev/null || echo gone; }
# In a network namespace of its own, so that nothing of this machine's traffic is touched.
apart() { unshare --net -- sh -c 'ip link add v0 type veth peer name v1 && ip link set lo up && ip link set v0 up && ip link set v1 up && exec "$@"' sh "$@"; }

# runs: hooker run says ready, ends on SIGTERM with 0, and shows itself in between.
runs() {
	# shellcheck disable=SC2016
	apart sh -c 'hooker run --interface v0 >"$1/run.out" 2>&1 & pid=$!
		i=0; until grep -q "^ready" "$1/run.out"; do i=$((i + 1)); [ $i -lt 300 ] || { cat "$1/run.out"; exit 1; }; sleep 0.1; done
		hooker stats --json >"$1/stats.json" || exit 1
		kill $pid && wait $pid' sh "$work"
}

# The guest has no network of its own; without an interface the service would say so and end.
service_starts() {
	ip link add v0 type veth peer name v1
	ip link set lo up
	ip link set v0 up
	ip link set v1 up
	systemctl enable --now hooker || { journalctl --no-pager -u hooker -n 20; return 1; }
}

tree >"$work/before"
ok 'installs' "$@" "$work/hooker.deb"
is 'is installed' "$(dpkg_status)" installed
like 'hooker version' "$(hooker version)" "^hooker $(dpkg-query -W -f '${Version}' hooker)"
ok 'hooker help' hooker help
status=0
hooker doctor >"$work/doctor" 2>&1 || status=$?
like 'hooker doctor gives a verdict' "$status" '^[014]$'
ok 'the configuration is valid' hooker run --check
ok 'hooker run' runs
ok 'testbed' testbed help
is 'the service waits for its user' "$(if ((systemd)); then systemctl is-enabled hooker || :; else echo disabled; fi)" disabled

if ((systemd)); then
	ok 'the service starts' service_starts
	is 'it is active' "$(systemctl is-active hooker)" active
	ok 'and answers' hooker status
	pid=$(systemctl show -p MainPID --value hooker)
	# CAP_NET_ADMIN 12, CAP_NET_RAW 13, CAP_PERFMON 38, CAP_BPF 39.
	is 'with four capabilities' "$(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")" 000000c000003000
	ok 'it reads its configuration again' systemctl reload hooker
else
	skip 'the service starts with four capabilities' 'no systemd runs here'
fi

echo '# mine' >>/etc/hooker/hooker.conf
ok 'installs over itself' dpkg --install "$work/hooker.deb"
like 'and keeps a changed configuration' "$(tail -n 1 /etc/hooker/hooker.conf)" mine
ok 'is removed' dpkg --remove hooker
is 'and leaves its configuration' "$(dpkg_status) $(ls /etc/hooker)" 'config-files hooker.conf'
ok 'is purged' dpkg --purge hooker
is 'and leaves nothing attached' "$(programs)$(! ((systemd)) || systemctl is-active hooker | grep -x active || :)" ''
[[ $1 != apt-get ]] || apt-get -y autoremove --purge >/dev/null
tree >"$work/after"
is 'nor any file' "$(diff "$work/before" "$work/after" | grep '^[<>]' || :)" ''
