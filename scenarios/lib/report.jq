# SPDX-License-Identifier: GPL-2.0
# The report's contents, as Markdown and as HTML. Input: {run, rows, svg}; nothing here is typed in
# by hand but the paper's own figure.

def paper_ms: 55;

def num: if . == "" or . == null then null else tonumber end;
def round3: . * 1000 | round / 1000;
def ms: if . == null then "–" else
	(if (. | fabs) < 100 then (. * 100 | round / 100) else (. * 10 | round / 10) end | tostring) end;
def signed: if . == null then "–" elif . >= 0 then "+" + ms else "−" + ((. * -1) | ms) end;
def span($low; $high): if $low == null then "" else "\($low | ms) … \($high | ms)" end;
def signed_span($low; $high): if $low == null then "" else "\($low | signed) … \($high | signed)" end;
def kb: if . >= 1048576 then "\(. / 1048576 | round) MB" elif . >= 1024 then "\(. / 1024 | round) KB" else "\(.) B" end;
def orelse($other): if . == null or . == "" then $other else . end;

def csv_rows: split("\n") | map(select(. != "") | split(",")) | .[0] as $head | .[1:]
	| map([$head, .] | transpose | map({key: .[0], value: .[1]}) | from_entries
		| . + {bytes: .bytes | tonumber, n: .n | tonumber, failed: .failed | tonumber}
		| reduce ("median_ms", "ci95_low_ms", "ci95_high_ms", "delta_ms", "delta_ci95_low_ms", "delta_ci95_high_ms") as $k
			(.; .[$k] |= num));

def by_mode($mode): map(select(.mode == $mode));
def moved: map(select(.mode != "tcp" and .mode != "tcp+xdp" and .delta_ms != null));

# What each mode that moves payload off TCP costs, file by file: {mode, text, mean}.
def findings: . as $rows
	| [$rows[].mode] | reduce .[] as $m ([]; if index($m) then . else . + [$m] end)
	| map(. as $mode | ($rows | by_mode($mode) | moved) as $cells | select($cells | length > 0)
		| {mode: $mode, mean: ($cells | map(.delta_ms) | add / length),
		   text: ($cells | map("\(.file) \(.delta_ms | signed) ms") | join(", "))});

def headline: findings as $f
	| if ($f | length) == 0 then "Plain TCP, measured: no mode of this run moved payload to another transport."
	  else "By \($f[0].mode): \($f[0].text). The paper’s prototype: +\(paper_ms) ms on average." end;

def notes: findings as $f
	| ($f[1:] | map("By \(.mode): \(.text)."))
	+ (if any(.[]; .mode != "tcp" and .delta_ms != null and .delta_ms < -10)
	   then ["Where a mode is faster than tcp, its transport begins with a larger window than TCP’s ten segments. That is the transport’s doing; it is not what redirection costs."] else [] end)
	+ (if any(.[]; .mode == "tcp+xdp" and .delta_ms != null)
	   then ["tcp+xdp has Hooker attached and redirects nothing: what its hooks cost by themselves. An XDP program on a veth turns off its segmentation offload, which large files notice."] else [] end);

def status_line: ([.rows[].n] | add) as $n | ([.rows[].failed] | add) as $bad
	| ([.rows[] | select(.verdict == "unsupported") | .mode] | unique) as $un
	| "\($n) transfers passed: every byte compared, the transport proven by tshark on the router. \($bad) failed."
	+ (if $un | length > 0 then " Not supported here: \($un | join(", "))." else "" end);

def clock_text: if .clock == "virtual"
	then "virtual: no KVM here, so QEMU counts instructions (2^\(.vm.icount_shift // 1) ns each). Repeatable whatever the load; a model of a processor, not this one’s speed"
	elif .vm.accel == "tcg" then "real, under emulation: noisy, and slower than any processor. What works is shown, not what it costs"
	else "real" end;

def link_text: ([.links[]?] | first) as $l | if $l == null then "unknown" else
	"RTT \($l.asked.rtt_ms) ms asked, \($l.measured.rtt_ms.avg // $l.measured.rtt_ms // "not" ) ms measured; loss \($l.asked.loss_pct // 0) %; rate \(if $l.asked.rate_mbit then "\($l.asked.rate_mbit) Mbit/s" else "not limited" end); MTU \($l.asked.mtu)" end;

