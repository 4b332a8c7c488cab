#!/bin/sh
# SPDX-License-Identifier: MIT ignored.sh SOURCE CC [FLAG...]: the compiler warns of a result that is
# ignored in those lines of SOURCE that say so, and in no other.
set -eu

source=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

LC_ALL=C "$@" -c -o "$work/object" "$source" 2> "$work/output"
grep -n '/\* warns \*/' "$source" | sed 's/:.*//' > "$work/expected"
sed -n 's/^[^ ]*:\([0-9]*\):[0-9]*: warning: .*unused-result\]$/\1/p' "$work/output" > "$work/found"
test -s "$work/expected"
cat "$work/output"
echo "lines that should warn (<) and that do (>):"
diff "$work/expected" "$work/found"
