#!/bin/sh
# SPDX-License-Identifier: MIT
#
# count.sh PROGRAM LIBRARY WRITE READ ASYNC [REASON] - how many instructions of the shared LIBRARY an
# uncontended pair of lock and unlock executes, by callgrind, as a writer, as a reader of a biased leaf,
# and as a writer by range_lock_async(); and whether these are at most WRITE, READ and ASYNC. The numbers
# are the same each time.
#
# Exits with 77 where it cannot run, with its reason, or with REASON if there is one.
set -eu

program=$1 library=$2 write=$3 read=$4 async=$5 reason=${6-}
few=1000 more=11000 # pairs: what is in the difference is nothing but pairs

if [ -z "$reason" ] && ! command -v valgrind > /dev/null; then
	reason='valgrind is not installed (Debian: valgrind)'
fi
if [ "$reason" ]; then
	echo "SKIPPED: $reason"
	exit 77
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

# executed MODE PAIRS: the instructions of the library itself, and of the library and all that is
# called from anything but the program's own code. After a "calls=" line comes one with what the
# callee executed, which is counted there.
executed() {
	status=0
	valgrind --tool=callgrind --compress-strings=no --compress-pos=no \
		--callgrind-out-file="$dir/out" "$program" "$1" "$2" > "$dir/said" 2>&1 || status=$?
	if [ "$status" -ne 0 ]; then
		cat "$dir/said" >&2
		exit "$status"
	fi
	awk -v library="$(realpath "$library")" -v program="$(realpath "$program")" '
		/^ob=/ { object = substr($0, 4) }
		/^calls=/ { getline; next }
		/^[0-9]/ {
			own += object == library ? $2 : 0
			all += object == program ? 0 : $2
		}
		END { print own, all }' "$dir/out"
}

failed=0
# pair MODE BOUND
pair() {
	executed "$1" "$few" > "$dir/few"
	executed "$1" "$more" > "$dir/more"
	awk -v mode="$1" -v bound="$2" -v pairs=$((more - few)) '
		NR == 1 { own = $1; all = $2 }
		NR == 2 {
			own = ($1 - own) / pairs
			all = ($2 - all) / pairs
			met = own > 0 && own <= bound
			printf "%-5s %6.1f instructions per pair in the library (%.1f with what it calls), %s %d\n", mode,
				own, all, met ? "at most" : "MORE THAN", bound
			exit !met
		}' "$dir/few" "$dir/more" || failed=1
}

pair write "$write"
pair read "$read"
pair async "$async"
exit "$failed"
