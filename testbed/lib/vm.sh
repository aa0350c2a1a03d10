# Virtual machines: one Debian kernel over this machine's root file system, read-only over 9p, running one command.
# shellcheck shell=bash disable=SC2034 # its variables are for others

# shellcheck source=/dev/null
source "$TB_DIR/lib/kernel.sh"

vm_main()
{
	local verb=${1-}
	(($# == 0)) || shift
	case $verb in
	run) vm_run "$@" ;;
	prepare) vm_prepare "$@" ;;
	*) tb_usage "'vm' needs 'run' or 'prepare'" "testbed help" ;;
	esac
}

vm_prepare()
{
	# shellcheck disable=SC2153
	local kernel=$TB_KERNEL refresh=0 json=0
	while (($#)); do
		tb_common_opt "$@"
		if ((TB_SHIFT)); then shift "$TB_SHIFT"; continue; fi
		case $1 in
		--kernel) tb_need_value "$@"; kernel=$2; shift ;;
		--refresh) refresh=1 ;;
		--json) json=1 ;;
		*) tb_unknown_opt 'vm prepare' "$1" ;;
		esac
		shift
	done
	tb_begin
	kernel_prepare "$kernel" "$refresh"
	if ((json)); then
		jq --arg asked "$kernel" '{asked: $asked} + .' "$KERNEL_DIR/kernel.json"
	else
		jq -r '"\(.release) (\(.version), Debian \(.suite))"' "$KERNEL_DIR/kernel.json"
	fi
}

# ---- options, common to `vm run` and `two-vm run`

vm_defaults()
{
	VM_CPUS='' VM_MEM=2048 VM_CLOCK=auto VM_SHARE='' VM_WINDOW='' VM_TIMEOUT=900 VM_INFO='' VM_ENV=()
	VM_KERNEL=$TB_KERNEL
}

# vm_opt ARGS…: takes one option; sets TB_SHIFT to how many words it was, 0 if it was none of these.
vm_opt()
{
	TB_SHIFT=0
	case ${1-} in
	--real-time) VM_CLOCK=real TB_SHIFT=1; return ;;
	--virtual-time) VM_CLOCK=virtual TB_SHIFT=1; return ;;
	--kernel | --cpus | --mem | --share | --window | --timeout | --env | --info) tb_need_value "$@" ;;
	*) return 0 ;;
	esac
	case $1 in
	--kernel) VM_KERNEL=$2 ;;
	--cpus) VM_CPUS=$2 ;;
	--mem) VM_MEM=$2 ;;
	--share) VM_SHARE=$2 ;;
	--window) VM_WINDOW=$2 ;;
	--timeout) VM_TIMEOUT=$2 ;;
	--info) VM_INFO=$2 ;;
	--env)
		[[ $2 =~ ^[A-Za-z_][A-Za-z0-9_]*(=|$) ]] || tb_usage "--env '$2': not NAME or NAME=VALUE"
		if [[ $2 == *=* ]]; then VM_ENV+=("$2"); elif [[ -v $2 ]]; then VM_ENV+=("$2=${!2}"); fi
		;;
	esac
	TB_SHIFT=2
}

vm_check_options()
{
	local word
	for word in "$VM_CPUS" "$VM_MEM" "$VM_TIMEOUT"; do
		[[ -z $word || $word =~ ^[1-9][0-9]*$ ]] || tb_usage "'$word' is no positive number"
	done
	kernel_suite "$VM_KERNEL" >/dev/null ||
		tb_usage "no kernel '$VM_KERNEL'" "one of 5.10 6.1 6.12 7.2, or a suite: bullseye bookworm trixie forky"
	((VM_MEM >= 256)) || tb_usage "--mem $VM_MEM: a guest needs 256"
	if [[ $VM_WINDOW ]]; then
		local size
		[[ -f $VM_WINDOW && -w $VM_WINDOW ]] || tb_fail "the window '$VM_WINDOW' is no writable file"
		size=$(stat -Lc %s -- "$VM_WINDOW")
		((size >= 4096 && (size & (size - 1)) == 0)) || tb_usage "the window '$VM_WINDOW' has $size bytes: a power of two, 4096 or more, is needed"
		VM_WINDOW=$(realpath -- "$VM_WINDOW")
	fi
	if [[ $VM_SHARE ]]; then
		[[ -d $VM_SHARE && -w $VM_SHARE ]] || tb_fail "the share '$VM_SHARE' is no writable folder"
		VM_SHARE=$(realpath -- "$VM_SHARE")
		[[ $VM_SHARE != / ]] || tb_usage "the share can't be /"
	fi
}

