#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Scenarios that are programs: each has its program and its figure, and a figure is a function of its data.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=testbed/lib/tap.sh
. "$root/testbed/lib/tap.sh"
type -P gnuplot >/dev/null || skip_all 'no gnuplot: make deps installs it'
work=$(mktemp -d)
defer 'rm -rf "$work"'

declare -A data=(
	[fairness]='rate_mbit,mode,rep,flow,goodput_mbit,share,sent,lost_pct
10,tcp,1,mode,4.7,0.49,12000,1.1
10,tcp,1,tcp,4.9,0.51,12300,1.2
10,relay-udp,1,mode,5.7,0.59,13000,1.1
10,relay-udp,1,tcp,3.9,0.41,11300,1.2'
	[biterrors]='corrupt_pct,mode,coverage,rep,status,goodput_mbit,damaged_ppm,damaged_bits,dropped
0,tcp,-,1,identical,30.1,0,0,0
1,tcp,-,1,identical,12.5,0,0,16
0,kernel-udplite,24,1,identical,30.0,0,0,0
1,kernel-udplite,24,1,damaged,28.2,7.2,15,1
1,relay-udp,-,1,no answer,,,0,3'
	[fallback]='mode,rep,t_s,goodput_mbit,tcp_mbit,udp_mbit,udplite_mbit
tcp,1,0.0,0.1,0.2,0,0
tcp,1,0.1,18.0,19.5,0,0
kernel-udp,1,0.0,0,0.1,0,0
kernel-udp,1,0.1,17.0,0,19.0,0
kernel-udp,1,7.0,17.0,19.5,0,0'
	[hotswap]='variant,rep,t_s,goodput_mbit,retransmits
none,1,0.0,10.5,0
none,1,0.1,18.5,0
swap,1,0.1,18.5,0
redeploy,1,0.1,3.5,12'
)

plan 20
for name in fairness biterrors fallback hotswap; do
	program=$(sed -n 's/^PROGRAM=//p' "$root/scenarios/$name.conf")
	ok "$name: its program is there" test -x "$root/scenarios/$program"
	mkdir "$work/$name"
	jq --arg s "$name" --arg p "$program" '. + {scenario: $s, title: $s, config: {PROGRAM: $p, FIGURE: ""}}' \
		"$root/results/reference/paper/run.json" >"$work/$name/run.json"
	printf 'mode,status\ntcp,a finding of %s\n' "$name" >"$work/$name/findings.csv"
	printf '%s\n' "${data[$name]}" >"$work/$name/data.csv"
	printf 'variant,rep,t_s,what,took_ms\nswap,1,0.05,client: parse,5.1\n' >"$work/$name/events.csv"
	ok "$name: drawn" "$root/plots/draw" "$work/$name"
	cp "$work/$name/fig-$name.svg" "$work/once.svg"
	cp "$work/$name/fig-$name.pdf" "$work/once.pdf"
	"$root/plots/draw" "$work/$name" 2>/dev/null || :
	ok "$name: twice the same bytes, SVG" cmp "$work/once.svg" "$work/$name/fig-$name.svg"
	ok "$name: twice the same bytes, PDF" cmp "$work/once.pdf" "$work/$name/fig-$name.pdf"
	"$root/scenarios/report" "$work/$name" || :
	is "$name: the page holds the figure and the findings" \
		"$(grep -c -e '<svg' -e "a finding of $name" "$work/$name/report.html")" 2
done
