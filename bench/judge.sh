# shellcheck shell=sh disable=SC2154 # what those say
# SPDX-License-Identifier: MIT
#
# judge.sh - for bounds.sh and mm_bounds.sh, which say what is measured ($filter, $repetitions,
# $seconds, $options, $duration) and where the bounds are ($bounds): measures, and prints which are met.
#
# Called as those are, from their directory $here. A second argument, if there may be one, is the value of
# the benchmark's option $before.

# shellcheck source=bench/measure.sh
. "$here/measure.sh"

judge() {
	awk -f "$here/results.awk" -f "$here/judge.awk" -f "$here/$bounds" "$@"
}

if [ $# -ge 2 ] && [ $# -le 3 ] && [ "$1" = --from ]; then
	shift
	judge "$@"
	exit
fi
most=1
if [ "${before-}" ]; then
	most=2
fi
if [ $# -lt 1 ] || [ $# -gt $most ] || [ ! -x "$1/bench/mmrange-bench" ]; then
	sed -n 's/^# \([a-z_]*bounds.sh .*\)/usage: \1/p' "$0" >&2
	exit 1
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
trap 'exit 1' HUP INT TERM

machine
echo "measuring for about $duration .."
# shellcheck disable=SC2086 # a list
measure "$1/bench/mmrange-bench" "$results/rates.json" "$repetitions" "$seconds" "$filter" $options \
	${2:+"$before=$2"}
echo
if [ -e "$1/report/coherence.csv" ]; then
	judge "$results/rates.json" "$1/report/coherence.csv"
else
	judge "$results/rates.json"
fi
