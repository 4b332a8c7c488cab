#!/bin/sh
# SPDX-License-Identifier: MIT symbols.sh NM OBJDUMP LIBRARY SCRIPT HEADER...: what the headers declare
# with MMRANGE_API, what the version script SCRIPT names and what the shared library exports are the
# same functions, each named in full; the library's SONAME is libmmrange.so.0.
set -eu

nm=$1 objdump=$2 library=$3 script=$4
shift 4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# From MMRANGE_API to the semicolon; the name stands before the first parenthesis.
cat "$@" | grep -v '^#' | tr '\n\t' '  ' | grep -o 'MMRANGE_API [^;]*;' |
	sed 's/(.*//; s/.*[ *]//' | sort > "$work/declared"
# What ends in a semicolon before "local:". A pattern, as mm_*, is a line that no header declares.
sed -n '/^local:/q; s/^[^#]*[[:space:]]\([^[:space:]]*\);$/\1/p' "$script" | sort > "$work/named"
"$nm" -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort > "$work/exported"

test -s "$work/declared"
echo "declared (<) and in the version script (>):"
diff "$work/declared" "$work/named"
echo "declared (<) and exported (>):"
diff "$work/declared" "$work/exported"
sed -n '/^local:/,$p' "$script" | grep -q '^[[:space:]]\*;$'
"$objdump" -p "$library" | grep 'SONAME  *libmmrange\.so\.0$'
