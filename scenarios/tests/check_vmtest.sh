#!/usr/bin/env bash
# The matrix that `make vmtest` ends with, from results of the smoke test.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=testbed/lib/tap.sh
. testbed/lib/tap.sh
# shellcheck source=scenarios/lib/matrix.sh
. scenarios/lib/matrix.sh

plan 8
rows=$(mktemp)
defer "rm -f '$rows'"
{
	# One bad file makes a bad mode, whatever the others.
	matrix_row 6.1 <<-'EOT'
	1..5
	ok 1 - tcp text-3KB: byte-exact, tcp on the wire
	not ok 2 - relay-udplite text-3KB: byte-exact, udplite on the wire
	# got 'only 12.00 % of the payload travelled on udplite', expected ''
	ok 3 - relay-udplite video-26MB: byte-exact, udplite on the wire
	ok 4 - kernel-udp@server image-8x: byte-exact, tcp on the wire
	ok 5 - the run says whether a cell failed
	EOT
	matrix_row 5.10 <<-'EOT'
	1..2
	ok 1 - relay-udplite text-3KB: byte-exact, udplite on the wire # SKIP this kernel has no such hook
	ok 2 - tcp text-3KB: byte-exact, tcp on the wire
	EOT
	matrix_row 7.2 </dev/null
} >"$rows"
matrix=$(matrix_print <"$rows")
like "a column for each mode, by name" "$(head -1 <<<"$matrix")" '^Linux +kernel-udp@server +relay-udplite +tcp$'
like "a failed file fails its mode" "$matrix" $'\n6.1 +ok +failed +ok\n'
like "what was not run is not claimed" "$matrix" $'\n5.10 +- +unsupported +ok\n'
like "why it failed" "$matrix" 'Linux 6.1, relay-udplite, failed: only 12.00 % of the payload travelled on udplite'
like "why it is unsupported" "$matrix" 'Linux 5.10, relay-udplite, unsupported: this kernel has no such hook'
like "a run that never began" "$matrix" 'Linux 7.2, .none., failed: the smoke test did not run'
exits "no kernel is a usage error" 2 scenarios/vmtest
exits "nor is an option one" 2 scenarios/vmtest --help
