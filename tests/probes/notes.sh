#!/bin/sh
# SPDX-License-Identifier: MIT
# notes.sh READELF OBJDUMP LIBRARY PAGE PROBES...: whether the notes of the library name exactly these
# probes with these arguments, none is in a function that the fast path is in, and the manual page
# describes each. A probe is NAME:SIZES, with the size of each argument in bytes, and a minus sign before
# it if it is signed. Without PROBES, the library must have none.
set -eu

readelf=$1 objdump=$2 library=$3 page=$4
shift 4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$readelf" -n "$library" | awk '
	$1 == "Provider:" { ours = $2 == "libmmrange" }
	ours && $1 == "Name:" { name = $2 }
	ours && $1 == "Arguments:" {
		sizes = ""
		for (i = 2; i <= NF; i++)
			if (split($i, part, "@") == 2)
				sizes = sizes " " part[1]
		print name ":" sizes
	}' | sort -u > "$work/found"
for probe; do
	echo "${probe%%:*}: ${probe#*:}"
done | sort -u > "$work/expected"
echo "expected (<) and in the library (>):"
diff "$work/expected" "$work/found"
# A probe that is not traced costs little, but the calls that succeed at once have none at all.
for function in range_lock range_trylock range_timedlock range_unlock; do
	"$objdump" -d --no-show-raw-insn --disassemble=$function "$library" | sed -n 's/^ *\([0-9a-f]*\):.*/\1/p'
done > "$work/fast"
test -s "$work/fast"
"$readelf" -n "$library" | sed -n 's/.*Location: 0x0*\([0-9a-f]*\),.*/\1/p' > "$work/places"
if grep -Fxf "$work/places" "$work/fast"; then
	echo "a probe is on a fast path"
	exit 1
fi
for probe; do
	grep -q "^\.It Fn ${probe%%:*} " "$page" || {
		echo "${probe%%:*} is not in $page"
		exit 1
	}
done
