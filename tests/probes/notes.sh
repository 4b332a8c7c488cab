#!/bin/sh
# SPDX-License-Identifier: MIT
# notes.sh READELF LIBRARY PAGE PROBES...: whether the notes of the library name exactly these probes
# with these arguments, and whether the manual page describes each. A probe is NAME:SIZES, with the
# size of each argument in bytes, and a minus sign before it if it is signed. Without PROBES, the
# library must have none.
set -eu

readelf=$1 library=$2 page=$3
shift 3
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
for probe; do
	grep -q "^\.It Fn ${probe%%:*} " "$page" || {
		echo "${probe%%:*} is not in $page"
		exit 1
	}
done
