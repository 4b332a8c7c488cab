# SPDX-License-Identifier: MIT
#
# results.awk - for other scripts: reads what mmrange-bench wrote as JSON. Google Benchmark puts
# each value on a line of its own, and what names a run before its numbers.

# What is none, as NaN, spoils the run.
function is_number(text) {
	return text ~ /^[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?$/
}

# KIND/WORKLOAD/LOCK/[iterations:1/]real_time/threads:N, where a workload may have a "/".
function begin_run(name,   part, n, i) {
	n = split(name, part, "/")
	threads = substr(part[n], length("threads:") + 1)
	n -= 2
	if (part[n] ~ /^iterations:/)
		n--
	lock = part[n]
	workload = part[2]
	for (i = 3; i < n; i++)
		workload = workload "/" part[i]
	run = part[1] SUBSEP workload SUBSEP lock SUBSEP threads
	if (!(run in family)) {
		family[run] = next_family
		for (i = nr_runs++; i > 0 && family[runs[i]] > next_family; i--)
			runs[i + 1] = runs[i]
		runs[i + 1] = run
	}
}

# The middle one of all repetitions; "" if there is none, or one of them failed.
function median(kind, workload, lock, threads, counter,   run, n, i, j, value, sorted) {
	run = kind SUBSEP workload SUBSEP lock SUBSEP threads
	n = count[run, counter]
	if (!n || (run in spoilt))
		return ""
	for (i = 1; i <= n; i++) {
		value = values[run, counter, i]
		for (j = i - 1; j > 0 && sorted[j] > value; j--)
			sorted[j + 1] = sorted[j]
		sorted[j + 1] = value
	}
	if (n % 2)
		return sorted[(n + 1) / 2]
	return (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}

FILENAME ~ /\.json$/ {
	if (!match($0, /"[a-z0-9_]+": /))
		next
	key = substr($0, RSTART + 1, RLENGTH - 4)
	text = substr($0, RSTART + RLENGTH)
	sub(/,[ \t]*$/, "", text)
	gsub(/"/, "", text)
	if (key == "family_index")
		next_family = text + 0 # the order in which they were registered
	else if (key == "run_name")
		begin_run(text)
	else if (key == "run_type")
		repetition = (text == "iteration")
	else if ((key == "error_occurred" || key == "skipped") && text == "true")
		spoilt[run] = 1
	else if (repetition && run != "" && key ~ /(_per_second|_per_fault|_per_pair|_per_write|_ns|_time|_pairs|_fastest|variation)$/) {
		if (is_number(text))
			values[run, key, ++count[run, key]] = text + 0
		else
			spoilt[run] = 1
	}
}
