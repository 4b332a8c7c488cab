#!/bin/sh
# SPDX-License-Identifier: MIT
#
# smoke_test.sh TOOL_DIR PLUGIN TOY DRIVER - each workload of the driver does its operations. TOOL_DIR has
# qemu.sh. Exits with 77 where QEMU cannot run the driver.
set -eu

. "$1/qemu.sh"
plugin=$2 driver=$4
reason=$(why_not "$plugin" "$3")
if [ "$reason" ]; then
	echo "SKIPPED: $reason"
	exit 77
fi

failed=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# expect_operations WORKLOAD WHAT: the first of two cores to be done with its operations ends the round,
# and none failed.
expect_operations() {
	if ! qemu-x86_64 -plugin "$plugin" "$driver" "$1" "$2" 2 100 > "$output" 2>&1 ||
		! awk '/^cores=2 operations=/ { split($2, pair, "="); done = pair[2] }
		       END { exit !(done >= 100 && done <= 200) }' "$output"; then
		cat "$output"
		echo "$1 $2: NOT from 100 to 200 operations"
		failed=1
	fi
}

for workload in own own1full short_w10; do
	expect_operations "$workload" mmrange
done
for mode in rwlock range speculative; do
	for workload in fault_own fault_zap map_own unmap_own protect_own map_fault_unmap_own; do
		expect_operations "$workload" "$mode"
	done
done
exit "$failed"
