#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mm_bounds.sh BENCH_DIR - the arithmetic of mm_bounds.sh and mm_table.sh, on results that are made up.
set -eu

bench=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# What the bounds need: workload, mode, threads, counter, a value with which each bound is just met,
# and one with which each is missed.
values='page_fault1 floor 1 items_per_second 125 126
page_fault1 speculative 1 items_per_second 100 100
page_fault1 speculative 2 items_per_second 180 179
page_fault1 speculative 64 items_per_second 162 161
page_fault1 rwlock 2 items_per_second 72 72
page_fault2 speculative 1 items_per_second 100 100
page_fault2 speculative 2 items_per_second 170 169
page_fault3 speculative 1 items_per_second 100 100
page_fault3 speculative 2 items_per_second 150 149
mapbench_local speculative 1 items_per_second 150 149
mapbench_local speculative 2 items_per_second 255 253
mapbench_local before 1 items_per_second 100 100
corten_mmap_low speculative 1 items_per_second 150 149
corten_mmap_low speculative 2 items_per_second 255 253
corten_mmap_low before 1 items_per_second 100 100
corten_munmap_low speculative 1 items_per_second 150 149
corten_munmap_low speculative 2 items_per_second 255 253
corten_munmap_low before 1 items_per_second 100 100
corten_mmap_pf_low speculative 1 items_per_second 150 149
corten_mmap_pf_low speculative 2 items_per_second 255 253
corten_mmap_pf_low before 1 items_per_second 100 100
mmap1_own speculative 1 items_per_second 100 100
mmap1_own speculative 2 items_per_second 160 159
mmap2_own speculative 1 items_per_second 100 100
mmap2_own speculative 2 items_per_second 160 159
malloc1_own speculative 1 items_per_second 100 100
malloc1_own speculative 2 items_per_second 160 159
mapbench_pipeline speculative 1 items_per_second 100 100
mapbench_pipeline speculative 2 items_per_second 50 49
storm_none speculative 1 items_per_second 100 100
storm speculative 1 items_per_second 90 89
storm speculative 1 aborted_per_fault 0.001 0.0011
mapbench_local rwlock 2 items_per_second 100 100
mapbench_local range 2 items_per_second 140 139
churn/10000 speculative 2 hold_p99_ns 1000 1001
areas/10 speculative 1 items_per_second 600 601
areas/10 before 1 items_per_second 600 602
areas/10000 speculative 1 items_per_second 100 99
areas/10000 before 1 items_per_second 100 100
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

# What is asked of operations that map, too: so many transfers with 2 and with 64 cores.
mapping() {
	for workload in map_own protect_own map_fault_unmap_own; do
		echo "$workload,range,2,9"
		echo "$workload,speculative,2,$1"
		echo "$workload,speculative,64,$2"
	done
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
{
	csv 2 0.01 8 0.1 32 0.02
	mapping 0.02 0.1
} > "$dir/met.csv"
{
	csv 2 0.01 8 0.101 32 0.02
	mapping 0.02 0.101
} > "$dir/missed.csv"

bounds "$dir/met.json" "$dir/met.csv"
ends "what is just met" "29 met, 0 MISSED, 0 not measured"
bounds "$dir/missed.json" "$dir/missed.csv"
ends "what is just missed" "0 met, 29 MISSED, 0 not measured"
bounds "$dir/met.json"
ends "without transfers" "25 met, 0 MISSED, 4 not measured"
{
	csv 2 0.01 8 0.01
	mapping 0 0
} > "$dir/few.csv"
bounds "$dir/met.json" "$dir/few.csv"
ends "without 32 cores" "28 met, 0 MISSED, 1 not measured"
{
	csv 2 0.2
	mapping 0 0 | grep -v ,64,
} > "$dir/few.csv"
bounds "$dir/met.json" "$dir/few.csv"
ends "missed with few cores" "25 met, 1 MISSED, 3 not measured"

# A fault that was never aborted has met its bound, and is not one that was not measured.
sed 's/\("aborted_per_fault": \).*/\10.0000000000000000e+00/' "$dir/met.json" > "$dir/never.json"
bounds "$dir/never.json" "$dir/met.csv"
ends "never aborted" "29 met, 0 MISSED, 0 not measured"

# What the machine allows stands beside a bound, and is no bound.
all=$values
values="$all
mapbench_local apart 2 items_per_second 300 300
page_fault1 apart 2 items_per_second 200 200
page_fault1 apart 64 items_per_second 180 180
storm_busy speculative 1 items_per_second 95 95"
json 5 > "$dir/beside.json"
values=$all
bounds "$dir/beside.json" "$dir/met.csv"
ends "with what is possible" "29 met, 0 MISSED, 0 not measured"
for beside in "mapbench_local.* met  of 2.000 possible: 85 %" "of 64 threads.* met .* 0.900 possible: 100 %" \
	"storm_none's .* met  of 0.950 possible: 95 %"; do
	[ "$(grep -c "$beside\$" "$dir/out")" = 1 ] || fail "not '$beside'"
done
[ "$(grep -c possible "$dir/out")" = 4 ] || fail "what is possible, of what it is not known of"

# Without version 0.1, what compares with it is not measured.
all=$values
values=$(echo "$all" | grep -v ' before ')
json 5 > "$dir/alone.json"
bounds "$dir/alone.json" "$dir/met.csv"
ends "without version 0.1" "23 met, 0 MISSED, 6 not measured"
values=$all

# Whatever is missing, what needs it is not measured, and nothing else changes.
lines=$(echo "$values" | wc -l)
i=1
while [ "$i" -le "$lines" ]; do
	values=$(echo "$all" | sed "${i}d")
	json 5 > "$dir/less.json"
	bounds "$dir/less.json" "$dir/met.csv"
	awk '{ met = $1; missed = $3; not = $5 }
	     END { exit !(met + not == 29 && missed == 0 && not >= 1 && not <= 3) }' "$dir/out" ||
		fail "without line $i of the values"
	i=$((i + 1))
done

# The table of the same rates: the modes in the order in which they come, relative to the rwlock.
values='mmap1 coarse 1 items_per_second 3e6
mmap1 rwlock 1 items_per_second 4e6
mmap1 rwlock 2 items_per_second 2e6
mmap1 speculative 2 items_per_second 5e6
areas/10 rwlock 1 items_per_second 1e6
areas/10 coarse 1 aborted_per_fault 1e6'
json 5 > "$dir/table.json"
sh "$bench/mm_table.sh" --from "$dir/table.json" > "$dir/out"
cat > "$dir/expected" << 'END'
| workload | rwlock, 1 | coarse, 1 | rwlock, 2 | speculative, 2 |
|---|---:|---:|---:|---:|
| `mmap1` | 4.00 | 0.75 | 2.00 | 2.50 |
| `areas/10` | 1.00 | - | - | - |
END
diff "$dir/expected" "$dir/out" || fail "the table"
