#!/bin/sh
# SPDX-License-Identifier: MIT
#
# replay_bounds.sh BUILD_DIR
# replay_bounds.sh --from REPLAY.json
#
# As bounds.sh, of the replay of recorded programs: medians of ten interleaved runs with each lock, or
# what mmrange-replay --json printed before.
set -eu

here=$(dirname "$0")

judge() {
	awk -f "$here/results.awk" -f "$here/judge.awk" -f "$here/replay_bounds.awk" "$1"
}

if [ $# -eq 2 ] && [ "$1" = --from ]; then
	judge "$2"
	exit
fi
if [ $# -ne 1 ] || [ ! -x "$1/tools/replay/mmrange-replay" ]; then
	sed -n 's/^# \(replay_bounds.sh .*\)/usage: \1/p' "$0" >&2
	exit 1
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=bench/measure.sh
. "$here/measure.sh"
machine
ticks_before=$(ticks)
times > "$results/before"
"$1/tools/replay/mmrange-replay" --repeat 10 --json "$here"/../tools/replay/traces/*.mmtrace \
	> "$results/replay.json"
times > "$results/after"
of_others "$ticks_before" "$(ticks)" "$results/before" "$results/after"
echo
judge "$results/replay.json"
