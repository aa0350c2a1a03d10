#!/usr/bin/env bash
# All C of the repository is as .clang-format says; `make format` makes it so.
set -euo pipefail
cd "$(dirname "$0")/../.."
source testbed/lib/tap.sh

# Versions differ in details; the one of the distribution that results/reference was made on decides.
type -P clang-format >/dev/null || skip_all "no clang-format: testbed/deps installs it"
[[ $(clang-format --version) == *version\ 14.* ]] || skip_all "clang-format 14 is the one that counts, this is $(clang-format --version)"
mapfile -d '' files < <(find bpf hooker scenarios testbed \( -name '*.c' -o -name '*.h' \) -print0 | sort -z)
((${#files[@]} > 50)) || bail "found ${#files[@]} files only"
plan 1
ok "${#files[@]} files are formatted" clang-format --dry-run -Werror "${files[@]}"