# KVM without the processor's help (pvm) emulates a part of the instructions, and stops an ordinary kernel at the first
# one that it does not know; QEMU then waits for ever.
vm_hardware()
{
	grep -qwE 'vmx|svm' "${TESTBED_CPUINFO:-/proc/cpuinfo}"
}

# vm_accel: KVM and real time if there is KVM, virtual time otherwise. Sets VM_ACCEL, VM_CLOCK, VM_WHY.
vm_accel()
{
	if [[ ! -e /dev/kvm ]]; then
		VM_ACCEL=tcg VM_WHY="no /dev/kvm"
	elif ! { : <>/dev/kvm; } 2>/dev/null; then
		VM_ACCEL=tcg VM_WHY="/dev/kvm can't be opened by $(id -un)"
	elif ! vm_hardware; then
		VM_ACCEL=tcg VM_WHY="/dev/kvm is there, but the processor shows no vmx or svm"
	else
		VM_ACCEL=kvm VM_WHY="/dev/kvm is usable"
	fi
	case $VM_CLOCK in
	auto) if [[ $VM_ACCEL == kvm ]]; then VM_CLOCK=real; else VM_CLOCK=virtual; fi ;;
	virtual) [[ $VM_ACCEL == tcg ]] || VM_ACCEL=tcg VM_WHY="--virtual-time needs emulation" ;;
	esac
	if [[ $VM_CLOCK == virtual ]]; then
		((${VM_CPUS:-1} == 1)) || tb_usage "virtual time has one CPU, not $VM_CPUS" "--real-time"
		VM_CPUS=1
	fi
	[[ $VM_CPUS ]] || VM_CPUS=$([[ $VM_ACCEL == kvm ]] && echo 2 || echo 1)
}

# ---- one guest's folder: what it boots from and writes to

# A word for sh: the guest's init is busybox, which does not know $'…'.
vm_quote()
{
	printf "'%s'" "${1//\'/\'\\\'\'}"
}

# vm_guest DIR HOSTNAME MODE: writes the guest's own initramfs in front of the kernel's. The job is in DIR/root/testbed/job.
vm_guest()
{
	local dir=$1
	mkdir -p "$dir/root/testbed"
	cp "$TB_DIR/vm/init" "$dir/root/init"
	cp "$TB_DIR/vm/guest" "$dir/root/testbed/guest"
	{
		printf 'VM_REPO=%s\n' "$(vm_quote "$VM_REPO")"
		printf 'VM_CWD=%s\n' "$(vm_quote "$PWD")"
		printf 'VM_SHARE=%s\n' "$(vm_quote "$VM_SHARE")"
		printf 'VM_MODULES=%s\n' "$(vm_quote "$KERNEL_DIR/lib/modules")"
		printf 'VM_HOSTNAME=%s\n' "$(vm_quote "$2")"
	} >"$dir/root/testbed/vm.env"
	vm_info >"$dir/root/testbed/vm.json"
	{
		(cd "$dir/root" && find . | cpio -o -H newc -R 0:0 --quiet)
		cat "$KERNEL_DIR/initrd"
	} >"$dir/initrd" || tb_fail "can't write the guest's initrd in '$dir'" "is the disk full?"
	rm -rf "$dir/root"
	: >"$dir/out"
	: >"$dir/err"
	: >"$dir/console"
}

