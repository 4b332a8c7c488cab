#!/bin/sh
# SPDX-License-Identifier: MIT
#
# watchdog_test.sh WATCHDOG: it conveys how the program ended, and leaves no process of its group alive.
set -u

watchdog=$1
failed=0

# expect STATUS COMMAND...: the command substitution ends when the last process that could write to
# it has.
expect() {
	wanted=$1
	shift
	output=$("$@")
	got=$?
	if [ "$got" -ne "$wanted" ]; then
		echo "status $got, not $wanted: $*"
		failed=1
	fi
	if [ -n "$output" ]; then
		echo "a process of the group $output: $*"
		failed=1
	fi
}

# Left behind by the program; says so should it outlive the watchdog.
grandchild='sh -c "sleep 3; echo survived" &'

expect 0 "$watchdog" 30 true
expect 7 "$watchdog" 30 sh -c 'exit 7'
expect 134 "$watchdog" 30 sh -c 'kill -ABRT $$'
expect 127 "$watchdog" 30 /nonexistent/program
expect 2 "$watchdog" 0 true
expect 124 "$watchdog" 1 sleep 30
expect 124 "$watchdog" 1 sh -c "$grandchild wait"
expect 3 "$watchdog" 30 sh -c "$grandchild exit 3"
if command -v setsid > /dev/null; then
	expect 124 "$watchdog" 1 sh -c "setsid $grandchild wait"
	expect 3 "$watchdog" 30 sh -c "setsid $grandchild exit 3"
fi
# shellcheck disable=SC2016 # for the inner shell
expect 143 sh -c '"$1" 30 sh -c "$2 wait" & sleep 1; kill $!; wait $!' sh "$watchdog" "$grandchild"
exit "$failed"
