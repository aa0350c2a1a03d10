# SPDX-License-Identifier: GPL-2.0
# The report as a list of blocks, made from everything recorded; render.jq writes them as a page or as
# Markdown. Input: {id, kind, started, finished, scenarios, bench, machine}, as scenarios/report makes it.
include "format";
include "tables";
include "claims";

def main_run: (map(select(.name == "paper")) + .) | .[0];
def named: .name as $name | .title | orelse($name);
def moved: map(select(.mode != "tcp" and .mode != "tcp+xdp" and .delta_ms != null));
def by_mode: . as $rows | [$rows[].mode] | distinct | map(. as $m | {mode: $m, rows: ($rows | map(select(.mode == $m)))});

# What each mode that moves payload off TCP costs, file by file.
def findings: moved | by_mode | map({mode, text: (.rows | map("\(.file) \(.delta_ms | signed) ms") | join(", "))});
def headline: findings as $f
	| if ($f | length) == 0 then "Plain TCP, measured: no mode of this run moved payload to another transport."
	  else "By \($f[0].mode): \($f[0].text). The paper’s prototype: +\(paper_ms) ms on average." end;
def notes: . as $rows | findings as $f
	| ($f[1:] | map("By \(.mode): \(.text)."))
	+ (if any($rows[]; .mode != "tcp" and .delta_ms != null and .delta_ms < -10)
	   then ["Where a mode is faster than tcp, its transport begins with a larger window than TCP’s ten segments. That is the transport’s doing; it is not what redirection costs."] else [] end)
	+ (if any($rows[]; .mode == "tcp+xdp" and .delta_ms != null)
	   then ["tcp+xdp has Hooker attached and redirects nothing: what its hooks cost by themselves. An XDP program on a veth turns off its segmentation offload, which large files notice."] else [] end);

