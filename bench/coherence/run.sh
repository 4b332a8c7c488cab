#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh BUILD_DIR [OUT.csv] - cache-line transfers per lock + unlock, and per operation on an address
# space, on simulated cores.
#
# Prints a table and writes OUT.csv, coherence.csv if it is not given. What the host was too busy for
# is repeated, and in the end not a number. Exits with 77 where it cannot run, with its reason.
# CORES, LOCKS, WORKLOADS, RANGES, MODES and FAULTS in the environment are lists that replace those
# below; " " is an empty one. MANY is a list of numbers of cores above those, up to 1024, for which the
# range lock is looked at as well; it is empty if it is not given, since that takes minutes for each.
set -eu

cores=${CORES:-2 8 32 64}
locks=${LOCKS:-mmrange pthread_rwlock pthread_mutex tree_spinlock}
workloads=${WORKLOADS:-own share shared_read slot}
ranges=${RANGES:-own1full short_w10} # for the range lock alone
many=${MANY:-}
many_workloads='own share shared_read'
modes=${MODES:-rwlock range speculative}
faults=${FAULTS:-fault_own fault_zap map_own map_fault_unmap_own unmap_own protect_own}
columns='transfers_per_op invalidations_per_op instructions_per_op operations warm_up_rounds'
operations=1000 # of each core in a round, at most
operations_of_ranges=300 # the same where they conflict: a multiple of 100, see own1full
operations_of_many=100
pages=150       # the same of an address space: a page has a frame, whose lines are counted, too
attempts=3
seconds=120 # for one attempt
seconds_of_many=600

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
	sed -n 's/^# \(run.sh .*\)/usage: \1/p' "$0" >&2
	exit 2
fi
tool=$1/tools/coherence
driver=$1/bench/coherence/coherence-driver
csv=${2:-coherence.csv}
. "$(dirname "$0")/../../tools/coherence/qemu.sh"

reason=$(why_not "$tool/coherence-plugin.so" "$tool/coherence-toy")
if [ "$reason" ]; then
	echo "SKIPPED: $reason"
	exit 77
fi

output=$(mktemp)
trap 'rm -f "$output"' EXIT
trap 'exit 1' HUP INT TERM

# value NAME: what the output says.
value() {
	tr ' ' '\n' < "$output" | sed -n "s/^$1=//p"
}

# count WORKLOAD LOCK CORES: into the output; or the reason why it is to be tried again.
count() {
	status=0
	limit=$seconds
	options=
	case $1 in
	fault_* | map_* | unmap_* | protect_*) amount=$pages ;;
	own1full | short_*) amount=$operations_of_ranges ;;
	*) amount=$operations ;;
	esac
	if [ "$3" -gt 64 ]; then
		limit=$seconds_of_many
		options=,window=10000 # cycles: these share nothing, and it is faster
		amount=$operations_of_many
	fi
	timeout "$limit" qemu-x86_64 -plugin "$tool/coherence-plugin.so$options" \
		"$driver" "$1" "$2" "$3" "$amount" > "$output" 2>&1 || status=$?
	if [ "$status" -eq 124 ]; then
		reason="not done in $limit s"
	elif [ "$status" -ne 0 ] || [ -z "$(value transfers_per_op)" ]; then
		cat "$output" >&2
		echo "run.sh: $1 $2 $3 failed" >&2
		exit 1
	elif [ "$(value escapes)" -ne 0 ]; then
		reason="$(value escapes) escapes: the host was too busy"
	elif [ "$(value operations)" -eq 0 ]; then
		reason="no core was done with its first operation when the round was over"
	else
		return 0
	fi
	return 1
}

# measure WORKLOAD LOCK CORES: adds a line to the file.
measure() {
	attempt=1
	until count "$1" "$2" "$3"; do
		if [ "$attempt" -eq "$attempts" ]; then
			echo "$1,$2,$3,,,,,,$reason" >> "$csv"
			return
		fi
		attempt=$((attempt + 1))
	done
	note=
	if [ "$(value settled)" -eq 0 ]; then
		note="the lock was still changing after $(value warm_up_rounds) rounds"
	fi
	line=$1,$2,$3
	for name in $columns; do
		line=$line,$(value "$name")
	done
	echo "$line,$note" >> "$csv"
}

# A line of the table: what was measured of a workload and a lock.
row() {
	awk -F , -v workload="$1" -v lock="$2" -v cores="$cores" '
		$1 == workload && $2 == lock { transfers[$3] = $4 }
		END {
			printf "%-20s %-15s", workload, lock
			n = split(cores, core, " ")
			for (i = 1; i <= n; i++)
				printf transfers[core[i]] == "" ? " %12s" : " %12.4f", \
					transfers[core[i]] == "" ? "not measured" : transfers[core[i]]
			printf "\n"
		}' "$csv"
}

echo "workload,lock,cores,$(echo "$columns" | tr ' ' ,),note" > "$csv"
# table WHAT CORES WORKLOADS LOCKS: measures and prints, transfers per WHAT.
table() {
	cores=$2
	printf '\ncache-line transfers per %s\n\n%-20s %-15s' "$1" workload 'cores:'
	# shellcheck disable=SC2086 # lists
	printf ' %12s' $cores
	echo
	for workload in $3; do
		for lock in $4; do
			for n in $cores; do
				measure "$workload" "$lock" "$n"
			done
			row "$workload" "$lock"
		done
	done
}

few=$cores
table "lock + unlock" "$few" "$workloads" "$locks"
table "lock + unlock, where ranges conflict" "$few" "$ranges" mmrange
if [ "$many" ]; then
	table "lock + unlock, with many cores" "$many" "$many_workloads" mmrange
fi
table "operation on an address space" "$few" "$faults" "$modes"
awk -F , 'NR > 1 && $9 != "" { print $1 ", " $2 ", " $3 " cores: " $9 }' "$csv"
