# SPDX-License-Identifier: GPL-2.0
# What the paper claims, and how each claim is tested against recorded results. A claim is data (`says`,
# `where`, `figure`; `from`: the scenarios whose runs it rests on, or bench) and a test: an expression over the
# results that gives a verdict and its reason.
# No verdict is typed anywhere.
#
# verdicts: reproduced · exceeded · not reproduced · cannot be tested here
include "format";

def paper_ms: 55;

def rows_of($scenario): [.scenarios[] | select(.name == $scenario) | .rows[]?];
def of_mode($mode): map(select(.mode == $mode));
def untested($why): {verdict: "cannot be tested here", because: $why};
def no_run($scenario): untested("no run of scenario \($scenario) in this report");
def too_few: untested("\(.file): n = \(.n) is too few for an interval");
def has_interval: .n >= interval_least and .delta_ci95_low_ms != null;
# The runs that a claim rests on, as far as they are in this report.
def by($doc): map(. as $name | if $name == "bench" then
	$doc.machine | select(. != null) | "bench: \(bench_origin)"
	else $doc.scenarios[] | select(.name == $name) | "\($name): \(origin)" end) | join("; ") | orelse("–");
def passed: map(.n) | add // 0;
def sound($transport): length > 0 and all(.[]; .verdict == "ok" and .observed_protocol == $transport);
def clock: if any(.[]; .clock == "virtual") then "virtual" else "real" end;

def redirected($mode; $transport): rows_of("paper") | of_mode($mode)
	| if length == 0 then no_run("paper")
	  elif sound($transport) then {verdict: "reproduced",
		because: "\(passed) transfers of \(map(.file) | distinct | length) files by unmodified programs: each byte-exact, at least 99 % of its payload in \($transport) by tshark, every checksum right"}
	  else {verdict: "not reproduced", because: "of \($mode), \(map(.failed) | add) transfers failed; observed: \(map(.observed_protocol) | distinct | join(", "))"} end;

def added($mode): rows_of("paper") | of_mode($mode) | map(select(.delta_ms != null))
	| if length == 0 then no_run("paper") else
	  (map(.delta_ms) | mean) as $mean
	  | {verdict: (if $mean <= paper_ms * 0.8 then "exceeded" elif $mean <= paper_ms * 1.2 then "reproduced" else "not reproduced" end),
	     because: "\($mode) adds \($mean | signed) ms on average over the files (\(map("\(.file) \(.delta_ms | signed)") | join(", "))), in \(clock) time\(if any(.[]; .delta_ms < -10) then "; where it is faster, its transport began with a larger window than TCP’s" else "" end)"} end;