def status_line: ([.scenarios[].rows[]?.n] | add // 0) as $n | ([.scenarios[].rows[]?.failed] | add // 0) as $bad
	| ([.scenarios[].rows[]? | select(.verdict == "unsupported") | .mode] | unique) as $un
	| "\($n) transfers passed: every byte compared, the transport proven by tshark on the router. \($bad) failed."
	+ (if $un | length > 0 then " Not supported here: \($un | join(", "))." else "" end);

def firsts: [range(length) as $i | .[$i] + {first: ($i > 0 and .[$i - 1].file != .[$i].file)}];

# How far apart the fastest and the slowest mode are at each end of a sweep, in words.
def sweep_notes: . as $s | [$s.rows[].file] | distinct | .[-1] as $f
	| [$s.values[0], $s.values[-1]] | map(. as $v | $s.rows | map(select(.file == $f and .value == $v and .median_ms != null)) | sort_by(.median_ms)
		| select(length > 1) | "\($s.key)=\($v), \($f): \(.[0].mode) is fastest with \(.[0].median_ms | ms) ms, \(.[-1].mode) slowest with \(.[-1].median_ms | ms) ms\(map(select(.mode == "tcp")) | .[0] | if . then "; tcp \(.median_ms | ms) ms" else "" end).");

def figure_of($n): if .svg then [{t: "figure", id: .name, svg, file: .figure,
	caption: "Figure \($n). \(named). \(if .figure == "fig6.svg" then "The dashed line is what the paper reports for its prototype: 55 ms on average above TCP." else "" end)"}] else [] end;

def table_block($class): . + {t: "table", class: $class};

def scenario_blocks($n): . as $s
	| [{t: "h2", id: "scenario-\(.name)", x: named}]
	+ (if .about | length > 0 then [{t: "p", x: .about}] else [] end)
	+ [{t: "p", x: (.runs | map(.kernel | orelse("unknown")) | distinct | "Measured \($s.runs | map(.started[0:10]) | [min, max] | from_to): \($s | origin), kernel\(if length > 1 then "s" else "" end) \(join(", ")).")}]
	+ figure_of($n)
	+ (if .kind == "sweep" then [{t: "ul", x: sweep_notes}, {t: "p", x: "Medians in ms, by \(.key), n = \(repeated):"}, (.rows | sweep_table($s.values) | table_block("results"))]
		+ (.rows | sweep_goodput_table($s.values) | if . then [{t: "p", x: "The same as goodput in Mbit/s, n = \($s | repeated):"}, table_block("results")] else [] end)
	   elif .kind == "table" then
		[{t: "ul", x: (.rows | notes)}, (.rows | firsts | results_table | table_block("results"))]
		+ (if any(.run.files[]; .parallel > 1) then null else .rows | apart end | if . then [{t: "h3", x: "Where the largest file’s time goes"}, table_block("apart")] else [] end)
		+ (if .lines | length > 0 then [{t: "h3", x: "Fixed cost and cost a byte"}, {t: "p", x: "A line through the medians of all sizes, residuals counted in parts of the median. Slow start makes it a summary, not a law."}, (.lines | lines_table | table_block("apart"))] else [] end)
		+ (if (.wire | length) > 0 and .name == "paper" then [{t: "h3", x: "Bytes on the wire"}, (.wire | wire_table | table_block("apart"))] else [] end)
	   # A program's findings are for reading as they are; results/README.md says what each column is.
	   elif .findings | length > 1 then [.findings | {head: .[0] | map(gsub("_"; " ")), rows: (.[1:] | map({class: "ok", first: false, cells: .}))} | table_block("apart")]
	   else [] end);

def methods: [
	"Completion time runs from just before connect() until the client has read the end of the stream, on the client’s clock.",
	"Modes of one file stand together in each repetition, in a shuffled order. Before each cell the client waits a recorded random time of up to 50 ms.",
	"n is the number of transfers that passed. Medians, with 95 % percentile bootstrap intervals (10 000 resamples, seeded). Where n is below 6 there is no such interval: what is shown is the range, the least to the most, which for n = 3 holds the median in three cases of four. No claim is judged by a range. Differences are paired: each transfer is compared with the plain TCP transfer of the same file in the same repetition.",
	"δ is Cliff’s delta to tcp: how much more often a transfer of the mode is slower than one of tcp than faster; 0 no difference, 1 always slower, −1 always faster. Below 0.147 in size it is called negligible, from 0.474 large (Romano et al., 2006).",
	"Outliers lie more than one and a half interquartile ranges outside the quartiles (Tukey). They are shown and counted, never left out.",
	"Repetitions: at least REPS, then until half of every 95 % interval (which needs six transfers) is at most PRECISION of its median, at most REPS_MAX, or until the time allowed is over. Stopping when an interval is narrow makes intervals slightly too narrow; that is why there is a minimum.",
	"A transfer counts only if the client exits with 0, every byte equals the original’s, and the capture on the router proves the transport: nothing lost while capturing, every checksum right, at least 99 % of payload bytes in the asked protocol.",
	"The hosts fill their checksums themselves (transmit checksum offload is off), so that what the router sees is what a wire would carry. That holds for all modes.",
	"Clocks are never mixed: a table is of virtual or of real time, and what would mix them is refused."];

# Where the capture stands matters, so the run says it.
def capture_method: if . == "ahead of the delay" then
	"The router captures where the server’s frames enter it, ahead of the delay. Capturing costs processor time; ahead of the delay line it changes nothing of when frames arrive."
	elif . != null then "Captured: \(.)."
	else "The router captured where frames leave it for the client, behind the delay. That changes in what bursts they arrive: the largest file’s time scatters by 5 %, which it does not in runs made since." end;

def limits: [
	"Virtual time is a model: each instruction takes 2 ns, whatever it is. It says what costs instructions, and repeats; real processors do several at once and wait for memory.",
	"All hosts share one processor, so at unlimited rate the largest file measures processor time of both ends and of the router together. With a limited link the link decides (scenario finite).",
	"The link is netem between namespaces, the interfaces are veth: no network card was measured. Native XDP costs a veth its offloads; a card would differ.",
	"The paper’s kernel (5.0), its machines and its Figure 6 and Table 2 as numbers were not to be had: of its results the text gives one, 55 ms on average."];

def rerun: .scenarios as $s | if .kind == "suite" then ["make eval SCENARIO=all", "make eval SCENARIO=all REPS=3     # a quick one"]
	else ($s | main_run) as $m | ["make eval SCENARIO=\($m.name) BACKEND=\($m.run.backend) REPS=\($m.run.reps) MODES=\"\($m.run.modes | join(" "))\""
		+ (if $m.run.config.KERNEL | orelse(null) and $m.kind != "sweep" then " KERNEL=\($m.run.config.KERNEL)" else "" end)] end
	+ ["make bench                         # Table 2, as root", "make plots                         # this page and its figures from what is recorded"];

def claim_rows: {head: ["the paper says", "where", "here", "by which run", "because"], rows: [.[] | {class: "ok", first: false,
	cells: [(if .figure then {link: "#scenario-\(.figure)", x: .says} else .says end), .where, {badge: .verdict}, .by, .because]}]};

def blocks: . as $doc | (.scenarios | main_run) as $main | ([.scenarios[].rows[]?.failed] | add // 0) as $bad
	| [{t: "kicker", x: "Hooker · \(if .kind == "suite" then "all scenarios" else "scenario \($main.name)" end) · \(.started)"},
	   {t: "h1", x: (if ($main.rows | length) > 0 and $main.kind == "table" then $main.rows | headline else $main.title | orelse($main.name) end)},
	   (if any(.scenarios[]; (.rows | length) > 0) then {t: "status", x: status_line, good: ($bad == 0)} else empty end)]
	+ (if any(.scenarios[]; .name == "paper") then
		[{t: "h2", id: "claims", x: "What the paper claims, and what was found"},
		 {t: "p", x: "Each verdict is computed from the recorded results of the runs it names when this page is written."},
		 (claims as $claims | $claims | (claim_rows
			| .rows |= map(.cells[0] |= (if type == "object" and (. as $c | any($doc.scenarios[]; "#scenario-\(.name)" == $c.link) | not) then .x else . end))) | table_block("claims"))] else [] end)
	+ ([range(.scenarios | length) as $i | .scenarios[$i] | scenario_blocks(if .figure == "fig6.svg" then 6 else "S\($i)" end)[]])
	+ [{t: "h2", id: "table1", x: "Table 1: the testbed as it was"}]
	+ (if .scenarios | length > 1 then [{t: "p", x: "Of scenario \($main.name). The others are runs of their own: commit, repetitions and kernel of each stand under its heading, everything else in its run.json."}] else [] end)
	+ [($main.run + {swept: ($main.kind == "sweep")} | testbed_table | table_block("plain"))]
	+ [{t: "h2", id: "table2", x: "Table 2: what Hooker adds, on this machine’s own processor"}]
	+ (if .bench then [{t: "p", x: "Real time, no link and no delay: never to be set beside the virtual milliseconds above. \(.machine | if . then "Measured \(.date // "") on \(.cpu // "?"), Linux \(.kernel // "?"), commit \((.commit // "unknown")[0:12]), \(.rounds // "?") rounds.\(if busy then " The machine was not idle: its load average was \(.load_before) when this began, and processor seconds count the whole machine, whatever else ran." else "" end)" else "" end) The paper’s Table 2 is a picture; what its text and its authors’ public files say stands beside."},
		(.bench | bench_table | table_block("results"))]
	   else [{t: "p", x: "Not measured yet: `make bench`, as root, measures deployment, throughput, latency, processor and memory in real time; the next `make plots` shows them here."}] end)
	+ [{t: "h2", id: "methods", x: "How it was measured"}, {t: "ul", x: (methods + [$main.run.capture | capture_method] + ([$doc.scenarios[].run.peers // {} | to_entries[] | "\(.key): \(.value)"] | unique))},
	   {t: "h2", id: "limits", x: "What this cannot say"}, {t: "ul", x: limits},
	   {t: "h2", id: "again", x: "Run it again"}, {t: "pre", x: (rerun | join("\n"))},
	   {t: "small", x: "\(.id), \(.started) to \(.finished). In each result’s folder run.json holds the whole environment, cells.jsonl every transfer, commands.log every command, pcap/ the captures of the first repetition."}];
