# SPDX-License-Identifier: MIT
#
# mm_table.awk - after results.awk: a table in Markdown of the rates of address spaces. A line for each
# workload; for 1 and for 2 threads, millions of items per second with the rwlock, and the rates of all other
# modes over that. "-" stands for a rate that is missing.

# Of a workload, in a mode, with so many threads.
function rate_of(workload, mode, threads) {
	return median("mm", workload, mode, threads, "items_per_second")
}

# Adds to the list of names, unless it has the name.
function add(names, seen, name) {
	if (!(name in seen)) {
		seen[name] = 1
		names[++names[0]] = name
	}
}

function cell(text) {
	printf " %s |", text
}

function relative(rate, base) {
	return rate > 0 && base > 0 ? sprintf("%.2f", rate / base) : "-"
}

function millions(rate) {
	return rate > 0 ? sprintf("%.2f", rate / 1e6) : "-"
}

# The columns: no mode comes with a number of threads that it was never run with.
function choose_columns(   threads, i) {
	nr_columns = 0
	for (threads = 1; threads <= 2; threads++) {
		for (i = 0; i <= modes[0]; i++) {
			if (i > 0 && !((modes[i], threads) in has_run))
				continue
			mode_of[++nr_columns] = i > 0 ? modes[i] : "rwlock"
			threads_of[nr_columns] = threads
		}
	}
}

function heading(   i) {
	printf "| workload |"
	for (i = 1; i <= nr_columns; i++)
		cell(mode_of[i] ", " threads_of[i])
	printf "\n|---|"
	for (i = 1; i <= nr_columns; i++)
		printf "---:|"
	printf "\n"
}

function line(workload,   i, rate, base) {
	printf "| `%s` |", workload
	for (i = 1; i <= nr_columns; i++) {
		rate = rate_of(workload, mode_of[i], threads_of[i])
		if (mode_of[i] == "rwlock")
			base = rate
		cell(mode_of[i] == "rwlock" ? millions(base) : relative(rate, base))
	}
	printf "\n"
}

END {
	modes[0] = workloads[0] = 0
	for (r = 1; r <= nr_runs; r++) {
		split(runs[r], part, SUBSEP)
		if (part[1] != "mm")
			continue
		add(workloads, seen_workloads, part[2])
		if (part[3] != "rwlock")
			add(modes, seen_modes, part[3])
		has_run[part[3], part[4]] = 1
	}
	choose_columns()
	heading()
	for (r = 1; r <= workloads[0]; r++)
		line(workloads[r])
}
