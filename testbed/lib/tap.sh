# For shell tests: source it, then `plan N` and N times ok / is / skip. What `defer` was given runs at the end, last first.
# shellcheck shell=bash disable=SC2034 # its variables are for others

# shellcheck source=testbed/lib/signals.sh
source "${BASH_SOURCE[0]%/*}/signals.sh"

TAP_N=0 TAP_BAD=0 TAP_PLAN='' TAP_DEFERRED=()

tap_end()
{
	local status=$? i
	trap '' INT TERM HUP
	for ((i = ${#TAP_DEFERRED[@]} - 1; i >= 0; i--)); do
		eval "${TAP_DEFERRED[i]}" >&2 || :
	done
	((status)) || ((TAP_BAD == 0)) || status=1
	exit "$status"
}
trap tap_end EXIT
trap_exit 130 INT
trap_exit 143 TERM HUP

# plan N
plan()
{
	TAP_PLAN=$1
	echo "1..$1"
}

# skip_all WHY: the whole file, before any plan.
skip_all()
{
	echo "1..0 # SKIP $*"
	exit 4
}

# shellcheck disable=SC2120 # most tests need no other kernel
# vm_or_skip [KERNEL…]: skips the whole file where virtual machines with these kernels (none: the default one) can't be
# had, and says why. That a kernel could not be fetched from where it should be is for the test to fail on.
vm_or_skip()
{
	local kernel why status testbed
	testbed=$(dirname "${BASH_SOURCE[0]}")/../testbed
	command -v qemu-system-x86_64 >/dev/null || skip_all "no qemu-system-x86_64"
	for kernel in "${@-}"; do
		status=0
		why=$("$testbed" vm prepare ${kernel:+--kernel "$kernel"} 2>&1 >/dev/null) || status=$?
		((status != 4)) ||
			skip_all "$(awk 'sub(/^testbed: /, "") { what = $0 } sub(/^hint: /, "") { what = what "; " $0 } END { print what }' <<<"$why")"
	done
}

# ok NAME CMD…: CMD succeeds. Its output is shown as comments if it does not.
ok()
{
	local name=$1 out status=0
	shift
	out=$("$@" 2>&1) || status=$?
	tap_result "$name" "$status" "$* gave $status"$'\n'"$out"
}

# is NAME GOT EXPECTED
is()
{
	local status=0
	[[ $2 == "$3" ]] || status=1
	tap_result "$1" $status "got '$2', expected '$3'"
}

# like NAME GOT REGEX
like()
{
	local status=0
	[[ $2 =~ $3 ]] || status=1
	tap_result "$1" $status "'$2' does not match '$3'"
}

# exits NAME CODE CMD…: CMD ends with CODE; TAP_OUT is what it said.
exits()
{
	local name=$1 code=$2 status=0
	shift 2
	TAP_OUT=$("$@" 2>&1) || status=$?
	tap_result "$name" $((status != code)) "$* gave $status, expected $code"$'\n'"$TAP_OUT"
}

tap_result()
{
	TAP_N=$((TAP_N + 1))
	if (($2 == 0)); then
		echo "ok $TAP_N - $1"
		return
	fi
	TAP_BAD=$((TAP_BAD + 1))
	echo "not ok $TAP_N - $1"
	printf '# %s\n' "${3//$'\n'/$'\n'# }"
}

# skip NAME WHY
skip()
{
	TAP_N=$((TAP_N + 1))
	echo "ok $TAP_N - $1 # SKIP $2"
}

# bail WHY: nothing after this makes sense.
bail()
{
	echo "Bail out! $*"
	exit 1
}

# defer COMMAND: a line of shell, run at the end whatever happens.
defer()
{
	TAP_DEFERRED+=("$*")
}

# wait_until SECONDS CMD…: polls until CMD succeeds; fails after SECONDS. Virtual ones leap while a program is read from
# the host, so there they are a last resort only.
wait_until()
{
	local end=$((SECONDS + $1))
	[[ ${TESTBED_CLOCK:-} != virtual ]] || end=$((SECONDS + $1 * 100))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.02
	done
}
