#!/bin/sh
# SPDX-License-Identifier: MIT
#
# replay_bounds.sh BENCH_DIR - the arithmetic of replay_bounds.sh, on results that are made up.
set -eu

bench=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# trace NAME SECONDS_RWLOCK SECONDS_SPECULATIVE SHARE: as mmrange-replay writes it.
trace() {
	cat <<END
  {"trace": "$1", "file": "x/$1.mmtrace", "recorded_threads": 9, "threads": 9, "repeat": 10,
   "locks": [
      {"lock": "rwlock", "seconds": $2, "operations_per_second": 5.0,
       "faults_speculative": 0,
       "speculative_share": 0.000000, "hold_p99_ns": 5,
       "lock_waits": null},
      {"lock": "speculative", "seconds": $3, "operations_per_second": 5.0,
       "faults_speculative": 1,
       "speculative_share": $4, "hold_p99_ns": 5,
       "lock_waits": 0}
   ]}
END
}

# expect NAME "LAST LINE": of what is judged
expect() {
	sh "$bench/replay_bounds.sh" --from "$dir/json" > "$dir/out"
	if [ "$(tail -n 1 "$dir/out")" != "$2" ]; then
		echo "$1:" >&2
		cat "$dir/out" >&2
		exit 1
	fi
}

{ trace javac 0.02 0.02 0.99 && trace node 0.03 0.01 1; } > "$dir/json"
expect "just met" "4 met, 0 MISSED, 0 not measured"
{ trace javac 0.02 0.0201 0.989999 && trace node 0.03 0.01 1; } > "$dir/json"
expect "missed by one" "2 met, 2 MISSED, 0 not measured"
{ trace javac 0.02 0.01 1 && trace node 0.01 0.03 0.5; } > "$dir/json"
expect "missed by the other" "2 met, 2 MISSED, 0 not measured"
trace node 0.03 0.01 1 > "$dir/json"
expect "one trace" "2 met, 0 MISSED, 2 not measured"
{ trace javac 0.02 0.02 0.99 && trace node 0.03 0.01 1; } | grep -v '"rwlock"' > "$dir/json"
expect "no rwlock" "2 met, 0 MISSED, 2 not measured"
echo '{"replays": [' > "$dir/json"
expect "nothing" "0 met, 0 MISSED, 4 not measured"
