#!/bin/sh
# SPDX-License-Identifier: MIT
#
# smoke_test.sh PLUGIN TOY: the plugin counts the transfers that programs must have. Exits with 77 where
# QEMU cannot run them.
set -eu

plugin=$1 toy=$2
operations=500
. "$(dirname "$0")/qemu.sh"

reason=$(why_not "$plugin" "$toy")
if [ "$reason" ]; then
	echo "SKIPPED: $reason"
	exit 77
fi

failed=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# expect MODE CORES LEAST MOST: so many transfers per operation. The round ends with the first core
# that is done; an operation under way in each of the others may have had its transfers already, and
# is not counted as done: MOST is per operation, counted or under way.
expect() {
	if ! qemu-x86_64 -plugin "$plugin,hottest=1" "$toy" "$1" "$2" "$operations" > "$output" 2>&1; then
		echo "$1 $2: it failed"
		failed=1
	fi
	sed "s/^cores=/$1: &/" "$output"
	awk -v cores="$2" -v least="$3" -v most="$4" -v rounding=0.0001 '
		/^cores=/ {
			for (i = 1; i <= NF; i++) {
				split($i, pair, "=")
				value[pair[1]] = pair[2]
			}
			most = most * (value["operations"] + cores - 1) / value["operations"]
		}
		END {
			if (value["cores"] == cores && value["escapes"] == 0 &&
			    value["transfers_per_op"] >= least - rounding &&
			    value["transfers_per_op"] <= most + rounding)
				exit
			print "NOT from " least " to " most " without escapes"
			exit 1
		}' "$output" || failed=1
}

# expect_line NAME: the hottest line was named.
expect_line() {
	if ! grep -q "^line 0x[0-9a-f]* $1[+-][0-9]*: " "$output"; then
		echo "NOT named as the hottest line: $1"
		failed=1
	fi
}

for cores in 2 8 32; do
	# After the first round each counter is in the cache of its core, and stays there.
	expect padded "$cores" 0 0
	if grep -q '^line' "$output"; then
		echo "NOT without a line that is transferred"
		failed=1
	fi
	# One access to the line per operation, so one transfer at most. Who has just got it has a clock
	# ahead of all that wait for it, so they come first: each operation needs one, but for the first
	# of the core that had the line when the round began.
	least=$(awk -v n="$operations" 'BEGIN { print 1 - 1 / n }')
	expect shared "$cores" "$least" 1
	expect_line shared
	# Eight counters to a line: the same, in groups of eight.
	expect false "$cores" "$least" 1
	expect_line crowded
	# Per operation: the turn is seen by who sleeps on it, who takes it back; and it is given to the
	# next. One line is read that another core wrote, then written with that one's copy, then written
	# with the copy of the one that sleeps. All but one core sleep.
	expect relay "$cores" "$(awk -v n="$operations" 'BEGIN { print 3 - 3 / n }')" 3
done
# More cores than there are bits in a word.
expect padded 100 0 0
expect shared 100 "$(awk -v n="$operations" 'BEGIN { print 1 - 1 / n }')" 1
exit "$failed"
