#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mm_table.sh BUILD_DIR [LIBRARY]
# mm_table.sh --from RATES.json
#
# The rates of all workloads on address spaces, in all modes, with 1 and 2 threads, as a table in Markdown:
# of what it measures, in about five minutes, or of what was measured before. LIBRARY is the file of an
# earlier version of the library, which gets a column of its own.
#
# What is measured is left in BUILD_DIR/report/mm.json. The spaces of a million areas, of which there is one
# for each mode, take 4 GB.
set -eu

here=$(dirname "$0")
# shellcheck source=bench/measure.sh
. "$here/measure.sh"

table() {
	awk -f "$here/results.awk" -f "$here/mm_table.awk" "$1"
}

if [ $# -eq 2 ] && [ "$1" = --from ]; then
	table "$2"
	exit
fi
if [ $# -lt 1 ] || [ $# -gt 2 ] || [ ! -x "$1/bench/mmrange-bench" ]; then
	sed -n 's/^# \(mm_table.sh .*\)/usage: \1/p' "$0" >&2
	exit 1
fi

mkdir -p "$1/report"
machine
echo "measuring for about five minutes .."
measure "$1/bench/mmrange-bench" "$1/report/mm.json" 5 0.1 '^mm/.*:(1|2)$' --mm_mib=32 \
	${2:+"--mm_before=$2"}
echo
table "$1/report/mm.json"
