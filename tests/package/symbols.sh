#!/bin/sh
# SPDX-License-Identifier: MIT symbols.sh NM OBJDUMP LIBRARY HEADERS: the shared library exports
# what the headers in the directory HEADERS declare with MMRANGE_API, and nothing else; its SONAME
# is libmmrange.so.0.
set -eu

nm=$1 objdump=$2 library=$3 headers=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# From MMRANGE_API to the semicolon; the name stands before the first parenthesis.
cat "$headers"/*.h | grep -v '^#' | tr '\n\t' '  ' | grep -o 'MMRANGE_API [^;]*;' |
	sed 's/(.*//; s/.*[ *]//' | sort > "$work/declared"
"$nm" -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort > "$work/exported"

test -s "$work/declared"
echo "declared (<) and exported (>):"
diff "$work/declared" "$work/exported"
"$objdump" -p "$library" | grep 'SONAME  *libmmrange\.so\.0$'
