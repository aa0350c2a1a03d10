# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # here, root, work, result, jobs and others are those of scenarios/run
# Turns what `cells` leaves in WORK/out into lines of cells.jsonl: the transfer's own word and tshark's.

# Several transfers at once are one cell: it ends when the last of them does.
# shellcheck disable=SC2016 # the variables are jq's
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
   asked: $transport, observed: ($wire.observed // "none")}
  + (if $good | length > 0 then
	{identical: ($good | all(.identical == true))}
	+ (["connect_ns", "first_byte_ns", "last_byte_ns", "eof_ns"] | map(. as $k | {key: $k, value: ($good | map(.[$k]) | max)}) | from_entries)
     else {} end)
  + {exit: $c.exit, wire: $wire}'

# judge_cell SEQ: writes WORK/judged/SEQ.json. Runs beside the machine that produces cells.
judge_cell() {
	local seq=$1 cell=$work/out/$1.json pcap=$work/out/$1.pcap mode transport dropped wire=null
	local -a zero=()

	mode=$(jq -r .mode "$cell" 2>/dev/null) || mode=unknown
	transport=$(mode_get "$mode" transport)
	if [[ -e $pcap ]]; then
		dropped=$(jq -r '.dropped // 1' "$cell" 2>/dev/null) || dropped=1
		[[ $(mode_get "$mode" zero) == yes ]] && zero=(--zero-checksum)
		wire=$("$here/verdict" --transport "$transport" --bytes "$(jq -r '.bytes * .parallel' "$cell" 2>/dev/null)" \
			--frame-overhead "$(mode_get "$mode" overhead)" --dropped "$dropped" "${zero[@]}" \
			"$pcap") || [[ $wire ]] || wire=null
	fi
	if ! jq -c --argjson wire "${wire:-null}" --arg transport "$transport" "$JUDGE" "$cell" >"$work/judged/$seq.tmp"; then
		# Not even JSON: the machine wrote nonsense, and that is a failed cell, not one to wait for.
		printf '{"seq":%d,"mode":"%s","status":"failed","reason":"unreadable cell"}\n' "$((10#$seq))" "$mode" \
			>"$work/judged/$seq.tmp"
	fi
	mv "$work/judged/$seq.tmp" "$work/judged/$seq.json"
}

# judge_keep SEQ: the first repetition's captures stay with the results, and those of failed cells.
judge_keep() {
	local seq=$1 pcap=$work/out/$1.pcap
	[[ -e $pcap ]] || return 0
	if jq -e '.rep == 1 or .status == "failed"' "$work/judged/$seq.json" >/dev/null; then
		mkdir -p "$result/pcap"
		mv "$pcap" "$result/pcap/$(jq -r '"\(.mode)-\(.file)-\(.rep).pcap"' "$work/judged/$seq.json")"
	else
		rm -f "$pcap"
	fi
}

# judge_collect: append what is judged to cells.jsonl, in the order it was finished; sets `collected`.
judge_collect() {
	local judged seq
	collected=0
	for judged in "$work"/judged/*.json; do
		[[ -e $judged ]] || continue
		seq=$(basename "$judged" .json)
		judge_keep "$seq"
		cat "$judged" >>"$result/cells.jsonl" || die "can't write $result/cells.jsonl: disk full?"
		progress_cell "$judged"
		rm -f "$judged" "$work/out/$seq.json"
		unset "judging[$seq]"
		collected=$((collected + 1))
	done
}

# judge_start: hand finished cells to tshark, as many at once as there are processors beyond the one
# that the cells need.
judge_start() {
	local cell seq
	for cell in "$work"/out/*.json; do
		[[ -e $cell ]] || continue
		((${#judging[@]} < jobs)) || return 0
		seq=$(basename "$cell" .json)
		[[ -v judging[$seq] ]] && continue
		judge_cell "$seq" &
		judging["$seq"]=$!
	done
}
