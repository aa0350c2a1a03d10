# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # here, root, work, result, jobs and others are those of scenarios/run
# Turns what `cells` leaves in WORK/out into lines of cells.jsonl: the clients' own word and tshark's.

# A cell and its verdict on the wire ($wire, maybe null). Several transfers at once are one cell: it
# ends when the last of them does.
JUDGE='
. as $c
| [.transfers[]?] as $t
| ($t | map(select(. != null and .error == null))) as $good
| (if .status then .reason
   elif .exit != 0 and ($t | any(. == null)) then "a client printed nothing, exit \(.exit)"
   elif ($t | map(.error // empty) | length) > 0 then $t | map(.error // empty) | first
   elif .exit != 0 then "a client failed, exit \(.exit)"
   elif ($good | length) != .parallel then "\($good | length) of \(.parallel) transfers ended"
   elif ($good | all(.identical == true and .bytes == $c.bytes) | not) then "other bytes were received"
   elif $wire == null then "no verdict on the wire"
   elif $wire.verdict != "ok" then $wire.reason
   else "" end) as $reason
| {seq, rep, warmup, mode, file, bytes, parallel, phase_us,
   status: (.status // (if $reason == "" then "ok" else "failed" end)), reason: $reason,
   asked: $transports[.mode], observed: ($wire.observed // "none")}
  + (if $good | length > 0 then
	{identical: ($good | all(.identical == true))}
	+ (["connect_ns", "first_byte_ns", "last_byte_ns", "eof_ns"] | map(. as $k | {key: $k, value: ($good | map(.[$k]) | max)}) | from_entries)
     else {} end)
  + {exit: $c.exit, wire: $wire}'

judge_init() {
	local mode
	declare -gA judge_mode=() # MODE -> "TRANSPORT OVERHEAD ZERO", tab separated
	judge_transports='{'
	for mode in ${CONFIG[MODES]}; do
		judge_mode[$mode]=$(mode_get "$mode" transport)$'\t'$(mode_get "$mode" overhead)$'\t'$(mode_get "$mode" zero)
		judge_transports+="\"$mode\":\"${judge_mode[$mode]%%$'\t'*}\","
	done
	judge_transports="${judge_transports%,}}"
}

# judge_batch BATCH SEQ…: writes WORK/judged/BATCH.json, a line a cell. One tshark for all of them.
judge_batch() {
	local batch=$1 seq mode bytes dropped frames line
	local dir=$work/judged/$1.d
	shift
	mkdir "$dir"
	for seq in "$@"; do
		# Not even JSON: the machine wrote nonsense, and that is a failed cell, not one to wait for.
		jq -ce 'select(.mode and .parallel)' "$work/out/$seq.json" 2>/dev/null ||
			printf '{"seq":%d,"mode":"unknown","bytes":0,"parallel":1,"status":"failed","reason":"unreadable cell"}\n' "$((10#$seq))"
	done >"$dir/cells"
	while IFS=$'\t' read -r seq mode bytes dropped frames; do
		seq=$(printf '%05d' "$seq")
		[[ -e $work/out/$seq.pcap && ${judge_mode[$mode]-} ]] || { echo null >>"$dir/which"; continue; }
		echo wire >>"$dir/which"
		IFS=$'\t' read -r transport overhead zero <<<"${judge_mode[$mode]}"
		printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$transport" "$bytes" "$overhead" "$zero" "$dropped" "$frames" \
			"$work/out/$seq.pcap" >>"$dir/list"
	done < <(jq -r '[.seq, .mode, .bytes * .parallel, .dropped // 1, .frames // 0] | @tsv' "$dir/cells")
	: >"$dir/wires"
	[[ ! -e $dir/list ]] || "$here/verdict" --list "$dir/list" >"$dir/wires" || true
	exec 4<"$dir/wires"
	while read -r line; do
		[[ $line == null ]] || read -r line <&4 || line=null
		echo "$line"
	done <"$dir/which" >"$dir/verdicts"
	exec 4<&-
	jq -cn --argjson transports "$judge_transports" --slurpfile cells "$dir/cells" --slurpfile wires "$dir/verdicts" \
		"range(\$cells | length) as \$i | \$wires[\$i] as \$wire | \$cells[\$i] | $JUDGE" >"$work/judged/$batch.tmp"
	mv "$work/judged/$batch.tmp" "$work/judged/$batch.json"
}

# judge_collect: append what is judged to cells.jsonl, in the order it was finished; sets `collected`.
# The first repetition's captures stay with the results, and those of failed cells. They go first: a
# cell that is recorded is complete, whenever the driver may be killed.
judge_collect() {
	local judged batch line seq status keep name text
	local -a lines
	collected=0
	for judged in "$work"/judged/*.json; do
		[[ -e $judged ]] || continue
		batch=$(basename "$judged" .json)
		mapfile -t lines < <(jq -r '[("0000\(.seq)" | .[-5:]), .status, (.rep == 1 or .status == "failed"),
			"\(.mode)-\(.file)-\(.rep)", "\(.mode) \(.file) \(if .warmup then "warm-up" else "#\(.rep)" end)  \(if .eof_ns then
			"\(.eof_ns / 1e4 | round / 100) ms" else "-" end)  \(.reason)"] | @tsv' "$judged")
		for line in "${lines[@]}"; do
			IFS=$'\t' read -r seq status keep name text <<<"$line"
			[[ $keep == true && -e $work/out/$seq.pcap ]] || continue
			{ mkdir -p "$result/pcap" && mv "$work/out/$seq.pcap" "$result/pcap/$name.pcap"; } ||
				die "can't write in $result/pcap: disk full?"
		done
		cat "$judged" >>"$result/cells.jsonl" || die "can't write $result/cells.jsonl: disk full?"
		for line in "${lines[@]}"; do
			IFS=$'\t' read -r seq status keep name text <<<"$line"
			rm -f "$work/out/$seq.pcap" "$work/out/$seq.json"
			unset "judging[$seq]"
			collected=$((collected + 1))
			progress_cell "$status" "$text"
		done
		rm -rf "$judged" "$work/judged/$batch.d"
		unset "batches[$batch]"
	done
}

# judge_fetch SEQ: the capture out of the window, whose slot is free again. False: it must wait, for
# captures are not to pile up.
judge_fetch() {
	local seq=$1 slot size
	# Two guests, no router between them: each captured what it sent.
	if [[ -e $work/out/$seq.server.pcap ]]; then
		mergecap -F pcap -w "$work/out/$seq.tmp" "$work/out/$seq.server.pcap" "$work/out/$seq.pcap" ||
			die "can't join the captures of cell $seq: disk full?"
		mv "$work/out/$seq.tmp" "$work/out/$seq.pcap"
		rm "$work/out/$seq.server.pcap"
	fi
	IFS=$'\t' read -r slot size < <(jq -r '[.slot // "", .size // 0] | @tsv' "$work/out/$seq.json" 2>/dev/null)
	[[ $slot ]] || return 0
	((${#judging[@]} < 3 * BACKLOG)) || return 1
	if ((size > 0)); then
		dd if="$work/window" of="$work/out/$seq.pcap" bs=1M iflag=skip_bytes,count_bytes \
			skip=$((slot * $(slot_mb) * 1048576)) count="$size" status=none ||
			die "can't write in $work/out: disk full?"
	fi
	rm -f "$work/slots/$slot"
}

# judge_start: hand finished cells to tshark, in as many batches at once as there are processors
# beyond the one that the cells need.
judge_start() {
	local cell seq
	local -a batch=()
	for cell in "$work"/out/*.json; do
		[[ -e $cell ]] || continue
		seq=$(basename "$cell" .json)
		[[ -v judging[$seq] ]] && continue
		judge_fetch "$seq" || break
		waiting+=("$seq")
		judging["$seq"]=1
	done
	((${#waiting[@]} && ${#batches[@]} < jobs)) || return 0
	batch=("${waiting[@]:0:8}")
	waiting=("${waiting[@]:8}")
	judge_batch "${batch[0]}" "${batch[@]}" 9>&- &
	batches["${batch[0]}"]=$!
}
