#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mm_bounds.sh BENCH_DIR - the arithmetic of mm_bounds.sh, on results that are made up.
set -eu

bench=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# What the bounds need: workload, mode, threads, counter, a value with which each bound is just met,
# and one with which each is missed.
values='page_fault1 floor 1 items_per_second 130 131
page_fault1 speculative 1 items_per_second 100 100
page_fault1 speculative 2 items_per_second 180 179
page_fault1 speculative 64 items_per_second 162 161
page_fault1 rwlock 2 items_per_second 72 72
storm_none speculative 1 items_per_second 100 100
storm speculative 1 items_per_second 90 89
storm speculative 1 aborted_per_fault 0.001 0.0011
mapbench_local rwlock 2 items_per_second 100 100
mapbench_local range 2 items_per_second 140 139
churn/10000 speculative 2 hold_p99_ns 1000 1001
areas/10 speculative 1 items_per_second 600 601
areas/1000000 speculative 1 items_per_second 100 100'

# json COLUMN: as Google Benchmark writes it. The median of the three repetitions is the column's.
json() {
	echo "$values" | awk -v column="$1" '
	BEGIN { print "{\n  \"benchmarks\": [" }
	{
		for (i = 1; i <= 3; i++) {
			printf "%s    {\n      \"family_index\": %d,\n", comma, NR
			printf "      \"run_name\": \"mm/%s/%s/real_time/threads:%d\",\n", $1, $2, $3
			printf "      \"run_type\": \"iteration\",\n      \"threads\": %d,\n", $3
			printf "      \"%s\": %.16e\n    }", $4, $column * (i == 1 ? 9 : i == 2 ? 1 : 0.5)
			comma = ",\n"
		}
	}
	END { print "\n  ]\n}" }'
}

# csv CORES TRANSFERS ...: of faults
csv() {
	echo "workload,lock,cores,transfers_per_op"
	echo "fault_own,rwlock,2,9"
	echo "own,speculative,2,9"
	echo "fault_own,speculative,64,9"
	while [ $# -gt 0 ]; do
		echo "fault_own,speculative,$1,$2"
		shift 2
	done
}

bounds() {
	sh "$bench/mm_bounds.sh" --from "$@" > "$dir/out"
}

fail() {
	echo "$1" >&2
	cat "$dir/out" >&2
	exit 1
}

# ends WHAT LINE: the output ends with the line.
ends() {
	[ "$(tail -n 1 "$dir/out")" = "$2" ] || fail "$1: not '$2'"
}

json 5 > "$dir/met.json"
json 6 > "$dir/missed.json"
csv 2 0.01 8 0.1 32 0.02 > "$dir/met.csv"
csv 2 0.01 8 0.101 32 0.02 > "$dir/missed.csv"

bounds "$dir/met.json" "$dir/met.csv"
ends "what is just met" "10 met, 0 MISSED, 0 not measured"
bounds "$dir/missed.json" "$dir/missed.csv"
ends "what is just missed" "0 met, 10 MISSED, 0 not measured"
bounds "$dir/met.json"
ends "without transfers" "9 met, 0 MISSED, 1 not measured"
csv 2 0.01 8 0.01 > "$dir/few.csv"
bounds "$dir/met.json" "$dir/few.csv"
ends "without 32 cores" "9 met, 0 MISSED, 1 not measured"
csv 2 0.2 > "$dir/few.csv"
bounds "$dir/met.json" "$dir/few.csv"
ends "missed with few cores" "9 met, 1 MISSED, 0 not measured"

# A fault that was never aborted has met its bound, and is not one that was not measured.
sed 's/\("aborted_per_fault": \).*/\10.0000000000000000e+00/' "$dir/met.json" > "$dir/never.json"
bounds "$dir/never.json" "$dir/met.csv"
ends "never aborted" "10 met, 0 MISSED, 0 not measured"

# Whatever is missing, what needs it is not measured, and nothing else changes.
lines=$(echo "$values" | wc -l)
all=$values
i=1
while [ "$i" -le "$lines" ]; do
	values=$(echo "$all" | sed "${i}d")
	json 5 > "$dir/less.json"
	bounds "$dir/less.json" "$dir/met.csv"
	awk '{ met = $1; missed = $3; not = $5 }
	     END { exit !(met + not == 10 && missed == 0 && not >= 1 && not <= 3) }' "$dir/out" ||
		fail "without line $i of the values"
	i=$((i + 1))
done
