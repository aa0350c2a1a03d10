# Fetches Debian packages of other suites through a private apt state; the machine's own apt is not touched, no root needed.
# shellcheck shell=bash

# What signs Debian's indexes. Other distributions have the package, but not installed.
APT_KEY=/usr/share/keyrings/debian-archive-keyring.gpg APT_KEY_PACKAGE=debian-archive-keyring

# apt_sources [FILE…]: one line per "deb" source, "SIGNED-BY<TAB>URI<TAB>SUITE", from one-line (.list) and deb822 (.sources) files.
apt_sources()
{
	local f
	if (($# == 0)); then
		shopt -s nullglob
		set -- /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources
		shopt -u nullglob
	fi
	for f; do
		[[ -r $f ]] || continue
		if [[ $f == *.sources ]]; then
			apt_parse_deb822 "$f"
		else
			apt_parse_list "$f"
		fi
	done
}

apt_parse_list()
{
	awk '
	{ sub(/#.*/, "") }
	$1 == "deb" {
		signed = ""; i = 2
		if ($2 ~ /^\[/) {
			while (i <= NF) {
				word = $i; sub(/^\[/, "", word); last = sub(/\]$/, "", word)
				if (word ~ /^signed-by=/) { signed = word; sub(/^signed-by=/, "", signed) }
				i++
				if (last) break
			}
		}
		if (i + 1 <= NF) printf "%s\t%s\t%s\n", signed, $i, $(i + 1)
	}' "$1"
}

apt_parse_deb822()
{
	awk '
	function flush(   i, j, nu, ns, u, s) {
		gsub(/ /, "", v["enabled"])
		if ((" " v["types"] " ") ~ / deb / && tolower(v["enabled"]) != "no" && tolower(v["enabled"]) != "false") {
			nu = split(v["uris"], u, " "); ns = split(v["suites"], s, " ")
			# A key written inline cannot be carried over; the keyring package has it.
			if (v["signed-by"] !~ /^ *\//) v["signed-by"] = ""
			gsub(/ /, "", v["signed-by"])
			for (i = 1; i <= nu; i++) for (j = 1; j <= ns; j++) printf "%s\t%s\t%s\n", v["signed-by"], u[i], s[j]
		}
		split("", v); key = ""
	}
	/^#/ { next }
	/^[ \t]*$/ { flush(); next }
	/^[ \t]/ { if (key) v[key] = v[key] " " $0; gsub(/[ \t]+/, " ", v[key]); next }
	{
		i = index($0, ":"); key = tolower(substr($0, 1, i - 1)); v[key] = substr($0, i + 1)
		gsub(/[ \t]+/, " ", v[key])
	}
	END { flush() }' "$1"
}

# apt_mirrors: "archive<TAB>SIGNED-BY<TAB>URI" and, if configured, "security<TAB>…" of the Debian mirror in use. SIGNED-BY
# is - where none is named: `read` takes two tabs for one.
apt_mirrors()
{
	local signed uri suite name main='' security=''
	if [[ ${TESTBED_MIRROR:-} ]]; then
		printf 'archive\t-\t%s\n' "$TESTBED_MIRROR"
		return
	fi
	while IFS=$'\t' read -r signed uri suite; do
		name=${suite%%-*}
		case $name in
		buster | bullseye | bookworm | trixie | forky | duke | sid | unstable | testing | stable | oldstable) ;;
		*) continue ;;
		esac
		if [[ $suite == *security* || $uri == *security* ]]; then
			security=${security:-$(printf 'security\t%s\t%s' "$signed" "$uri")}
		elif [[ $suite == "$name" ]]; then
			main=${main:-$(printf 'archive\t%s\t%s' "$signed" "$uri")}
		fi
	done < <(apt_sources | sed 's/^\t/-\t/')
	[[ $main ]] || return 1
	printf '%s\n' "$main"
	[[ -z $security ]] || printf '%s\n' "$security"
}

# apt_prepare DIR SUITE: a private apt state in DIR that knows SUITE only; downloads its index.
apt_prepare()
{
	local dir=$1 suite=$2 kind signed uri opt mirrors
	mirrors=$(apt_mirrors) || tb_unsupported "no Debian mirror in this machine's apt sources, to take a kernel from" \
		"set TESTBED_MIRROR=URL, of any Debian mirror$([[ -r $APT_KEY ]] || echo ", and install $APT_KEY_PACKAGE")"
	mkdir -p "$dir"/{lists/partial,archives/partial,empty}
	: >"$dir/status"
	while IFS=$'\t' read -r kind signed uri; do
		[[ $signed == /* ]] || signed=$APT_KEY
		opt="[arch=amd64"
		[[ ! -r $signed ]] || opt+=" signed-by=$signed"
		case $kind in
		archive) printf 'deb %s] %s %s main\n' "$opt" "$uri" "$suite" ;;
		# forky has its security suite like the rest; a mirror without it must not stop us.
		security) printf 'deb %s] %s %s-security main\n' "$opt" "$uri" "$suite" ;;
		esac
	done <<<"$mirrors" >"$dir/sources.list"
	# #clear: the machine's hooks (docker-clean and the like) have no business with a private state.
	cat >"$dir/apt.conf" <<-END
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear DPkg::Post-Invoke;
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
		APT::Sandbox::User "";
		APT::Default-Release "";
		Acquire::Languages "none";
		Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
		Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
		Acquire::Retries "2";
		Acquire::http::Timeout "30";
		Dir::State "$dir";
		Dir::State::lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir";
		Dir::Cache::archives "$dir/archives";
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "$dir/empty";
		Dir::Etc::preferences "$dir/empty/none";
		Dir::Etc::preferencesparts "$dir/empty";
	END
	# A mirror that does not answer is but a warning to apt, whose exit code is 0.
	if apt_do "$dir" apt-get -qq update >"$dir/update.log" 2>&1 && compgen -G "$dir/lists/*_dists_${suite}_*Release" >/dev/null; then
		return
	fi
	tail -n 5 "$dir/update.log" >&2
	# As every version of apt says of a signature whose key it lacks.
	[[ -r $APT_KEY ]] || ! grep -qF 'is not signed' "$dir/update.log" ||
		tb_unsupported "no key to check the index of Debian '$suite' with" "install $APT_KEY_PACKAGE"
	tb_fail "can't fetch the index of Debian '$suite'" "is the mirror of this machine's apt sources, or of TESTBED_MIRROR, reachable?"
}

# apt_do DIR CMD…: an apt command on the private state.
apt_do()
{
	local dir=$1 cmd=$2
	shift 2
	tb_cmd "$cmd" -c "$dir/apt.conf" "$@"
}
