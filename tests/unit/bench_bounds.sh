#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bench_bounds.sh BENCH_DIR - the arithmetic of bounds.sh, and of the CSV and the table of
# report.sh, on results that are made up.
set -eu

bench=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# What the bounds need: workload, lock, threads, a rate with which each bound is just met, and one
# with which each is missed.
rates='uncontended_write mmrange 1 1000 999
uncontended_write pthread_rwlock 1 900 900
uncontended_read mmrange 1 1000 999
uncontended_read pthread_rwlock 1 900 900
held/10 mmrange 1 12000 11999
held/10 tree_spinlock 1 15600 15600
held/1000 mmrange 1 12000 11999
held/1000 tree_spinlock 1 15600 15600
held/1000000 mmrange 1 1000 999
own_w100 mmrange 1 600 600
own_w100 mmrange 2 1020 1019
own_w100 mmrange 16 1000 1000
own_w100 mmrange 64 816 815
own_w100 tree_spinlock 2 170 170
own1full_w100 mmrange 2 714 713
own1full_w100 mmrange 16 85 84
own1full_w100 mmrange 64 65.28 65
short_w100 mmrange 2 160 159
short_w100 pthread_rwlock 2 90 90
short_w100 pthread_mutex 2 100 100
short_w100 tree_spinlock 2 80 80
short_w50 mmrange 2 160 159
short_w50 pthread_rwlock 2 100 100
short_w50 pthread_mutex 2 90 90
short_w50 tree_spinlock 2 80 80
short_w10 mmrange 2 160 159
short_w10 pthread_rwlock 2 80 80
short_w10 pthread_mutex 2 90 90
short_w10 tree_spinlock 2 100 100
short_w100 mmrange 8 150 149
short_w100 pthread_mutex 8 100 100
short_w50 mmrange 8 50 49
short_w50 pthread_rwlock 8 100 100
short_w50 pthread_mutex 8 90 90
short_w10 mmrange 8 70 69
short_w10 pthread_rwlock 8 90 90
short_w10 pthread_mutex 8 100 100
short_w100 mmrange 32 150 149
short_w100 pthread_mutex 32 100 100
short_w50 mmrange 32 50 49
short_w50 pthread_rwlock 32 90 90
short_w50 pthread_mutex 32 100 100
short_w10 mmrange 32 70 69
short_w10 pthread_rwlock 32 100 100
short_w10 pthread_mutex 32 90 90
slot_w100 mmrange 2 200 199
slot_w100 pthread_rwlock 2 100 100
slot_w100 pthread_mutex 2 90 90
slot_w100 mmrange 64 200 199
slot_w100 pthread_rwlock 64 90 90
slot_w100 pthread_mutex 64 100 100
share_w100 mmrange 2 200 199
share_w100 pthread_rwlock 2 90 90
share_w100 pthread_mutex 2 100 100
share_w100 mmrange 64 200 199
share_w100 pthread_rwlock 64 100 100
share_w100 pthread_mutex 64 90 90
full_w100 mmrange 2 80 79
full_w100 pthread_rwlock 2 100 100
full_w100 mmrange 4 80 79
full_w100 pthread_rwlock 4 100 100
full_w100 mmrange 16 80 79
full_w100 pthread_rwlock 16 100 100
full_w100 mmrange 64 80 79
full_w100 pthread_rwlock 64 100 100
random_w100 mmrange 2 80 79
random_w100 pthread_rwlock 2 100 100
random_w100 mmrange 16 80 79
random_w100 pthread_rwlock 16 100 100
random_w100 mmrange 64 80 79
random_w100 pthread_rwlock 64 100 100
full_w40 mmrange 2 80 79
full_w40 pthread_rwlock 2 100 100
full_w40 mmrange 16 80 79
full_w40 pthread_mutex 16 100 100
full_w40 mmrange 64 80 79
full_w40 pthread_mutex 64 100 100
random_w40 mmrange 2 80 79
random_w40 pthread_rwlock 2 100 100
random_w40 mmrange 16 80 79
random_w40 pthread_mutex 16 100 100
random_w40 mmrange 64 80 79
random_w40 pthread_mutex 64 100 100
shared_read mmrange 2 150 149
shared_read pthread_rwlock 2 100 100
shared_read mmrange 64 150 149
shared_read pthread_rwlock 64 100 100'