def offload_text: ([.links[]?] | first | .offloads.client // {}) | to_entries | map("\(.key) \(.value)") | join(", ") | orelse("unknown");

# Table 1: the testbed as it really was.
def testbed: [
	["Hosts", {vm: "client, router and server: three namespaces in one virtual machine, one set for each mode",
		"two-vm": "client and server: two virtual machines and a virtio-net link between them, for all modes in turn",
		netns: "client, router and server: three namespaces on the running kernel, one set for each mode"}[.backend]],
	["Kernel of the hosts", .kernel | orelse("unknown")],
	["Kernel package", (.vm.kernel | if . then "\(.package) \(.version)" else null end) | orelse("the running one")],
	["Virtual machine", (.vm | if . then "QEMU \(.qemu), \(.accel), \(.cpus) CPU, \(.mem_mb) MB" else null end) | orelse("none")],
	["Clock", clock_text],
	["Processor", "\(.host.cpu | orelse("unknown")), \(.host.cpus) CPUs"],
	["System", "\(.host.os), Linux \(.host.kernel)"],
	["Link", link_text],
	["Queueing", ([.links[]?] | first | .qdisc // {} | to_entries | map("\(.key): \(.value)") | join("; ") | orelse("unknown"))],
	["Offloads of the hosts", offload_text],
	["Congestion control", ([.links[]?] | first | .sysctls["net.ipv4.tcp_congestion_control"] | orelse("unknown"))],
	["Application", "stream serve (\(.send)) and stream fetch"],
	["Repetitions", "\(.reps) of each cell\(if .reps_asked then " (of \(.reps_asked): no more fitted into \(.budget_s) s)" else "" end), \(.warmup) warm-up, interleaved, seed \(.seed)"],
	["Hooker", "\(.tools.hooker | orelse("not built")); commit \(.commit[0:12])\(if .dirty then ", with local changes" else "" end)"],
	["Tools", "\(.tools.clang | orelse("no clang")); libbpf \(.tools.libbpf); \(.tools.tshark)"]];

def rerun: "make eval SCENARIO=\(.scenario) BACKEND=\(.backend) REPS=\(.reps) MODES=\"\(.modes | join(" "))\""
	+ (if .config.KERNEL | orelse(null) then " KERNEL=\(.config.KERNEL)" else "" end);

def methods: [
	"Completion time runs from just before connect() until the client has read the end of the stream, on the client’s clock.",
	"Modes of one file stand together in each repetition, in a shuffled order. Before each cell the client waits a recorded random time of up to 50 ms.",
	"Medians, with 95 % percentile bootstrap intervals (\("10 000") resamples). Differences are paired: each transfer is compared with the plain TCP transfer of the same file in the same repetition.",
	"A transfer counts only if the client exits with 0, every byte equals the original’s, and the capture on the router proves the transport: nothing lost while capturing, every checksum right, at least 99 % of payload bytes in the asked protocol.",
	"The hosts fill their checksums themselves (transmit checksum offload is off), so that what the router sees is what a wire would carry. That holds for all modes."]
	+ [(.peers // {}) | to_entries[] | "\(.key): \(.value)"];

def result_cells: [.file, .mode, (.n | tostring) + (if .failed > 0 then " (+\(.failed) failed)" else "" end),
	(.median_ms | ms), span(.ci95_low_ms; .ci95_high_ms),
	(if .mode == "tcp" then "" else .delta_ms | signed end),
	(if .mode == "tcp" then "" else signed_span(.delta_ci95_low_ms; .delta_ci95_high_ms) end),
	(.observed_protocol | orelse("–")), .verdict];
def result_head: ["file", "mode", "n", "median ms", "95 % interval", "Δ to tcp, ms", "95 % interval", "on the wire", "verdict"];

def md_row: "| " + join(" | ") + " |";
def md_table($head): [($head | md_row), ($head | map("---") | md_row), (.[] | md_row)] | join("\n");

def markdown: . as $in | .run as $run |
	"# \($run.title | orelse($run.scenario))\n\n**\($in.rows | headline)**\n\n\($in | status_line)\n\n"
	+ ([$in.rows | notes[] | "- " + . + "\n"] | join("")) + "\n"
	+ (if $in.svg then "![Figure 6](fig6.svg)\n\n" else "" end)
	+ "## Results\n\n" + ([$in.rows[] | result_cells] | md_table(result_head))
	+ "\n\n## Table 1: the testbed\n\n" + ($run | testbed | md_table(["", ""]))
	+ "\n\n## How it was measured\n\n" + ($run | methods | map("- " + .) | join("\n"))
	+ "\n\n## Again\n\n    \($run | rerun)\n\nRun \($run.id), \($run.started) to \($run.finished), \($run.wall_s) s. `run.json` holds the environment, `cells.jsonl` every transfer.\n";

def td($tag): map("<\($tag)>\(@html)</\($tag)>") | join("");
def html_table($head): "<div class=scroll><table>" + (if $head then "<thead><tr>\($head | td("th"))</tr></thead>" else "" end)
	+ "<tbody>" + (map("<tr>\(td("td"))</tr>") | join("\n")) + "</tbody></table></div>";
def result_rows: . as $rows | [range(length) | . as $i | $rows[$i]
	| "<tr class=\"\(.verdict)\(if $i > 0 and $rows[$i - 1].file != .file then " first" else "" end)\">\(result_cells | td("td"))</tr>"]
	| join("\n");

def html($css): . as $in | .run as $run |
	"<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
	+ "<title>\($run.title | orelse($run.scenario) | @html)</title>\n<style>\n\($css)</style>\n<main>\n"
	+ "<p class=kicker>Hooker · scenario \($run.scenario | @html) · \($run.started | @html)</p>\n"
	+ "<h1>\($in.rows | headline | @html)</h1>\n"
	+ "<p class=\"\(if ([$in.rows[].failed] | add) > 0 then "bad" else "good" end)\">\($in | status_line | @html)</p>\n"
	+ (if $in.svg then "<figure>\($in.svg)<figcaption>Figure 6. \($run.title | @html). The dashed line is what the paper reports for its prototype: 55 ms on average above TCP.</figcaption></figure>\n" else "" end)
	+ "<h2>Results</h2>\n<ul>\([$in.rows | notes[] | "<li>\(@html)</li>"] | join("\n"))</ul>\n<div class=scroll><table class=results><thead><tr>\(result_head | td("th"))</tr></thead><tbody>\($in.rows | result_rows)</tbody></table></div>\n"
	+ "<h2>Table 1: the testbed as it was</h2>\n\($run | testbed | html_table(null))\n"
	+ "<h2>How it was measured</h2>\n<ul>\($run | methods | map("<li>\(@html)</li>") | join("\n"))</ul>\n"
	+ "<h2>Run it again</h2>\n<pre>\($run | rerun | @html)</pre>\n"
	+ "<p class=small>Run \($run.id | @html), \($run.wall_s) s in all. run.json holds the whole environment, cells.jsonl every transfer, pcap/ the captures of the first repetition.</p>\n</main>\n</html>\n";
