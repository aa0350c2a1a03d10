# Debian kernels for the guests: which package, fetched, unpacked, made bootable. Kept in the cache, one folder each.
# shellcheck shell=bash disable=SC2034 # its variables are for others

# shellcheck source=/dev/null
source "$TB_DIR/lib/apt.sh"

# 6.12 by default: on 6.1 and older a veth with XDP drops frames of a fast burst in its ring (measured: 120 to 430
# retransmissions per 26 MB against 0), which would be charged to whatever is measured.
TB_KERNEL=${TESTBED_KERNEL:-6.12}

# In this order: 5.10 and 6.1 have virtio as modules, and virtio_ring must come before virtio. Names a kernel lacks
# (built in, or of another age) are passed over.
KERNEL_BOOT_MODULES=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_console
	netfs fscache 9pnet 9pnet_virtio 9p overlay)

# Loaded at boot, since loading by need would read from the host in the middle of a measurement.
KERNEL_JOB_MODULES=(failover net_failover virtio_net veth macvlan ifb tun
	sch_netem sch_ingress sch_fq sch_fq_codel sch_tbf sch_htb cls_bpf act_bpf act_mirred cls_matchall udplite
	crc32c_generic libcrc32c nfnetlink nf_tables nft_counter nf_conntrack nft_ct nf_nat nft_chain_nat nft_nat nft_masq
	nf_reject_ipv4 nf_reject_ipv6 nft_reject nft_reject_inet nft_reject_ipv4 nft_reject_ipv6 nft_limit nft_log
	inet_diag tcp_diag udp_diag unix_diag tcp_bbr)

kernel_cache()
{
	printf '%s/hooker' "${XDG_CACHE_HOME:-${HOME:-/root}/.cache}"
}

# kernel_suite V: the Debian suite that has kernel V.
kernel_suite()
{
	case $1 in
	5.10 | bullseye) echo bullseye ;;
	6.1 | bookworm) echo bookworm ;;
	6.12 | trixie) echo trixie ;;
	7.2 | forky) echo forky ;;
	*) return 1 ;;
	esac
}

# kernel_prepare V REFRESH(0|1): sets KERNEL_DIR (vmlinux, initrd, lib/modules, kernel.json).
kernel_prepare()
{
	local v=$1 refresh=$2 suite cache lock
	suite=$(kernel_suite "$v") || tb_usage "no kernel '$v'" "one of 5.10 6.1 6.12 7.2, or a suite: bullseye bookworm trixie forky"
	[[ $(uname -m) == x86_64 ]] || tb_unsupported "the vm backend knows x86_64 only, this is $(uname -m)" \
		"use the netns backend: testbed up"
	cache=$(kernel_cache)
	mkdir -p "$cache/kernels" 2>/dev/null || tb_fail "can't write the cache '$cache'" "set XDG_CACHE_HOME to a writable folder"
	KERNEL_DIR=$cache/kernels/$suite
	if ((!refresh)) && kernel_ready "$KERNEL_DIR"; then
		return
	fi
	# One fetches, the others wait and then find it ready.
	exec {lock}>"$cache/kernels/$suite.lock"
	flock "$lock"
	if ((refresh)) || ! kernel_ready "$KERNEL_DIR"; then
		(kernel_build "$v" "$suite" "$cache") || exit
	fi
	exec {lock}>&-
}

# The recipe is part of what is ready: a changed module list makes a new initrd.
kernel_ready()
{
	[[ -s $1/kernel.json && $(cat "$1/recipe" 2>/dev/null) == "$(kernel_recipe)" ]]
}

kernel_recipe()
{
	printf '%s %s\n' "${KERNEL_BOOT_MODULES[*]}" "${KERNEL_JOB_MODULES[*]}" | sha256sum | cut -d' ' -f1
}

