# SPDX-License-Identifier: GPL-2.0
# The tables of the report: {head, rows}. Input of most: a run (run.json) or its rows.
include "format";

def results_table: map(.n | select(. > 0)) as $n | (all($n[]; . < interval_least) and ($n | length > 0)) as $ranges
	| (if $ranges then "range" else "95 % interval" end) as $spread
	| def told($n): if . != "" and $n < interval_least and ($ranges | not) then "range \(.)" else . end;
	{head: ["file", "mode", "n", "median ms", $spread, "Δ to tcp, ms", $spread, "δ", "outliers", "on the wire", "verdict"],
	rows: [.[] | {class: .verdict, first: .first, cells: [.file, .mode, (.n | tostring) + (if .failed > 0 then " (+\(.failed) failed)" else "" end),
		(.median_ms | ms), (.n as $n | span(.ci95_low_ms; .ci95_high_ms) | told($n)),
		(if .mode == "tcp" then "" else .delta_ms | signed end),
		(if .mode == "tcp" then "" else .n as $n | signed_span(.delta_ci95_low_ms; .delta_ci95_high_ms) | told($n) end),
		(if .mode == "tcp" then "" else .cliffs_delta | if . == null then "" else fixed(2) end end),
		(.outliers // "" | tostring), (.observed_protocol | orelse("–")), .verdict]}]};

# A sweep: a row a file and mode, a column a value.
def sweep_table($values): . as $rows | {head: (["file", "mode"] + $values),
	rows: [[.[].file] | distinct[] as $f | [$rows[].mode] | distinct[] as $m
		| {class: "ok", first: ($m == $rows[0].mode), cells: ([$f, $m] + [$values[] as $v | $rows | map(select(.file == $f and .mode == $m and .value == $v)) | .[0]
			| if . == null then "" elif .median_ms == null then .verdict
			  else "\(.median_ms | ms)\(if .failed > 0 then " (\(.failed) failed)" else "" end)" end])}]};

# The same as goodput, bytes of the file a second; nothing if nothing lasts a second.
def sweep_goodput_table($values): . as $rows | if any($rows[]; (.median_ms // 0) >= 1000) | not then null else {head: (["file", "mode"] + $values),
	rows: [[.[].file] | distinct[] as $f | [$rows[].mode] | distinct[] as $m
		| {class: "ok", first: ($m == $rows[0].mode), cells: ([$f, $m] + [$values[] as $v | $rows | map(select(.file == $f and .mode == $m and .value == $v)) | .[0]
			| if . == null or .median_ms == null then "" else (.bytes * 8e-3 / .median_ms | fixed(2)) end])}]} end;

def lines_table: {head: ["mode", "fixed, ms", "per MB, ms", "through sizes"],
	rows: [.[] | {class: "ok", first: false, cells: [.mode, (.fixed_ms | ms), (.ns_per_byte * 1.048576 | ms), (.files | tostring)]}]};

# 26 MB taken apart: what each step adds to the one before it. The relay needs XDP for UDP-Lite only.
def apart: (map(.file) | distinct | .[-1]) as $f | map(select(.file == $f and .median_ms != null)) as $r
	| def at($m): $r | map(select(.mode == $m)) | .[0].median_ms;
	if at("tcp") == null or at("tcp+xdp") == null then null else
	{head: ["\($f)", "ms", "what it is"], rows: [
		["tcp", (at("tcp") | ms), "nothing of Hooker: handshake, slow start, the processor’s time for every packet"],
		["tcp+xdp − tcp", (at("tcp+xdp") - at("tcp") | signed), "Hooker attached and redirecting nothing: on a veth, native XDP ends segmentation and receive offload, so each packet passes alone"],
		(["kernel-udp", "kernel-udplite", "relay-udp", "relay-udplite"][] as $m | select(at($m) != null)
			| (if $m == "relay-udp" then "tcp" else "tcp+xdp" end) as $before | ["\($m) − \($before)", (at($m) - at($before) | signed),
			   ({"kernel-udp": "a UDP header and its checksum on every packet, in the kernel", "kernel-udplite": "the same with UDP-Lite, whose checksum covers 24 bytes",
			     "relay-udp": "through userspace; but with a transport that begins with a larger window than TCP’s ten segments", "relay-udplite": "the same over UDP-Lite, received at XDP, its checksums made in eBPF"}[$m])])]
		| map({class: "ok", first: false, cells: .})} end;

def clock_text: if .clock == "virtual"
	then "virtual: QEMU counts instructions (2^\(.vm.icount_shift // 1) ns each). Repeatable whatever the load; a model of a processor, not this one’s speed"
	elif .vm.accel == "tcg" then "real, under emulation: noisy, and slower than any processor. What works is shown, not what it costs"
	else "real" end;

def link_text: ([.links[]?] | first) as $l | if $l == null then "unknown" else
	"\(if .swept? then "at the first point of the sweep: " else "" end)RTT \($l.asked.rtt_ms) ms asked, \($l.measured.rtt_ms.avg? | if . then "\(.) ms measured" else "not measured" end); loss \($l.asked.loss_pct // 0) %; \([["reordered", $l.asked.reorder_pct], ["duplicated", $l.asked.duplicate_pct]] | map(select((.[1] // 0) > 0) | "\(.[1]) % \(.[0]); ") | join(""))rate \(if $l.asked.rate_mbit then "\($l.asked.rate_mbit) Mbit/s" else "not limited" end); MTU \($l.asked.mtu)" end;

# Table 1: the testbed as it really was.
def testbed_table: {head: null, rows: [
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
	["Offloads of the hosts", (([.links[]?] | first | .offloads.client // {}) | to_entries | map("\(.key) \(.value)") | join(", ") | orelse("unknown"))],
	["Congestion control", ([.links[]?] | first | .sysctls["net.ipv4.tcp_congestion_control"] | orelse("unknown"))],
	["Application", "stream serve (\(.send)) and stream fetch"],
	["Repetitions", "\(.reps) of each cell\(.fewer // {} | to_entries | map(", \(.value) of \(.key)") | add // "")\(if .reps_asked then " (of \(.reps_asked): \(if .stopped == "precision" then "all intervals were narrow enough" else "no more fitted into \(.budget_s) s" end))" else "" end), \(.warmup) warm-up, interleaved, seed \(.seed)"],
	["Hooker", "\(.tools.hooker | orelse("not built")); commit \(.commit[0:12])\(if .dirty then ", with local changes" else "" end)"],
	["Tools", "\(.tools.clang | orelse("no clang")); libbpf \(.tools.libbpf); \(.tools.tshark)"]]
	| map({class: "ok", first: false, cells: .})};

# Table 2: what Hooker adds, natively: real time, this machine's processor, no link. Beside it what others said.
def bench_names: {
	"deploy_ms": ["deployment, ms", "compile and load are part of its cost; no numbers in the text", "compile 70–100; load 21 (ingress) to 812 (GBN egress)"],
	"throughput_gbps": ["throughput, Gbit/s", "–", "units mixed in the files; not used"], "throughput_ratio": ["throughput, of tcp+xdp’s", "–", "–"],
	"throughput_ratio_to_tcp": ["throughput, of tcp’s", "–", "–"],
	"pingpong_1B_p50_us": ["round trip of one byte, µs", "–", "–"], "pingpong_1B_added_us": ["per message and back, more than tcp, µs", "55 000 µs a transfer", "–"],
	"connrate_per_s": ["connections a second", "–", "–"], "connrate_ratio": ["connections a second, of tcp’s", "–", "–"],
	"cpu_s_per_gb": ["processor, s a GB", "–", "–"], "flow_bytes": ["memory a flow, bytes", "–", "–"], "flows_held": ["flows at once", "one", "20 at most"],
	"ctxsw_per_mb": ["context switches a MB", "“multiple”", "–"], "wire_bytes_ratio": ["bytes on the wire, of tcp’s", "–", "–"],
	"setup_us": ["connection set-up, µs", "–", "–"], "setup_added_us": ["connection set-up, more than tcp, µs", "–", "–"]};
def bench_table: . as $b | {head: ["what", "of", "median", "least … most", "the paper", "its authors’ files"], rows: (
	[to_entries[] | select((.value | type) == "number" and (.key | test("[.](min|max)$") | not))]
	| map(.key as $k | ($k | split(".")) as $p | (bench_names[$p[0]] // [$p[0], "–", "–"]) as $n
		| {group: $p[0], cells: [$n[0], ($p[1:] | join(" ")), (.value | if fabs < 10 then fixed(3) else ms end),
			(if $b["\($k).min"] then "\($b["\($k).min"] | fixed(3)) … \($b["\($k).max"] | fixed(3))" else "" end), $n[1], $n[2]]})
	| [range(length) as $i | .[$i] + {class: "ok", first: ($i == 0 or .[$i - 1].group != .[$i].group)}])};

# Bytes on the wire for each byte delivered, from the captures of the runs themselves.
def wire_table: {head: ["mode", "file", "bytes on the wire for each delivered", "frames"],
	rows: [.[] | {class: "ok", first: false, cells: [.mode, .file, (.ratio | fixed(4)), (.frames | fixed(0))]}]};
