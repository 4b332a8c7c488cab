#!/bin/sh
# SPDX-License-Identifier: MIT
#
# plot.sh REPORT_DIR - draws what is in the CSV files there, as SVG, with gnuplot.
set -eu

if [ $# -ne 1 ] || [ ! -d "$1" ]; then
	echo "usage: $0 REPORT_DIR" >&2
	exit 1
fi
if ! command -v gnuplot > /dev/null; then
	echo "gnuplot is not installed (Debian: gnuplot-nox): no plots are drawn"
	exit 0
fi
cd "$1"

points=$(mktemp)
trap 'rm -f "$points"' EXIT
trap 'exit 1' HUP INT TERM

# draw NAME TITLE X Y [SETTING...]: a line for each lock, out of "lock x y" lines, whose axes have
# logarithmic scales.
draw() {
	name=$1 title=$2 x=$3 y=$4
	shift 4
	awk '!($1 in blocks) { locks[++nr] = $1 }
	     { blocks[$1] = blocks[$1] $2 " " $3 "\n" }
	     END { for (i = 1; i <= nr; i++) {
	           printf "%s%s\n%s", (i > 1 ? "\n\n" : ""), locks[i], blocks[locks[i]] } }' \
		> "$points"
	[ -s "$points" ] || return 0
	{
		printf 'set terminal svg size 800,500 dynamic background "white"\nset output "%s.svg"\n' "$name"
		printf 'set title "%s" noenhanced\nset xlabel "%s"\nset ylabel "%s"\n' "$title" "$x" "$y"
		printf 'set logscale y\nset format y "%%.0s%%c"\nset grid\n'
		printf 'set key outside right noenhanced\n'
		printf '%s\n' "$@"
		printf 'stats "%s" using 1 nooutput\n' "$points"
		printf 'plot for [i=0:STATS_blocks-1] "%s" index i using 1:2 ' "$points"
		printf 'with linespoints linewidth 2 title columnheader(1)\n'
	} | gnuplot
	echo "$name.svg"
}

# values FILE COLUMN: the values of a column, once each.
values() {
	awk -F, -v name="$2" 'FNR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next }
	                      !seen[$c]++ { print $c }' "$1"
}

# select_points FILE X Y COLUMN VALUE [COLUMN VALUE]: "lock x y" of the lines with those values.
select_points() {
	awk -F, -v x="$2" -v y="$3" -v c1="$4" -v v1="$5" -v c2="${6:-}" -v v2="${7:-}" '
	FNR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
	$at[c1] == v1 && (c2 == "" || $at[c2] == v2) && $at[y] > 0 {
		print $at["lock"], $at[x], $at[y]
	}' "$1"
}

if [ -e rates.csv ]; then
	for workload in $(values rates.csv workload | grep -v -e / -e uncontended -e _hold); do
		select_points rates.csv threads pairs_per_second workload "$workload" |
			draw "rate-$workload" "$workload" threads 'lock+unlock pairs per second' \
				'set logscale x 2'
	done
	awk -F, 'FNR > 1 && $1 ~ /^held\// { sub("held/", "", $1); print $2, ($1 > 0 ? $1 : 1), $7 }' \
		rates.csv |
		draw held 'one thread among held ranges' 'held ranges' 'ns per lock+unlock pair' \
			'set logscale x 10' 'set xrange [0.8:*]' 'set xtics add ("0" 1)' 'set format y "%g"'
	# The workload without the suffix is that with a hold time of nothing, which has no logarithm.
	for workload in $(values rates.csv workload | sed -n 's/_hold1us$//p'); do
		for threads in $(values rates.csv threads); do
			awk -F, -v workload="$workload" -v threads="$threads" '
			BEGIN { ns[""] = 10; ns["_hold100ns"] = 100; ns["_hold1us"] = 1000; ns["_hold10us"] = 10000 }
			FNR > 1 && index($1, workload) == 1 && $3 == threads {
				suffix = substr($1, length(workload) + 1)
				if (suffix in ns) print $2, ns[suffix], $4
			}' rates.csv |
				draw "hold-$workload-$threads" "$workload, $threads threads" \
					'hold time in ns' 'lock+unlock pairs per second' \
					'set logscale x 10' 'set xrange [8:*]' 'set xtics add ("0" 10)'
		done
	done
fi

if [ -e latency.csv ]; then
	for workload in $(values latency.csv workload); do
		for threads in $(values latency.csv threads); do
			for percentile in 1=p50_ns 2=p99_ns 3=p999_ns 4=max_ns; do
				select_points latency.csv lock "${percentile#*=}" workload "$workload" \
					threads "$threads" |
					awk -v x="${percentile%%=*}" '{ print $1, x, $3 }'
			done | draw "latency-$workload-$threads" "$workload, $threads threads" '' \
				'wait for the lock in ns' 'set xrange [0.5:4.5]' \
				'set xtics ("50 %%" 1, "99 %%" 2, "99.9 %%" 3, "longest" 4)'
		done
	done
fi

if [ -e coherence.csv ]; then
	for workload in $(values coherence.csv workload); do
		select_points coherence.csv cores transfers_per_op workload "$workload" |
			draw "coherence-$workload" "$workload" cores \
				'cache-line transfers per lock+unlock pair' 'set logscale x 2' \
				'set format y "%g"'
	done
fi
