# two-vm: a client's guest and a server's guest and one virtio-net link between them, as in the paper. Real time.
# shellcheck shell=bash disable=SC2034 # its variables are for others

twovm_main()
{
	local server='' client=''
	[[ ${1-} == run ]] || tb_usage "'two-vm' needs 'run'" "testbed help"
	shift
	vm_defaults
	link_defaults
	while (($#)); do
		tb_common_opt "$@"
		if ((TB_SHIFT)); then shift "$TB_SHIFT"; continue; fi
		case $1 in
		# Clocks of two guests drift apart when each runs as fast as it can.
		--virtual-time) tb_usage "two-vm runs in real time only" ;;
		esac
		vm_opt "$@"
		if ((TB_SHIFT)); then shift "$TB_SHIFT"; continue; fi
		link_opt "$@"
		if ((TB_SHIFT)); then shift "$TB_SHIFT"; continue; fi
		case $1 in
		--server) tb_need_value "$@"; server=$2 ;;
		--client) tb_need_value "$@"; client=$2 ;;
		*) tb_unknown_opt 'two-vm run' "$1" ;;
		esac
		shift 2
	done
	[[ $server && $client ]] || tb_usage "'two-vm run' needs --server CMD and --client CMD" "testbed help"
	VM_CLOCK=real
	tb_begin
	vm_check_options
	link_settle
	link_netem
	tb_need qemu-system-x86_64 setpriv timeout cpio jq busybox
	# A stream netdev came with 7.2; it keeps frames whole, unlike a socket's, and loses none, unlike datagrams.
	grep -qx stream < <(qemu-system-x86_64 -netdev help 2>/dev/null) ||
		tb_unsupported "this qemu has no 'stream' network ($(qemu-system-x86_64 --version | head -n 1))" "two-vm needs qemu 7.2 or newer"
	vm_accel
	kernel_prepare "$VM_KERNEL" 0
	vm_workdir
	twovm_guest server "$server"
	twovm_guest client "$client"
	twovm_run
}

# twovm_guest ROLE CMD: the folder of one guest. Between the guests and this shell: `ctl`, a port each way.
twovm_guest()
{
	local role=$1 dir=$VM_DIR/$1 net mac=02:00:0a:63:03:02
	mkdir -p "$dir/root/testbed/testbed"
	mkfifo "$dir/ctl.in" "$dir/ctl.out"
	cp -r "$TB_DIR/lib" "$dir/root/testbed/testbed/"
	cp "$TB_DIR/vm/two" "$dir/root/testbed/two"
	if [[ $role == server ]]; then
		net="stream,id=net,server=on,addr.type=unix,addr.path=${VM_DIR//,/,,}/link"
	else
		net="stream,id=net,server=off,addr.type=unix,addr.path=${VM_DIR//,/,,}/link"
		mac=02:00:0a:63:03:01
	fi
	vm_qemu "$dir" -netdev "$net" -device "virtio-net-pci,netdev=net,mac=$mac,romfile=" \
		-chardev "pipe,id=ctl,path=${dir//,/,,}/ctl" -device "virtserialport,chardev=ctl,name=ctl"
	{
		vm_job_env
		printf 'export TESTBED_HOST=%q\n' "$role"
		declare -p LINK_RTT_US LINK_LOSS LINK_RATE LINK_MTU LINK_LIMIT LINK_REORDER LINK_DUPLICATE LINK_CORRUPT \
			LINK_GRO LINK_TSO LINK_TXCSUM LINK_VERIFY LINK_NETEM
		printf 'TWO_CMD=%q\n' "$2"
		printf 'source /run/testbed/two\n'
	} >"$dir/root/testbed/job"
	vm_guest "$dir" "$role"
	declare -ga "TWO_QEMU_$role=($(printf ' %q' "${VM_QEMU[@]}"))"
}

# The order of things. server: up -> started. client: up, measures the link -> runs -> ends. server: stop -> ends.
# Each line a guest says on `ctl` is one word.
twovm_run()
{
	local role status=0 follow=() word sfd cfd pid_server pid_client code=0
	for role in server client; do
		local -n qemu=TWO_QEMU_$role
		VM_QEMU=("${qemu[@]}")
		# The client connects to the server's socket once, at its start.
		[[ $role == server ]] || tb_wait 20 twovm_listens "$VM_DIR/link" || vm_end "$VM_DIR/server" 1 "the server's guest" || exit
		vm_start "$VM_DIR/$role"
		# shellcheck disable=SC2153
		[[ $role == server ]] && pid_server=$VM_PID || pid_client=$VM_PID
		[[ -z $VM_INFO ]] || [[ $role == server ]] || vm_info >"$VM_INFO"
		tail -qf -c +1 -s 0.05 --pid="$VM_PID" "$VM_DIR/$role/out" & follow+=($!)
		tail -qf -c +1 -s 0.05 --pid="$VM_PID" "$VM_DIR/$role/err" >&2 & follow+=($!)
	done
	VM_PIDS+=("${follow[@]}")
	# Opened for both directions, so that neither open nor read ends with the other side.
	exec {sfd}<>"$VM_DIR/server/ctl.in" {cfd}<>"$VM_DIR/client/ctl.in"
	if twovm_hear server up "$pid_server" && echo addr >&"$sfd" && twovm_hear client up "$pid_client" &&
		echo measure >&"$cfd" && twovm_hear client measured "$pid_client" &&
		echo start >&"$sfd" && twovm_hear server started "$pid_server"; then
		echo start >&"$cfd"
		# Whichever ends first; a server that dies early leaves the client to notice, as on a network.
		wait "$pid_client" || status=$?
	fi
	if ! [[ -s $VM_DIR/client/rc ]]; then
		kill -0 "$pid_client" 2>/dev/null && kill "$pid_client" 2>/dev/null
		wait "$pid_client" 2>/dev/null || status=$?
	fi
	echo stop >&"$sfd"
	tb_wait 30 twovm_gone "$pid_server" || kill "$pid_server" 2>/dev/null || :
	wait "${follow[@]}" || :
	vm_end "$VM_DIR/client" "$status" "the client's guest" || code=$?
	if ((code == 125)) && [[ ! -s $VM_DIR/server/rc ]]; then
		vm_end "$VM_DIR/server" 0 "the server's guest" || :
	fi
	exit "$code"
}

# twovm_listens PATH: bind() makes the file, listen() opens it: who connects in between is refused.
twovm_listens()
{
	awk -v path="$1" '$4 == "00010000" && substr($0, length($0) - length(path) + 1) == path { found = 1 } END { exit !found }' /proc/net/unix
}

twovm_gone()
{
	! kill -0 "$1" 2>/dev/null
}

# twovm_hear ROLE WORD PID: waits for a guest's word, as long as the guest lives.
twovm_hear()
{
	local role=$1 want=$2 pid=$3 word fd
	exec {fd}<>"$VM_DIR/$role/ctl.out"
	while kill -0 "$pid" 2>/dev/null; do
		if read -rt 0.2 -u "$fd" word; then
			exec {fd}>&-
			[[ $word == "$want" ]]
			return
		fi
	done
	exec {fd}>&-
	return 1
}