# In a subshell, so that its trap is its own.
kernel_build()
{
	local v=$1 suite=$2 cache=$3 work free
	tb_need apt-get dpkg-deb jq cpio gzip xz zstd depmod busybox awk flock
	work=$(mktemp -d "$cache/kernels/.$suite.XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf -- $(printf %q "$work")" EXIT
	trap_exit 130 INT TERM
	free=$(df -Pk "$work" | awk 'NR == 2 { print $4 }')
	((free > 600000)) || tb_fail "$((free / 1024)) MB free in '$cache', a kernel needs 600" "free some, or set XDG_CACHE_HOME"
	tb_note "preparing kernel $v of Debian $suite (once; kept in $cache)"
	apt_prepare "$work/apt" "$suite"
	kernel_download "$work" "$v" "$suite"
	kernel_unpack "$work"
	kernel_initrd "$work"
	rm -rf "$work/apt" "$work/debs" "$work/unpack"
	kernel_recipe >"$work/recipe"
	# The old folder may be in use by a running guest: it keeps its open files, and the modules it has loaded.
	rm -rf "$cache/kernels/$suite"
	mv "$work" "$cache/kernels/$suite"
	chmod 755 "$cache/kernels/$suite"
	trap - EXIT
}

# The package with the image may be a metapackage (since 7.x) or not; its dependencies of the same version name the rest.
kernel_packages()
{
	local work=$1 image
	image=$(apt_do "$work/apt" apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
	[[ $image ]] || return 1
	printf '%s\n' "$image"
	apt_do "$work/apt" apt-cache depends "$image" |
		awk '$1 == "Depends:" && $2 ~ /^linux-(base|modules|binary)-[0-9]/ { print $2 }'
}

kernel_download()
{
	local work=$1 v=$2 suite=$3 packages version image deb
	mapfile -t packages < <(kernel_packages "$work")
	((${#packages[@]})) || tb_fail "Debian '$suite' has no linux-image-amd64"
	image=${packages[0]}
	mkdir "$work/debs"
	# apt checks each file against the signed index.
	(cd "$work/debs" && apt_do "$work/apt" apt-get -qq download "${packages[@]}") >&2 ||
		tb_fail "can't download ${packages[*]}"
	version=$(dpkg-deb -f "$work"/debs/"$image"_*.deb Version)
	case $v in
	[0-9]*) [[ $version == "$v".* ]] || tb_note "Debian $suite now has $version, not $v; using it" ;;
	esac
	for deb in "$work"/debs/*.deb; do
		jq -n --arg file "${deb##*/}" --arg sum "$(sha256sum <"$deb" | cut -d' ' -f1)" --argjson bytes "$(stat -c %s "$deb")" \
			'{file: $file, sha256: $sum, bytes: $bytes}'
	done | jq -s --arg suite "$suite" --arg package "$image" --arg version "$version" --arg release "${image#linux-image-}" \
		'{suite: $suite, package: $package, version: $version, release: $release, debs: .}' >"$work/kernel.json"
}

# Only what a guest can use: the whole is 400 MB.
kernel_unpack()
{
	local work=$1 deb src release image dir
	mkdir "$work/unpack"
	for deb in "$work"/debs/*.deb; do
		# tar also fails for each pattern a package does not hold; what matters is looked for below.
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work/unpack" --wildcards --no-anchored \
			'vmlinuz*' 'modules.*' kernel/net kernel/crypto kernel/lib kernel/arch/x86/crypto kernel/arch/x86/lib \
			kernel/fs/9p kernel/fs/overlayfs kernel/fs/netfs kernel/fs/fscache kernel/drivers/virtio \
			'kernel/drivers/char/virtio_console*' kernel/drivers/char/hw_random 'kernel/drivers/net/*.ko*' \
			kernel/drivers/net/vxlan kernel/drivers/net/wireguard kernel/drivers/net/bonding 2>/dev/null || :
	done
	src=$(find "$work/unpack" -path '*/modules/*' -name kernel -type d -print -quit)
	[[ $src ]] || tb_fail "no modules in the kernel's packages (or the disk is full)"
	src=${src%/kernel} release=${src##*/}
	dir=$work/lib/modules/$release
	mkdir -p "$work/lib/modules"
	mv "$src" "$dir"
	find "$dir" -name '*.ko.xz' -print0 | xargs -0 -r -n 64 xz -d
	find "$dir" -name '*.ko.zst' -print0 | xargs -0 -r -n 64 zstd -q -d --rm
	depmod -b "$work" "$release"
	image=$(find "$work/unpack" "$dir" -name 'vmlinuz*' -type f -print -quit)
	[[ $image ]] || tb_fail "no kernel image in the package"
	kernel_vmlinux "$image" "$work/vmlinux"
	jq --arg release "$release" '.release = $release' "$work/kernel.json" >"$work/kernel.json.new"
	mv "$work/kernel.json.new" "$work/kernel.json"
}

# kernel_vmlinux BZIMAGE OUT: the ELF inside. Booting it (PVH) spares the guest the decompression: 3 s under emulation.
kernel_vmlinux()
{
	local offset cmd magic
	while read -r magic cmd; do
		while read -r offset; do
			# The stream ends in the middle of the file: the decompressor complains about what follows it.
			tail -c +$((offset + 1)) "$1" | $cmd >"$2" 2>/dev/null || :
			[[ $(head -c 4 "$2" | tail -c 3) != ELF ]] || return 0
		done < <(LC_ALL=C grep -obUaP "$magic" "$1" | LC_ALL=C cut -d: -f1)
	done <<-'END'
		\xfd7zXZ\x00 xz -dc --single-stream
		\x28\xb5\x2f\xfd zstd -dc
		\x02\x21\x4c\x18 lz4 -dc
		\x1f\x8b\x08 gzip -dc
	END
	tb_fail "can't find the kernel inside ${1##*/}"
}

# initrd: busybox and the modules, in loading order. What runs comes with each boot's own archive.
kernel_initrd()
{
	local work=$1 root=$1/initrd.d release dir busybox name
	release=$(jq -r .release "$work/kernel.json")
	dir=$work/lib/modules/$release
	busybox=$(command -v busybox)
	! ldd "$busybox" >/dev/null 2>&1 || tb_unsupported "'$busybox' is not static" "install busybox-static: testbed/deps"
	mkdir -p "$root"/{bin,mods}
	cp "$busybox" "$root/bin/busybox"
	for name in "${KERNEL_BOOT_MODULES[@]}"; do kernel_add_module "$dir" "$root" "$name" boot; done
	for name in "${KERNEL_JOB_MODULES[@]}"; do kernel_add_module "$dir" "$root" "$name" job; done
	(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$work/initrd"
	rm -rf "$root"
}

# kernel_add_module DIR ROOT NAME LIST: NAME and what it needs, needed ones first.
kernel_add_module()
{
	local dir=$1 root=$2 name=$3 list=$4 line file base files i
	line=$(grep -E "/${name//_/[-_]}\.ko:" "$dir/modules.dep") || return 0
	read -ra files <<<"${line#*:}"
	for ((i = ${#files[@]} - 1; i >= 0; i--)); do
		kernel_add_file "$dir" "$root" "${files[i]}" "$list"
	done
	kernel_add_file "$dir" "$root" "${line%%:*}" "$list"
}

kernel_add_file()
{
	local dir=$1 root=$2 file=$3 list=$4 base=${3##*/}
	[[ ! -e $root/mods/$base ]] || return 0
	cp "$dir/$file" "$root/mods/$base"
	echo "$base" >>"$root/mods/$list"
}
