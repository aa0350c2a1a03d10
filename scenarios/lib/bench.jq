# ROUND \t WHAT \t MODE \t VALUE … -> the flat object of latest.json. Ratios and differences are those of one
# round, in which all modes took their turn; then the median of them.

def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def rounded: if . == 0 then 0 else (pow(10; 4 - (fabs | log10 | floor))) as $f | . * $f | round / $f end;
def entries($name): {"\($name)": (median | rounded), "\($name).min": (min | rounded), "\($name).max": (max | rounded)};

[inputs | split("\t") | {round: .[0], what: .[1], mode: .[2], value: (.[3] | tonumber)}
 | select(.mode as $mode | $broken | split(" ") | index($mode) | not)] as $all
| def paired($what; $base; op):
    [$all[] | select(.what == $what)] as $of
    | $of[] | . as $one
    | first($of[] | select(.mode == $base and .round == $one.round)) as $other
    | {what, mode, value: ([$one.value, $other.value] | op)};
  [$all[] | select(.what != "connrate")]
  + [paired("throughput_gbps"; "tcp+xdp"; .[0] / .[1]) | .what = "throughput_ratio"]
  + [paired("throughput_gbps"; "tcp"; .[0] / .[1]) | .what = "throughput_ratio_to_tcp"]
  + [paired("pingpong_1B_p50_us"; "tcp"; .[0] - .[1]) | .what = "pingpong_1B_added_us"]
  + [paired("connrate"; "tcp"; .[0] / .[1]) | .what = "connrate_ratio"]
  + [paired("connrate"; "tcp+xdp"; .[0] / .[1]) | .what = "connrate_ratio_to_tcp+xdp"]
  + [$all[] | select(.what == "connrate") | .what = "connrate_per_s"]
  | group_by([.what, .mode])
  | map(. as $group | map(.value) | entries("\($group[0].what).\($group[0].mode)"))
  | add
