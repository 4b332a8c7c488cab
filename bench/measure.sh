# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# measure.sh - for other scripts: runs mmrange-bench.

# Ticks for which the processors were busy, and all ticks; nothing where there is no /proc.
ticks() {
	awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 + $9, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 }' \
		/proc/stat 2> /dev/null || :
}

machine() {
	model=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2> /dev/null | head -n 1)
	echo "machine: ${model:-$(uname -m)}, $(getconf _NPROCESSORS_ONLN) cores, $(uname -sr)"
}

# of_others TICKS_BEFORE TICKS_AFTER TIMES_BEFORE TIMES_AFTER: what other programs had of the
# processors. Of the files that "times" wrote, the second line is the children.
of_others() {
	awk -v before="$1" -v after="$2" -v hertz="$(getconf CLK_TCK)" '
	function seconds(time,   part) {
		split(time, part, "m")
		return part[1] * 60 + part[2]
	}
	FNR == 2 { own = seconds($1) + seconds($2) - own }
	END {
		# Busy and all before, busy and all after.
		if (split(before " " after, tick, " ") != 4 || tick[4] <= tick[2])
			exit
		others = (tick[3] - tick[1] - own * hertz) / (tick[4] - tick[2])
		others = others < 0 ? 0 : others
		printf "other programs had %.0f %% of the processors meanwhile%s\n", others * 100,
			(others > 0.05 ? ": measure again when it is quiet" : "")
	}' "$3" "$4"
}

# measure BENCH OUT.json REPETITIONS SECONDS FILTER [ARGUMENT...]: all in turns within one run. If a
# lock did not exclude or the benchmark could not run, that is shown, and the status is not 0.
measure() {
	bench=$1 out=$2 repetitions=$3 min_time=$4 filter=$5
	shift 5
	ticks_before=$(ticks)
	times > "$out.before"
	if ! "$bench" --benchmark_filter="$filter" --benchmark_repetitions="$repetitions" \
		--benchmark_min_time="$min_time" --benchmark_enable_random_interleaving=true \
		--benchmark_out="$out.part" --benchmark_out_format=json "$@" \
		> "$out.log" 2>&1; then
		grep -v '_\(mean\|median\|stddev\|cv\) ' "$out.log" | tail -n 20 >&2
		return 1
	fi
	mv "$out.part" "$out"
	times > "$out.after"
	of_others "$ticks_before" "$(ticks)" "$out.before" "$out.after"
	rm "$out.log" "$out.before" "$out.after"
}
