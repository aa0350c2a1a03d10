# Shared by every testbed command: messages, exit codes, the command log, small parsers. Sourced, never run.
# shellcheck shell=bash disable=SC2034 # its variables are for others

# shellcheck source=/dev/null
source "${BASH_SOURCE[0]%/*}/signals.sh"

TB_HOSTS=(client router server)
TB_VERBOSE=${TB_VERBOSE:-0}
TB_LOG=${TESTBED_LOG:-}
TB_NAME=${TESTBED_NAME:-hooker}

# The one error a command gives: MESSAGE [REMEDY]. Exit code 1, 2 or 4.
tb_fail() { tb_die 1 "$@"; }
tb_usage() { tb_die 2 "$@"; }
tb_unsupported() { tb_die 4 "$@"; }

tb_die()
{
	printf 'testbed: %s\n' "$2" >&2
	[[ $# -lt 3 ]] || printf 'hint: %s\n' "$3" >&2
	exit "$1"
}

tb_note()
{
	printf 'testbed: %s\n' "$*" >&2
}

# tb_trace CMD…: prints (-v) and logs a command that is about to run.
tb_trace()
{
	local line
	((TB_VERBOSE)) || [[ $TB_LOG ]] || return 0
	printf -v line '%q ' "$@"
	((!TB_VERBOSE)) || printf '+ %s\n' "${line% }" >&2
	[[ -z $TB_LOG ]] || printf '%s\n' "${line% }" >>"$TB_LOG"
}

# tb_cmd CMD…: runs a command and keeps it in the log.
tb_cmd()
{
	tb_trace "$@"
	"$@"
}

# tb_quiet CMD…: the same, for a command whose words nobody needs.
tb_quiet()
{
	tb_trace "$@"
	"$@" >/dev/null 2>&1
}

# tb_batch CMD… <<LINES: CMD with each line, as one process: under emulation starting one costs tens of milliseconds.
tb_batch()
{
	local line lines=''
	while read -r line; do
		# shellcheck disable=SC2086
		tb_trace "$@" $line
		lines+=$line$'\n'
	done
	"$@" -batch - <<<"$lines"
}

# tb_common_opt ARGS…: takes one option every command has; sets TB_SHIFT to how many words it was, 0 if it was none.
tb_common_opt()
{
	TB_SHIFT=0
	case ${1-} in
	-v | --verbose) TB_VERBOSE=1 TB_SHIFT=1 ;;
	--log | --name)
		[[ $# -ge 2 && $2 ]] || tb_usage "$1 needs a value" "testbed help"
		if [[ $1 == --log ]]; then TB_LOG=$2; else TB_NAME=$2; fi
		TB_SHIFT=2
		;;
	esac
}

# Called once the arguments are known, before the first command.
tb_begin()
{
	[[ $TB_NAME =~ ^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$ ]] ||
		tb_usage "'$TB_NAME' is no instance name" "letters, digits, '_', '.', '-'; at most 32"
	if [[ $TB_LOG ]]; then
		{ : >>"$TB_LOG"; } 2>/dev/null || tb_fail "can't write the command log '$TB_LOG'"
		TB_LOG=$(realpath -- "$TB_LOG")
	fi
}

tb_need_value()
{
	[[ $# -ge 2 ]] || tb_usage "$1 needs a value" "testbed help"
}

tb_unknown_opt()
{
	tb_usage "unknown option '$2' of '$1'" "testbed help"
}

# tb_need CMD…: every program must be there.
tb_need()
{
	local c missing=()
	for c; do
		command -v "$c" >/dev/null || missing+=("$c")
	done
	((${#missing[@]} == 0)) || tb_unsupported "missing: ${missing[*]}" "testbed/deps installs it"
}

tb_need_root()
{
	((EUID == 0)) || tb_unsupported "'$1' needs root" "run it as root, or inside a guest: testbed vm run -- …"
}

# tb_duration_us WORD: 50ms, 1s, 300us, 0 -> microseconds.
tb_duration_us()
{
	local n unit
	[[ $1 =~ ^([0-9]+(\.[0-9]+)?)(us|ms|s)?$ ]] || return 1
	n=${BASH_REMATCH[1]} unit=${BASH_REMATCH[3]}
	[[ $unit || $n =~ ^0+$ ]] || return 1
	case $unit in
	us | '') awk -v n="$n" 'BEGIN { printf "%.0f", n }' ;;
	ms) awk -v n="$n" 'BEGIN { printf "%.0f", n * 1000 }' ;;
	s) awk -v n="$n" 'BEGIN { printf "%.0f", n * 1000000 }' ;;
	esac
}

# tb_rate_bps WORD: 100mbit, 1.5gbit, 64kbit, 0 (no limit) -> bits a second.
tb_rate_bps()
{
	local n unit f=1
	[[ $1 =~ ^([0-9]+(\.[0-9]+)?)([kmg]?bit)?$ ]] || return 1
	n=${BASH_REMATCH[1]} unit=${BASH_REMATCH[3]}
	[[ $unit || $n =~ ^0+$ ]] || return 1
	case $unit in
	kbit) f=1000 ;;
	mbit) f=1000000 ;;
	gbit) f=1000000000 ;;
	esac
	awk -v n="$n" -v f=$f 'BEGIN { printf "%.0f", n * f }'
}

# tb_percent WORD: 1%, 0.5%, 0 -> the bare number.
tb_percent()
{
	[[ $1 =~ ^([0-9]+(\.[0-9]+)?)%?$ ]] || return 1
	awk -v n="${BASH_REMATCH[1]}" 'BEGIN { if (n > 100) exit 1; printf "%.10g", n }'
}

# tb_cgroup2: where the cgroup v2 hierarchy is mounted. On a hybrid machine that is not /sys/fs/cgroup.
tb_cgroup2()
{
	local line
	while read -r line; do
		[[ $line == *' - cgroup2 '* ]] || continue
		read -r _ _ _ _ line _ <<<"$line"
		printf '%b' "$line"
		return 0
	done </proc/self/mountinfo
	return 1
}

# tb_wait DEADLINE_S CMD…: polls until CMD succeeds. Virtual time leaps while a program is read from the host, by
# minutes on 5.10: there the deadline is but a last resort, and the one that counts is the host's.
tb_wait()
{
	local end=$((SECONDS + $1))
	[[ ${TESTBED_CLOCK:-} != virtual ]] || end=$((SECONDS + $1 * 100))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.02
	done
}