# The same of coherence.csv.
transfers='own mmrange 2 0.01 0.01
own mmrange 8 0.05 0.051
own mmrange 64 0.02 0.02
own pthread_rwlock 2 4 4
shared_read mmrange 2 0.05 0.05
shared_read mmrange 64 0.01 0.0501
share mmrange 2 0.2 0.201
share mmrange 64 0.1 0.1
short_w10 mmrange 2 3 3.01
short_w10 mmrange 64 2 3
own1full mmrange 2 0.05 0.06
own1full mmrange 8 0.2 0.2
own1full mmrange 64 1.6 1.6
own mmrange 1024 0.05 0.051
share mmrange 1024 0.05 0.06
shared_read mmrange 1024 0.05 1'

# What else a run says: a name, a counter, and what it is if the bound is just met, and missed.
counters='lock/short_w100/mmrange/real_time/threads:2 changes_per_pair 1e-05 1e-04
lock/short_w100/mmrange/real_time/threads:8 changes_per_pair 0 2e-04
lock/short_w100/mmrange/real_time/threads:32 changes_per_pair 1e-04 0
lock/short_w50/mmrange/real_time/threads:2 changes_per_pair 1e-04 1.01e-04
lock/short_w50/mmrange/real_time/threads:8 changes_per_pair 0 0
lock/short_w50/mmrange/real_time/threads:32 changes_per_pair 0 0
lock/short_w10/mmrange/real_time/threads:2 changes_per_pair 0 0
lock/short_w10/mmrange/real_time/threads:8 changes_per_pair 1e-04 1
lock/short_w10/mmrange/real_time/threads:32 changes_per_pair 0 0
latency/full_over_leaves/mmrange/iterations:1/real_time/threads:1 write_p50_ns 1000 1000
latency/full_over_leaves/mmrange/iterations:1/real_time/threads:1 leaves_per_write 1024 1024
latency/full_over_biased/mmrange/iterations:1/real_time/threads:1 write_p50_ns 3000 3001
latency/full_over_biased/mmrange/iterations:1/real_time/threads:1 leaves_per_write 1024 1024
latency/full_over_biased/mmrange/iterations:1/real_time/threads:1 biased_per_write 1000 1024'

# json COLUMN: as Google Benchmark writes it, the family that was registered last first. The median
# of the repetitions is the rate of the column; the mean and the aggregates are not.
json() {
	{
		echo "$counters" | sed 's/^/counter /'
		echo "$rates" | sed 's/^/rate /'
	} | awk -v column="$1" '
	function one(type, aggregate, rate,   i) {
		printf "%s    {\n      \"name\": \"%s%s\",\n      \"family_index\": %d,\n", comma, name,
			(aggregate == "" ? "" : "_" aggregate), 1000 - NR
		printf "      \"run_name\": \"%s\",\n      \"run_type\": \"%s\",\n", name, type
		printf "      \"threads\": %d,\n      \"real_time\": %.16e,\n", threads, 1e9 / rate
		printf "      \"items_per_second\": %.16e,\n      \"reads_per_second\": 1.5e+01,\n", rate
		printf "%s", counter[name]
		printf "      \"writes_per_second\": 0.0000000000000000e+00\n    }"
		comma = ",\n"
	}
	function all(rate) {
		one("iteration", "", rate * 9)
		one("iteration", "", rate)
		one("iteration", "", rate / 2)
		one("aggregate", "mean", rate * 3.5)
		one("aggregate", "median", rate * 7)
	}
	BEGIN { print "{\n  \"context\": {\n    \"num_cpus\": 2\n  },\n  \"benchmarks\": [" }
	$1 == "counter" {
		counter[$2] = counter[$2] sprintf("      \"%s\": %.16e,\n", $3, $column)
		if ($2 ~ /^latency/)
			alone[$2] = 1
	}
	$1 == "rate" {
		name = "lock/" $2 "/" $3 "/real_time/threads:" $4
		threads = $4
		all($(column + 1))
	}
	END {
		for (name in alone) {
			threads = 1
			all(1)
		}
		print "\n  ]\n}"
	}'
}

csv() {
	echo "workload,lock,cores,transfers_per_op"
	echo "$transfers" | awk -v column="$1" '{ print $1 "," $2 "," $3 "," $column }'
}

