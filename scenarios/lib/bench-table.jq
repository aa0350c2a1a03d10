# latest.json as tables for the terminal.

def pad($n): tostring | . + " " * ([$n - length, 0] | max);
def left($n): if . == null then "-" else tostring end | " " * ([$n - length, 0] | max) + .;
def at($digits): if . == null then null else . * pow(10; $digits) | round / pow(10; $digits) end;

. as $n
| def column($what; $digits; $width): . as $mode | $n["\($what).\($mode)"] | at($digits) | left($width);
  ([keys_unsorted[] | select(startswith("throughput_gbps.") and (test("\\.(min|max)$") | not)) | ltrimstr("throughput_gbps.")]
    | map(select(startswith("tcp"))) + map(select(startswith("tcp") | not))) as $modes
| [keys_unsorted[] | select(startswith("deploy_ms.")) | split(".")[1]] | unique as $whats
| ("mode" | pad(15)) + "  Gbit/s  to tcp+xdp  to tcp  1-byte us   added  connections/s  to tcp  CPU s/GB  bytes/flow",
  ($modes[] | pad(15) + column("throughput_gbps"; 2; 8) + column("throughput_ratio"; 2; 12)
    + column("throughput_ratio_to_tcp"; 2; 8) + column("pingpong_1B_p50_us"; 1; 11) + column("pingpong_1B_added_us"; 1; 8)
    + column("connrate_per_s"; 0; 15) + column("connrate_ratio"; 2; 8) + column("cpu_s_per_gb"; 2; 10) + column("flow_bytes"; 0; 12)),
  "",
  ("deploying, ms" | pad(15)) + (["compile", "open", "load", "attach", "total", "detach"] | map(left(9)) | add),
  ($whats[] | . as $what | pad(15) + (["compile", "open", "load", "attach", "total", "detach"]
    | map($n["deploy_ms.\($what).\(.)"] | at(1) | left(9)) | add))