# vm_job_env: the exports every job starts with.
vm_job_env()
{
	local word
	printf 'export TESTBED_GUEST=1 TESTBED_SHARE=%q TESTBED_CLOCK=%q\n' "$VM_SHARE" "$VM_CLOCK"
	printf 'export TESTBED_VM_INFO=/run/testbed/vm.json\n'
	# The repository may belong to another user than the guest's root.
	printf 'export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="*"\n'
	# The memory of ivshmem's second BAR; no driver claims it.
	[[ -z $VM_WINDOW ]] || cat <<-'EOF'
		for d in /sys/bus/pci/devices/*; do
			[[ $(<"$d/vendor") == 0x1af4 && $(<"$d/device") == 0x1110 ]] || continue
			echo 1 >"$d/enable"
			export TESTBED_WINDOW=$d/resource2_wc
			[[ -e $TESTBED_WINDOW ]] || export TESTBED_WINDOW=$d/resource2
		done
	EOF
	for word in "${VM_ENV[@]}"; do
		printf 'export %s=%q\n' "${word%%=*}" "${word#*=}"
	done
	printf 'cd -- %q || exit 125\n' "$PWD"
}

# vm_qemu DIR EXTRA…: sets VM_QEMU, the command line.
vm_qemu()
{
	local dir=$1 accel
	shift
	# Without ERMS and FSRM the kernel copies by words. "rep movsb" is emulated, and counted, one
	# byte an instruction: copies would dwarf everything else, which they do on no processor.
	case $VM_ACCEL-$VM_CLOCK in
	kvm-*) accel=(-accel kvm -cpu host) ;;
	tcg-virtual) accel=(-accel "tcg,thread=single" -cpu "max,-erms,-fsrm" -icount "shift=1,sleep=off") ;;
	tcg-real) accel=(-accel "tcg,thread=multi,tb-size=512" -cpu "max,-erms,-fsrm") ;;
	esac
	VM_QEMU=(qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -machine q35 "${accel[@]}"
		-smp "$VM_CPUS" -m "$VM_MEM" -kernel "$KERNEL_DIR/vmlinux" -initrd "$dir/initrd"
		-append "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on nokaslr norandmaps tsc=reliable no_timer_check"
		-chardev "file,id=console,path=${dir//,/,,}/console" -serial chardev:console
		-fsdev "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"
		-device "virtio-9p-pci,fsdev=root,mount_tag=root"
		-object "rng-random,id=rng,filename=/dev/urandom" -device "virtio-rng-pci,rng=rng"
		-device virtio-serial-pci
		-chardev "file,id=out,path=${dir//,/,,}/out" -device "virtserialport,chardev=out,name=out"
		-chardev "file,id=err,path=${dir//,/,,}/err" -device "virtserialport,chardev=err,name=err"
		-chardev "file,id=rc,path=${dir//,/,,}/rc" -device "virtserialport,chardev=rc,name=rc")
	[[ -z $VM_SHARE ]] || VM_QEMU+=(-fsdev "local,id=share,path=${VM_SHARE//,/,,},security_model=none,multidevs=remap"
		-device "virtio-9p-pci,fsdev=share,mount_tag=share")
	[[ -z $VM_WINDOW ]] || VM_QEMU+=(-object "memory-backend-file,id=window,share=on,size=$(stat -c %s -- "$VM_WINDOW"),mem-path=${VM_WINDOW//,/,,}"
		-device "ivshmem-plain,memdev=window")
	VM_QEMU+=("$@")
}

vm_info()
{
	local icount=null command
	[[ $VM_CLOCK == real ]] || icount=1
	printf -v command '%q ' "${VM_QEMU[@]}"
	jq --arg accel "$VM_ACCEL" --arg clock "$VM_CLOCK" --argjson shift $icount --arg why "$VM_WHY" --argjson cpus "$VM_CPUS" \
		--argjson mem "$VM_MEM" --arg qemu "$(qemu-system-x86_64 --version | awk 'NR == 1 { print $4 }')" \
		--arg command "${command% }" --arg asked "$VM_KERNEL" \
		'{schema: 1, accel: $accel, clock: $clock, icount_shift: $shift, why: $why, cpus: $cpus, mem_mb: $mem, qemu: $qemu,
		  command: $command, kernel: ({asked: $asked} + .)}' "$KERNEL_DIR/kernel.json"
}

# vm_start DIR: starts qemu with its deadline; sets VM_PID. If this shell is killed, even by -9, qemu goes with it.
vm_start()
{
	tb_trace "${VM_QEMU[@]}"
	setpriv --pdeathsig TERM timeout -k 5 "$VM_TIMEOUT" setpriv --pdeathsig KILL "${VM_QEMU[@]}" \
		</dev/null >"$1/qemu" 2>&1 &
	VM_PID=$!
	VM_PIDS+=("$VM_PID")
	[[ $VM_ACCEL != kvm ]] || vm_watch "$1" "$VM_PID" &
}

# vm_watch DIR PID: KVM that meets what it can't do says so and leaves a guest that stands still: end it at once, not at
# the deadline.
vm_watch()
{
	! grep -qm 1 -e 'KVM internal error' -e 'KVM: entry failed' < <(tail -qf -c +1 -s 0.2 --pid="$2" "$1/qemu" 2>/dev/null) ||
		kill "$2" 2>/dev/null || :
}

# vm_end DIR STATUS NAME: the guest's exit code, or 125 with the reason and the console's end.
vm_end()
{
	local dir=$1 status=$2 what=$3 code='' why
	[[ ! -s $dir/rc ]] || code=$(<"$dir/rc")
	if [[ $code =~ ^[0-9]+$ ]]; then
		return "$code"
	fi
	case $status in
	124 | 137) why="$what was still running after $VM_TIMEOUT s and was stopped" ;;
	0) why="$what died before its command ended" ;;
	*) why="qemu failed ($status)" ;;
	esac
	printf 'testbed: %s\n' "$why" >&2
	if [[ -s $dir/qemu ]]; then
		printf 'qemu says:\n' >&2
		tail -n 5 "$dir/qemu" | sed 's/^/  /' >&2
	fi
	if [[ -s $dir/console ]]; then
		# A panic's reason stands above a page of registers.
		printf 'its console (the last lines, and what looks like the reason):\n' >&2
		tr -d '\r' <"$dir/console" | grep -m 4 -e 'Kernel panic' -e 'BUG:' -e '^testbed:' -e 'Out of memory' | sed 's/^/  /' >&2 || :
		tr -d '\r' <"$dir/console" | tail -n 12 | sed 's/^/  /' >&2
	fi
	[[ $status != 124 && $status != 137 ]] || printf 'hint: --timeout S sets the deadline\n' >&2
	! grep -qs KVM "$dir/qemu" || printf 'hint: --virtual-time does without KVM\n' >&2
	return 125
}

# vm_workdir: a folder for this run, VM_DIR; it and every guest go when the shell does.
vm_workdir()
{
	local old
	VM_PIDS=()
	VM_REPO=$(cd -- "$TB_DIR/.." && pwd -P)
	trap vm_cleanup EXIT
	trap_exit 130 INT
	trap_exit 143 TERM HUP
	for VM_DIR in "${TMPDIR:-/tmp}"/testbed-vm.*; do
		# Left by a run that was killed: its number is in the name.
		old=${VM_DIR##*/testbed-vm.}
		[[ ! -O $VM_DIR || -d /proc/${old%%.*} ]] || rm -rf -- "$VM_DIR"
	done
	VM_DIR=$(mktemp -d "${TMPDIR:-/tmp}/testbed-vm.$$.XXXXXX") ||
		tb_fail "can't make a folder in '${TMPDIR:-/tmp}'" "is the disk full? set TMPDIR"
}

