#!/bin/sh
# SPDX-License-Identifier: MIT
#
# ratios.sh BUILD_DIR - measures a subset of mmrange-bench in under two minutes, and prints how
# the locks compare.
#
# Everything is the median of interleaved repetitions of one run. A bound that is missed is said,
# and is no error; the exit status is not 0 if the benchmark could not run, or if a lock did not
# exclude.
set -eu

repetitions=7
seconds=0.15
filter='^lock/(uncontended_(write|read)/(mmrange|pthread_rwlock|pthread_mutex)/.*'
filter="$filter|own_w100/(mmrange|tree_spinlock|pthread_rwlock|pthread_mutex)/.*:(1|2|64)"
filter="$filter|(slot|share|full|random)_w100/(mmrange|pthread_rwlock|pthread_mutex)/.*:(2|64))\$"

if [ $# -ne 1 ] || [ ! -x "$1/bench/mmrange-bench" ]; then
	echo "usage: $0 BUILD_DIR (with bench/mmrange-bench in it)" >&2
	exit 1
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
trap 'exit 1' HUP INT TERM

# Ticks for which the processors were busy, and all ticks; nothing where there is no /proc.
ticks() {
	awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 + $9, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 }' \
		/proc/stat 2>/dev/null || :
}

model=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)
echo "machine: ${model:-$(uname -m)}, $(getconf _NPROCESSORS_ONLN) cores, $(uname -sr)"
echo "measuring for about a minute and a half .."

before=$(ticks)
if ! "$1/bench/mmrange-bench" --benchmark_filter="$filter" --benchmark_min_time="$seconds" \
	--benchmark_repetitions="$repetitions" --benchmark_enable_random_interleaving=true \
	--benchmark_report_aggregates_only=true --benchmark_format=csv \
	>"$results/csv" 2>"$results/messages"; then
	cat "$results/messages" >&2
	grep -v -e '_mean"' -e '_median"' -e '_stddev"' -e '_cv"' "$results/csv" >&2 || :
	exit 1
fi
after=$(ticks)
times >"$results/times"

awk -F , -v before="$before" -v after="$after" -v hertz="$(getconf CLK_TCK)" \
	-v repetitions="$repetitions" '
# Of "1m2.5s", the seconds.
function in_seconds(time,   part) {
	split(time, part, "m")
	return part[1] * 60 + part[2]
}

# Millions of lock+unlock pairs per second.
function rate(workload, lock, threads,   key) {
	key = workload " " lock " " threads
	if (!(key in rates)) {
		print "ratios.sh: no result for " key >"/dev/stderr"
		failed = 1
		return 1
	}
	return rates[key]
}

function best(workload, threads,   rwlock, mutex) {
	rwlock = rate(workload, "pthread_rwlock", threads)
	mutex = rate(workload, "pthread_mutex", threads)
	return rwlock > mutex ? rwlock : mutex
}

function row(workload, threads,   i, key) {
	printf "%-18s %7d", workload, threads
	for (i = 1; i <= nr_locks; i++) {
		key = workload " " locks[i] " " threads
		if (key in rates)
			printf " %14.2f", rates[key]
		else
			printf " %14s", "-"
	}
	printf "\n"
}

# bound 0: there is none.
function ratio(what, measured, bound) {
	if (bound)
		printf "%-62s %6.2f   %5.2f   %s\n", what, measured, bound,
			(measured >= bound ? "met" : "MISSED")
	else
		printf "%-62s %6.2f\n", what, measured
}

FILENAME ~ /times$/ {
	split($0, time, " ")
	own = in_seconds(time[1]) + in_seconds(time[2]) # the last line is the children
	next
}
$1 == "name" {
	for (i = 1; i <= NF; i++)
		if ($i == "items_per_second")
			column = i
	next
}
$1 ~ /_median"$/ {
	# "lock/own_w100/mmrange/real_time/threads:2_median"
	split($1, part, "/")
	threads = part[5]
	gsub(/[^0-9]/, "", threads)
	rates[part[2] " " part[3] " " threads] = $column / 1e6
}

END {
	nr_locks = split("mmrange tree_spinlock pthread_rwlock pthread_mutex", locks, " ")
	nr_workloads = split("slot_w100 share_w100 full_w100 random_w100", workloads, " ")
	nr_counts = split("2 64", counts, " ")

	printf "\nmillions of lock+unlock pairs per second, medians of %d\n\n", repetitions
	printf "%-18s %7s", "workload", "threads"
	for (i = 1; i <= nr_locks; i++)
		printf " %14s", locks[i]
	printf "\n"
	row("uncontended_write", 1)
	row("uncontended_read", 1)
	row("own_w100", 1)
	row("own_w100", 2)
	row("own_w100", 64)
	for (i = 1; i <= nr_workloads; i++)
		for (j = 1; j <= nr_counts; j++)
			row(workloads[i], counts[j])

	printf "\n%-62s %6s   %5s\n", "ratio of rates", "", "bound"
	ratio("uncontended_write: mmrange / pthread_rwlock",
	      rate("uncontended_write", "mmrange", 1) / rate("uncontended_write", "pthread_rwlock", 1), 1)
	ratio("own_w100, 2 threads: mmrange / tree_spinlock",
	      rate("own_w100", "mmrange", 2) / rate("own_w100", "tree_spinlock", 2), 5)
	ratio("own_w100, mmrange: 2 threads / 1 thread",
	      rate("own_w100", "mmrange", 2) / rate("own_w100", "mmrange", 1), 1.5)
	ratio("own_w100, mmrange: 64 threads / 2 threads",
	      rate("own_w100", "mmrange", 64) / rate("own_w100", "mmrange", 2), 0.6)
	ratio("uncontended_read: mmrange / pthread_rwlock",
	      rate("uncontended_read", "mmrange", 1) / rate("uncontended_read", "pthread_rwlock", 1), 0)
	for (i = 1; i <= nr_workloads; i++)
		for (j = 1; j <= nr_counts; j++)
			ratio(workloads[i] ", " counts[j] " threads: mmrange / better of rwlock and mutex",
			      rate(workloads[i], "mmrange", counts[j]) / best(workloads[i], counts[j]), 0)

	# Busy and all before, busy and all after.
	if (split(before " " after, tick, " ") == 4 && tick[4] > tick[2]) {
		others = (tick[3] - tick[1] - own * hertz) / (tick[4] - tick[2])
		if (others < 0)
			others = 0
		printf "\nother programs had %.0f %% of the processors meanwhile%s\n", others * 100,
			(others > 0.05 ? ": measure again when it is quiet" : "")
	}
	exit failed
}' "$results/times" "$results/csv"