bounds() {
	sh "$bench/bounds.sh" --from "$@" > "$dir/out"
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

# says WHAT PATTERN: a line of the output matches.
says() {
	grep -q "$2" "$dir/out" || fail "$1: not '$2'"
}

json 4 > "$dir/met.json"
json 5 > "$dir/missed.json"
csv 4 > "$dir/met.csv"
csv 5 > "$dir/missed.csv"

bounds "$dir/met.json" "$dir/met.csv"
ends "what is just met" "51 met, 0 MISSED, 0 not measured"
says "a ratio" "^own_w100: rate of 2 threads / 1 thread  *1\.700   >=  1\.70   met$"
says "a time" "^held/1000: time / tree_spinlock's  *1\.300   <=  1\.30   met$"
bounds "$dir/missed.json" "$dir/missed.csv"
ends "what is just missed" "0 met, 51 MISSED, 0 not measured"
bounds "$dir/met.json"
ends "without transfers" "43 met, 0 MISSED, 8 not measured"
bounds "$dir/met.json" "$dir/missed.csv"
ends "rates met, transfers missed" "43 met, 8 MISSED, 0 not measured"
echo '{}' > "$dir/empty.json"
bounds "$dir/empty.json"
ends "nothing" "0 met, 0 MISSED, 51 not measured"

# Whatever is missing, what needs it is not measured, and nothing else changes.
lines=$(echo "$rates" | wc -l)
all=$rates
i=1
while [ "$i" -le "$lines" ]; do
	rates=$(echo "$all" | sed "${i}d")
	json 4 > "$dir/less.json"
	bounds "$dir/less.json" "$dir/met.csv"
	awk '{ met = $1; missed = $3; not = $5 }
	     END { exit !(met + not == 51 && missed == 0 && not >= 1 && not <= 4) }' "$dir/out" ||
		fail "without line $i of the rates"
	i=$((i + 1))
done
rates=$all

# A lock that failed in one repetition, or a rate that is no number, is not measured either.
run='"run_name": "lock\/full_w100\/mmrange\/real_time\/threads:4"'
sed "0,/$run/s//&,\n      \"run_type\": \"iteration\",\n      \"error_occurred\": true/" \
	"$dir/met.json" > "$dir/error.json"
bounds "$dir/error.json" "$dir/met.csv"
ends "an error" "50 met, 0 MISSED, 1 not measured"
says "an error" "^full_w100, 4 threads: .* not measured$"
for number in NaN Infinity -1; do
	awk -v number="$number" -v run='full_w100/mmrange/real_time/threads:4"' '
		index($0, run) && /run_name/ { here = 1 }
		here && /items_per_second/ { sub(/[0-9].*,/, number ","); here = 0 }
		{ print }' "$dir/met.json" > "$dir/number.json"
	bounds "$dir/number.json" "$dir/met.csv"
	ends "$number" "50 met, 0 MISSED, 1 not measured"
done

# The time over a lock with few leaves, or with few that are biased, is that of something else.
for counter in leaves_per_write biased_per_write; do
	sed "s/\"$counter\": .*,/\"$counter\": 9.99e+02,/" "$dir/met.json" > "$dir/few.json"
	bounds "$dir/few.json" "$dir/met.csv"
	ends "few $counter" "50 met, 0 MISSED, 1 not measured"
	says "few $counter" "^full range over 1,024 leaves: .* not measured$"
done

# Transfers are met only if the fewest and the most cores were counted, but missed by any.
grep -v 'own,mmrange,64' "$dir/met.csv" > "$dir/few.csv"
bounds "$dir/met.json" "$dir/few.csv"
ends "without 64 cores" "50 met, 0 MISSED, 1 not measured"
grep -v 'own,mmrange,64' "$dir/missed.csv" > "$dir/few.csv"
bounds "$dir/met.json" "$dir/few.csv"
ends "missed with few cores" "43 met, 8 MISSED, 0 not measured"

if bounds "$dir/none.json" 2> /dev/null; then
	fail "a file that is not there"
fi

awk -f "$bench/results.awk" -f "$bench/csv.awk" kind=lock "$dir/met.json" > "$dir/out"
says "CSV" "^held/1000,mmrange,1,12000,15,0,83333.3$"
[ "$(sed -n 2p "$dir/out")" = "shared_read,pthread_rwlock,64,100,15,0,1e+07" ] || fail "CSV: order"
{
	cat "$dir/out"
	echo full_t40,pthread_rwlock,16,5e6,4750000,250000,200
	echo short_w10,mmrange,8,5e6,4500000,500000,200
} > "$dir/rates.csv"
awk -f "$bench/table.awk" "$dir/rates.csv" > "$dir/out"
says "table" "^own_w100  *2  *-  *0\.001  *-  *0\.000$"
says "table" "^full_t40  *16  *5\.000  *-  *-  *-$"
says "table" "^full_t40  *16  *4\.750 0\.250  *-  *-  *-$"
says "table" "^short_w10  *8  .* 4\.500 0\.500 "
