#!/usr/bin/env bash
# All shell of the repository passes shellcheck.
set -euo pipefail
cd "$(dirname "$0")/../.."
source testbed/lib/tap.sh

# Not only git's list: a tree from a tarball has none. A shell file is one named .sh or one that begins with a shell's #!.
mapfile -d '' files < <(find . \( -name .git -o -path ./build -o -path './results/?*' \) -prune -o -type f -size -200k -print0 |
	while IFS= read -rd '' f; do
		IFS= read -rn 64 line 2>/dev/null <"$f" || :
		[[ $f != *.sh && ! ${line-} =~ ^'#!'.*[/\ ](ba|da|busybox\ )?sh$ ]] || printf '%s\0' "$f"
	done)
type -P shellcheck >/dev/null || skip_all "no shellcheck: testbed/deps installs it"
((${#files[@]} > 5)) || bail "found ${#files[@]} shell files only"
plan ${#files[@]}
# Many in one go: each would else read again what it sources. Exit 1 is findings, more is trouble.
found=$(printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n $(((${#files[@]} + 3) / 4)) \
	bash -c 'shellcheck -f gcc "$@" || (($? == 1))' shellcheck) || bail "shellcheck does not work"
clean() { ! grep -F -- "$1:" <<<"$found"; }
for f in "${files[@]}"; do
	ok "${f#./}" clean "$f"
done