def claims: . as $doc | [
	{id: "udp", where: "abstract, IV", says: "TCP connections of unmodified applications are transparently redirected to the system’s UDP.",
	 figure: "paper", from: ["paper"], judge: redirected("relay-udp"; "udp")},
	{id: "udplite", where: "abstract, IV", says: "They are redirected to UDP-Lite, which the kernel need not have: it is deployed as eBPF programs.",
	 figure: "kernels", from: ["paper", "kernels"], judge: (redirected("relay-udplite"; "udplite") as $here
		| (rows_of("kernels") | of_mode("relay-udplite") | map(select(.value == "7.2"))) as $without
		| if $here.verdict == "reproduced" and ($without | sound("udplite"))
		  then {verdict: "exceeded", because: "\($here.because); and \($without | passed) more on Linux 7.2, from which UDP-Lite was removed"}
		  else $here end)},
	{id: "latency-udp", where: "IV, Fig. 6", says: "On average Hooker adds 55 ms (UDP).", figure: "paper", from: ["paper"], judge: added("relay-udp")},
	{id: "latency-udplite", where: "IV, Fig. 6", says: "On average Hooker adds 55 ms (UDP-Lite).", figure: "paper", from: ["paper"], judge: added("relay-udplite")},
	{id: "deployment", where: "IV", says: "A part of that cost is deployment: compiling and loading eBPF programs.", figure: null, from: ["bench"],
	 judge: (.bench | if . == null then untested("no benchmark beside this report (make bench, as root)")
		else (.["deploy_ms.relay.compile"]) as $compile | (.["deploy_ms.relay.total"]) as $load
		| if $compile == null or $load == null then untested("the benchmark has no deployment times")
		  # A part of 55 ms that is worth naming is a tenth of them.
		  else {verdict: (if $compile + $load >= paper_ms / 10 then "reproduced" else "exceeded" end),
			because: "compiling takes \($compile | ms) ms (in its authors’ files 70 to 100) and deploying what is compiled \($load | ms) ms (loading: 21 to 812): \(if $compile + $load >= paper_ms then "more than the 55 ms, so the paper’s average can hold a part of it only" else "together less than the 55 ms" end). Here make compiles once and Hooker deploys before the first connection: it is within no transfer’s time"} end end)},
	{id: "redirection", where: "IV", says: "The other part is redirection: copies between sockets and through userspace.", figure: "paper", from: ["paper"],
	 judge: (rows_of("paper") | (map(.file) | distinct | .[0]) as $small | map(select(.file == $small)) | of_mode("relay-udp") | .[0]
		| if . == null or .delta_ms == null then no_run("paper")
		  elif has_interval | not then too_few
		  elif .delta_ci95_low_ms > 0 then {verdict: "reproduced", because: "\(.file): \(.delta_ms | signed) ms (\(signed_span(.delta_ci95_low_ms; .delta_ci95_high_ms)))"}
		  else {verdict: "not reproduced", because: "\(.file): \(.delta_ms | signed) ms (\(signed_span(.delta_ci95_low_ms; .delta_ci95_high_ms))): no cost is seen"} end)},
	{id: "kernel", where: "V", says: "Going back into the kernel would avoid the cost of crossing to userspace.", figure: "paper", from: ["paper", "bench"],
	 judge: (rows_of("paper") | (map(.file) | distinct | .[0]) as $small | map(select(.file == $small))
		| (of_mode("kernel-udp") | .[0]) as $k | (of_mode("relay-udp") | .[0]) as $r
		| if $k.delta_ms == null or $r.delta_ms == null then no_run("paper")
		  elif $k | has_interval | not then $k | too_few
		  elif $r | has_interval | not then $r | too_few
		  elif $k.delta_ci95_high_ms < $r.delta_ci95_low_ms
		  then {verdict: "reproduced", because: ("\($k.file): kernel-udp \($k.delta_ms | signed) ms, relay-udp \($r.delta_ms | signed) ms"
			+ ($doc.bench | .["cpu_s_per_gb.kernel-udp"] as $in | .["cpu_s_per_gb.relay-udp"] as $out
				| if $in == null or $out == null then ""
				  else "; \(if $in < $out then "and" else "in bulk not:" end) \($in | ms) CPU seconds a GB instead of \($out | ms) (real time)" end))}
		  else {verdict: "not reproduced", because: "\($k.file): kernel-udp \($k.delta_ms | signed) ms, relay-udp \($r.delta_ms | signed) ms"} end)},
	{id: "xdp", where: "III", says: "XDP at the driver keeps the overhead of receiving low.", figure: "paper", from: ["paper"],
	 judge: (rows_of("paper") | of_mode("tcp+xdp") | map(select(.delta_ms != null))
		| if length == 0 then no_run("paper") elif .[-1] | has_interval | not then .[-1] | too_few else .[-1]
		  | {verdict: (if .delta_ci95_low_ms > 0.01 * .median_ms then "not reproduced" else "reproduced" end),
		     because: "Hooker attached and redirecting nothing: \(.file) \(.delta_ms | signed) ms (\(signed_span(.delta_ci95_low_ms; .delta_ci95_high_ms))); on a veth, whose segmentation offload native XDP turns off"} end)},
	{id: "loss", where: "IV", says: "The network loses nothing, because the prototype’s UDP and UDP-Lite repair nothing.", figure: "loss", from: ["loss"],
	 judge: (rows_of("loss") | map(select((.mode | startswith("relay")) and (.value | rtrimstr("%") | tonumber) > 0))
		| if length == 0 then no_run("loss")
		  elif all(.[]; .verdict == "ok") then {verdict: "exceeded", because: "\(passed) transfers by the relay’s transports with loss up to \(map(.value | rtrimstr("%") | tonumber) | max) % each way: all byte-exact"}
		  else {verdict: "not reproduced", because: "with loss, \(map(.failed) | add) transfers of the relay failed"} end)},
	{id: "fallback", where: "I", says: "Fallback to TCP is needed, and the prototype has none.", figure: "fallback", from: ["fallback"],
	 # findings.csv of scenarios/programs/fallback: mode, rep, status, …; ended_on is column 7.
	 judge: ([.scenarios[] | select(.name == "fallback" and .state == "finished") | .findings[1:][] | select(.[0] != "tcp" and (.[2] | startswith("unsupported") | not))]
		| if length == 0 then no_run("fallback")
		  elif all(.[]; .[2] == "ok" and .[6] == "tcp")
		  then {verdict: "exceeded", because: "\(length) transfers met a middlebox that began to drop UDP, then UDP-Lite: each arrived whole, over TCP in the end; longest stall \([.[][4, 5] | tonumber? // 0] | max) ms"}
		  else {verdict: "not reproduced", because: "\(map(select(.[2] != "ok" or .[6] != "tcp")) | length) of \(length) transfers that met such a middlebox did not arrive whole over TCP"} end)},
	{id: "limit", where: "II, III", says: "A program may have 4096 instructions, so a transport must be cut in pieces that tail calls chain.", figure: null, from: [],
	 judge: ([.scenarios[].rows[]?.kernel | capture("^(?<a>[0-9]+)[.](?<b>[0-9]+)") | (.a | tonumber) * 1000 + (.b | tonumber)]
		| if any(.[]; . < 5002) then {verdict: "reproduced", because: "measured on a kernel older than 5.2"}
		  else untested("the limit for privileged programs has been a million since Linux 5.2; no kernel measured here is older") end)}
] | map({id, where, says, figure, by: (.from | by($doc))} + .judge);
