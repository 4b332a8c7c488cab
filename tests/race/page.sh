#!/bin/sh
# SPDX-License-Identifier: MIT
# page.sh PAGE SUPPRESSIONS...: the manual page shows each line of the suppressions, as far as it is
# not the same for another tool, and mandoc, where there is one, has nothing to say against it.
set -eu

page=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

grep -hv '^#' "$@" | sed 's/^ *//' | sort -u > "$work/lines"
test -s "$work/lines"
while read -r line; do
	grep -qF -e "$line" "$page" || { echo "$page does not show: $line" && exit 1; }
done < "$work/lines"
if command -v mandoc > /dev/null; then
	# Whether another manual is installed is not the page's fault.
	mandoc -Tlint -W warning "$page"
fi
