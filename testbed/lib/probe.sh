# probe: what this kernel and this user can do, each found by doing it, in a namespace that vanishes.
# shellcheck shell=bash

PROBE_NAMES=(root cgroup2 netns veth netem tbf fq clsact ifb udplite mptcp sctp veth_xdp_native btf kvm qemu)

probe_root() { ((EUID == 0)); }
probe_cgroup2() { tb_cgroup2 >/dev/null; }
probe_netns() { "${PROBE_AS[@]}" true; }
probe_veth() { "${PROBE_AS[@]}" ip link add tb0 type veth peer name tb1; }
probe_netem() { link_has_netem; }
probe_tbf() { "${PROBE_AS[@]}" tc qdisc add dev lo root tbf rate 1mbit burst 10kb latency 10ms; }
probe_fq() { "${PROBE_AS[@]}" tc qdisc add dev lo root fq; }
probe_clsact() { "${PROBE_AS[@]}" tc qdisc add dev lo clsact; }
probe_ifb() { "${PROBE_AS[@]}" ip link add tb0 type ifb; }
probe_btf() { [[ -r /sys/kernel/btf/vmlinux ]]; }
probe_kvm() { [[ -e /dev/kvm ]] && { : <>/dev/kvm; } && grep -qwE 'vmx|svm' /proc/cpuinfo; }
probe_qemu() { command -v qemu-system-x86_64; }

# perl is on each Debian; a socket is all it has to open. Arguments: type, protocol.
probe_socket() { perl -MSocket -e 'exit !socket(my $s, AF_INET, $ARGV[0], $ARGV[1])' "$1" "$2"; }
probe_udplite() { probe_socket 2 136; }
probe_mptcp() { probe_socket 1 262; }
probe_sctp() { probe_socket 1 132; }

# A program of two instructions (return XDP_PASS), on a veth, in driver mode.
probe_veth_xdp_native()
{
	local object
	object=$(mktemp) || return 1
	probe_xdp_object "$object" && "${PROBE_AS[@]}" bash -c '
		ip link add tb0 type veth peer name tb1 && ip link set dev tb0 xdpdrv obj "$1" sec xdp && ip link show dev tb0 | grep -q "prog/xdp"' - "$object"
	local status=$?
	rm -f "$object"
	return $status
}

# probe_xdp_object OUT
probe_xdp_object()
{
	printf '%s\n' '__attribute__((section("xdp"), used)) int hk_probe(void *ctx) { return 2; }' \
		'char _license[] __attribute__((section("license"), used)) = "GPL";' |
		clang -target bpf -O2 -x c -c - -o "$1"
}

probe_main()
{
	local json=0 name answer all='{}'
	while (($#)); do
		tb_common_opt "$@"
		if ((TB_SHIFT)); then shift "$TB_SHIFT"; continue; fi
		[[ $1 == --json ]] || tb_unknown_opt probe "$1"
		json=1
		shift
	done
	tb_begin
	tb_need ip tc jq unshare
	PROBE_AS=(unshare -n)
	((EUID == 0)) || PROBE_AS=(unshare -rn)
	for name in "${PROBE_NAMES[@]}"; do
		answer=false
		! "probe_$name" >/dev/null 2>&1 || answer=true
		all=$(jq -c --arg n "$name" --argjson a $answer '.[$n] = $a' <<<"$all")
	done
	if ((json)); then
		jq --arg kernel "$(uname -r)" --arg cgroup2 "$(tb_cgroup2 || :)" '{schema: 1, kernel: $kernel, cgroup2_path: $cgroup2, can: .}' <<<"$all"
		return
	fi
	printf 'Linux %s\n' "$(uname -r)"
	jq -r 'to_entries[] | "  \(if .value then "yes" else "no " end)  \(.key)"' <<<"$all"
	jq -e .netem <<<"$all" >/dev/null ||
		printf 'no netem: only --rtt 0 without loss or rate works here; delays need a guest (testbed vm run)\n'
	jq -e .cgroup2 <<<"$all" >/dev/null || printf 'no cgroup v2 mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified\n'
}
