# SPDX-License-Identifier: GPL-2.0
# Numbers and texts as the report writes them, and reading CSV.

def num: if . == "" or . == null then null else tonumber end;
def orelse($other): if . == null or . == "" then $other else . end;
def ms: if . == null then "–" else
	(if (. | fabs) < 100 then (. * 100 | round / 100) else (. * 10 | round / 10) end | tostring) end;
def signed: if . == null then "–" elif . >= 0 then "+" + ms else "−" + ((. * -1) | ms) end;
def span($low; $high): if $low == null then "" else "\($low | ms) … \($high | ms)" end;
# Of fewer there is no 95 % interval of a median: what stands in its columns is the range (results/README.md).
def interval_least: 6;
def signed_span($low; $high): if $low == null then "" else "\($low | signed) … \($high | signed)" end;
def from_to: if .[0] == .[1] then "\(.[0])" else "\(.[0]) to \(.[1])" end;
def mean: if length == 0 then null else add / length end;
def distinct: reduce .[] as $x ([]; if index([$x]) then . else . + [$x] end);
def fixed($digits): if . == null then "–" else . as $x | pow(10; $digits) as $p | ($x * $p | round / $p | tostring) end;

# Every field of a row stays a text but those that are numbers by the schema of results/README.md.
def numbers: ["bytes", "n", "failed", "median_ms", "ci95_low_ms", "ci95_high_ms", "delta_ms", "delta_ci95_low_ms",
	"delta_ci95_high_ms", "outliers", "cliffs_delta", "files", "fixed_ms", "ns_per_byte"];
def csv_rows: split("\n") | map(select(. != "") | split(",")) | .[0] as $head | .[1:]
	| map([$head, .] | transpose | map({key: .[0], value: .[1]}) | from_entries
		| reduce numbers[] as $k (.; if has($k) then .[$k] |= num else . end));

# From what a scenario's numbers come: its own runs, not those of another scenario of the same page.
def commits: map("\(.commit[0:12])\(if .dirty then " with local changes" else "" end)") | distinct | join(", ");
# How often: transfers that passed, or the repetitions of a program, which has no such table.
def repeated: (.rows | map(select(.n > 0))) as $rows
	| if $rows | length == 0 then "\(.run.config.REPS // .run.reps)"
	  else [$rows | group_by(.mode)[] | {mode: .[0].mode, n: (map(.n) | [min, max] | from_to)}] | group_by(.n)
		| if length == 1 then .[0][0].n else map("\(.[0].n) (\(map(.mode) | join(", ")))") | join(", ") end end;
def origin: "commit \(.runs | commits), n = \(repeated)";

# The same of a benchmark (its machine.json). Processor seconds count the whole machine: it should have been idle.
def busy: (.load_before // 0) > 0.5;
def bench_origin: "commit \((.commit // "unknown")[0:12])\(if busy then ", load \(.load_before) before" else "" end)";
