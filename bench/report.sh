#!/bin/sh
# SPDX-License-Identifier: MIT
#
# report.sh BUILD_DIR [full]
#
# Measures, prints the rates and the table of bounds, and leaves them, JSON, CSV and plots in
# BUILD_DIR/report. It takes less than five minutes on two cores; "full" measures all there is, with
# more repetitions, which takes hours.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=bench/measure.sh
. "$here/measure.sh"

if [ $# -lt 1 ] || [ $# -gt 2 ] || [ "${2:-full}" != full ] ||
	[ ! -x "$1/bench/mmrange-bench" ]; then
	echo "usage: $0 BUILD_DIR [full] (with bench/mmrange-bench in it)" >&2
	exit 1
fi
bench=$1/bench/mmrange-bench
report=$1/report
mkdir -p "$report"

if [ $# -eq 2 ]; then
	rates='^(lock/|latency/full_over_)'
	repetitions=7
	seconds=0.15
	waits='^latency/'
	latency_ms=1000
	duration='hours'
else
	locks='(mmrange|tree_spinlock|pthread_rwlock|pthread_mutex)'
	threads='(1|2|4|16|64)'
	others='(ck_rwlock|ck_brlock|fcntl_ofd)'
	rates="^(lock/(uncontended_[a-z]+/.*|held/[0-9]+/(mmrange|tree_spinlock|fcntl_ofd)/.*"
	rates="$rates|(own|own1full|slot|share|full|random)_w100/$locks/.*:$threads"
	rates="$rates|((full|random)_(w40|t40)|shared_read)/$locks/.*:$threads"
	rates="$rates|short_w(10|50|100)/$locks/.*:(2|8|32)"
	rates="$rates|(own_w100|shared_read)/$others/.*:(1|2|4))"
	rates="$rates|latency/full_over_(leaves|biased)/mmrange/.*)\$"
	repetitions=3
	seconds=0.05
	waits="^latency/((own|full|random)_w100|(full|random)_w40|full_t40)/$locks/.*:(2|16|64)\$"
	latency_ms=300
	duration='less than five minutes'
fi

machine
echo "measuring for $duration .."
measure "$bench" "$report/rates.json" "$repetitions" "$seconds" "$rates" --latency_ms=100
measure "$bench" "$report/latency.json" 3 0 "$waits" --latency_ms="$latency_ms" --latency_threads

csv() {
	awk -f "$here/results.awk" -f "$here/csv.awk" kind="$1" "$report/$2" > "$report/$3"
}
csv lock rates.json rates.csv
csv latency latency.json latency.csv
csv threads latency.json latency-threads.csv

awk -f "$here/table.awk" "$report/rates.csv" | tee "$report/rates.txt"
echo
if [ -e "$report/coherence.csv" ]; then
	sh "$here/bounds.sh" --from "$report/rates.json" "$report/coherence.csv"
else
	sh "$here/bounds.sh" --from "$report/rates.json"
fi | tee "$report/bounds.txt"
sh "$here/plot.sh" "$report" > "$report/plots.txt"
echo
grep -v 'svg$' "$report/plots.txt" || :
echo "all of it, with $(grep -c 'svg$' "$report/plots.txt" || :) plots, is in $report"