vm_cleanup()
{
	local pid
	trap '' INT TERM HUP
	for pid in "${VM_PIDS[@]}"; do
		kill "$pid" 2>/dev/null || :
	done
	wait
	[[ -z ${VM_DIR-} ]] || rm -rf -- "$VM_DIR"
}

vm_run()
{
	local status=0 follow=()
	vm_defaults
	while (($#)); do
		tb_common_opt "$@"
		if ((TB_SHIFT)); then shift "$TB_SHIFT"; continue; fi
		vm_opt "$@"
		if ((TB_SHIFT)); then shift "$TB_SHIFT"; continue; fi
		case $1 in
		--) shift; break ;;
		-*) tb_unknown_opt 'vm run' "$1" ;;
		*) break ;;
		esac
	done
	(($#)) || tb_usage "'vm run' needs a command" "testbed vm run -- CMD…"
	tb_begin
	vm_check_options
	tb_need qemu-system-x86_64 setpriv timeout cpio jq busybox
	vm_accel
	kernel_prepare "$VM_KERNEL" 0
	vm_workdir
	mkdir -p "$VM_DIR/root/testbed"
	{
		vm_job_env
		printf 'exec'
		printf ' %q' "$@"
		echo
	} >"$VM_DIR/root/testbed/job"
	vm_qemu "$VM_DIR"
	vm_guest "$VM_DIR" testbed
	[[ -z $VM_INFO ]] || vm_info >"$VM_INFO"
	((!TB_VERBOSE)) || tb_note "$VM_ACCEL, $VM_CLOCK time: $VM_WHY; kernel $(jq -r .version "$KERNEL_DIR/kernel.json")"
	vm_start "$VM_DIR"
	tail -qf -c +1 -s 0.05 --pid="$VM_PID" "$VM_DIR/out" & follow+=($!)
	tail -qf -c +1 -s 0.05 --pid="$VM_PID" "$VM_DIR/err" >&2 & follow+=($!)
	VM_PIDS+=("${follow[@]}")
	wait "$VM_PID" || status=$?
	wait "${follow[@]}" || :
	VM_PIDS=()
	vm_end "$VM_DIR" "$status" "the guest" || exit
}
