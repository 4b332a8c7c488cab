# SPDX-License-Identifier: MIT
#
# csv.awk - after results.awk: medians of the repetitions. With kind=lock the rates, with
# kind=latency the waits, with kind=threads the waits of each thread.

# A header, and the counters in its order.
function begin(   i) {
	header = "workload,lock,threads"
	for (i = 1; i <= nr; i++)
		header = header "," names[i]
	print header
}

function line(id, prefix,   part, text, i) {
	split(id, part, SUBSEP)
	text = part[2] "," part[3] "," part[4]
	for (i = 1; i <= nr; i++)
		text = text "," (counters[i] == "thread" ? prefix : value(part, prefix, counters[i]))
	print text
}

function value(part, prefix, counter,   found) {
	if (prefix != "")
		counter = "thread" prefix "_" counter
	found = median(part[1], part[2], part[3], part[4], counter)
	return found == "" ? "" : sprintf("%.6g", found)
}

function columns(text) {
	nr = split(text, counters, " ")
	split(text, names, " ")
}

END {
	if (kind == "lock") {
		columns("items_per_second reads_per_second writes_per_second real_time")
		names[1] = "pairs_per_second"
		names[4] = "ns_per_pair"
	} else if (kind == "latency") {
		columns("p50_ns p99_ns p999_ns max_ns read_p50_ns read_p99_ns read_p999_ns read_max_ns" \
			" write_p50_ns write_p99_ns write_p999_ns write_max_ns" \
			" slowest_to_fastest variation reads_per_second writes_per_second")
	} else {
		columns("thread pairs p50_ns p99_ns p999_ns max_ns")
	}
	begin()
	for (r = 1; r <= nr_runs; r++) {
		split(runs[r], part, SUBSEP)
		if (part[1] != (kind == "threads" ? "latency" : kind))
			continue
		if (kind != "threads")
			line(runs[r], "")
		for (t = 0; kind == "threads" && t < part[4]; t++)
			line(runs[r], sprintf("%02d", t))
	}
}
