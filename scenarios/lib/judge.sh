# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # here, root, work, result, jobs and others are those of scenarios/run
# Turns what `cells` leaves in WORK/out into lines of cells.jsonl: the transfer's own word and tshark's.

# judge_cell SEQ: writes WORK/judged/SEQ.json. Runs beside the machine that produces cells.
judge_cell() {
	local seq=$1 cell=$work/out/$1.json pcap=$work/out/$1.pcap mode transport dropped wire=null
	local -a zero=()

	mode=$(jq -r .mode "$cell")
	transport=$(mode_get "$mode" transport)
	if [[ -e $pcap ]]; then
		dropped=$(jq -r '.dropped // 1' "$cell")
		[[ $(mode_get "$mode" zero) == yes ]] && zero=(--zero-checksum)
		wire=$("$here/verdict" --transport "$transport" --bytes "$(jq -r .bytes "$cell")" \
			--frame-overhead "$(mode_get "$mode" overhead)" --dropped "$dropped" "${zero[@]}" \
			"$pcap") || [[ $wire ]] || wire=null
	fi
	jq -c --argjson wire "${wire:-null}" --arg transport "$transport" '
		. as $c
		| (if .status then .reason
		   elif .transfer == null then "the client printed nothing, exit \(.exit)"
		   elif .transfer.error then .transfer.error
		   elif .exit != 0 then "the client failed, exit \(.exit)"
		   elif .transfer.identical != true or .transfer.bytes != .bytes then "other bytes were received"
		   elif $wire == null then "no verdict on the wire"
		   elif $wire.verdict != "ok" then $wire.reason
		   else "" end) as $reason
		| {seq, rep, warmup, mode, file, bytes, phase_us,
		   status: (.status // (if $reason == "" then "ok" else "failed" end)), reason: $reason,
		   asked: $transport, observed: ($wire.observed // "none")}
		  + (if .transfer then .transfer | {connect_ns, first_byte_ns, last_byte_ns, eof_ns, identical} else {} end)
		  + {exit: $c.exit, wire: $wire}' "$cell" >"$work/judged/$seq.tmp"
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
