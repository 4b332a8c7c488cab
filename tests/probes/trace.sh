#!/bin/sh
# SPDX-License-Identifier: MIT
# trace.sh HOST SCRIPT: traces the program HOST with the bpftrace script SCRIPT, and checks what the
# script prints. Exits with 77, and a reason, where bpftrace cannot work.
set -eu

host=$1 script=$2

skip() {
	echo "skipped: $*"
	exit 77
}

fail() {
	echo "failed: $*"
	head -n 40 "$work/out" "$work/errors"
	exit 1
}

command -v bpftrace > /dev/null || skip "there is no bpftrace here"
[ "$(id -u)" -eq 0 ] || skip "bpftrace needs root"
work=$(mktemp -d)
tracer='' traced=''
trap 'kill $tracer $traced 2> /dev/null || :; rm -rf "$work"' EXIT
# A probe in bpftrace's own process: it shows whether the kernel has what the scripts need.
timeout 30 bpftrace -e 'BEGIN { printf("works\n"); exit(); }' > "$work/out" 2> "$work/errors" || :
grep -q works "$work/out" || skip "bpftrace does not work here: $(head -n 1 "$work/errors")"

# The host runs until its standard input, the FIFO, has no writer any more.
mkfifo "$work/input"
"$host" < "$work/input" > "$work/host" &
traced=$!
exec 3> "$work/input"
until [ -s "$work/host" ]; do
	kill -0 $traced || fail "the host has ended"
	sleep 0.05
done
read -r pid waiter lock other < "$work/host"
# In a container, bpftrace knows threads by the numbers that they have outside. (The number is the kernel's
# PROC_PID_INIT_INO.)
[ "$(readlink /proc/self/ns/pid)" = "pid:[4026531836]" ] || waiter='[0-9]+'

# bpftrace attaches the probes of a script one after the other, in either order: once the first and
# the last have fired, all are there. After 20 more of each, whole rounds of the host were traced.
case $script in
*/mm_*) marker=mm_fault ;;
*) marker=range_release ;;
esac
mark() {
	printf 'usdt:*:libmmrange:%s { @%s++; if (@%s <= 20) { printf("%s %%d\\n", @%s); } }\n' \
		$marker "$1" "$1" "$1" "$1"
}
{
	mark first
	sed 's/^#!.*//' "$script"
	mark last
} > "$work/script.bt"
bpftrace -B line -p "$pid" "$work/script.bt" > "$work/out" 2> "$work/errors" &
tracer=$!
until grep -q '^first 20' "$work/out" && grep -q '^last 20' "$work/out"; do
	kill -0 $tracer 2> /dev/null || fail "bpftrace has ended"
	kill -0 $traced 2> /dev/null || fail "the host has ended"
	sleep 0.1
done
kill -INT $tracer
wait $tracer || fail "bpftrace failed"
tracer=''

# expect PATTERN...: lines that the script has printed, as extended regular expressions.
expect() {
	for pattern; do
		grep -Eq -e "$pattern" "$work/out" || fail "no line matches $pattern"
	done
}

case $script in
*/range_wait_times.bt)
	expect '^@wait_us\[' '^@failed_wait_us\[' '^ *waits_for_the_range\+' '^ *fail_to_wait\+' '^\[.*[0-9] \|@'
	;;
*/range_wait_for.bt)
	expect "^$waiter +$pid +$lock +\[5, 10\) WRITE\$" "^$waiter +$pid +$lock +\[6, 9\) READ\$" \
		"^@wait_us\[$waiter, $pid\]: count [1-9]"
	;;
*/mm_faults.bt)
	expect '^@faults_by_outcome_and_result\[0, 0\]: [1-9]' '^@faults_by_outcome_and_result\[1, 14\]: [1-9]' \
		'^@fallbacks_by_reason\[0\]: [1-9]' '^@tree_lock_held_ns' '^\[.*[0-9] \|@'
	;;
*/all.bt)
	expect "^entry $lock 5 10 1\$" "^acquired $lock 5 10 1\$" \
		"^entry $lock 6 9 0\$" "^failed $lock 6 9 0 110\$" "^release $lock 0 20 1\$" \
		"^bias $other 0 18446744073709551615\$" "^revoke $other 0 18446744073709551615 [1-9]" \
		"^split $other 0 [1-9][0-9]* 18446744073709551615\$"
	;;
*) fail "$script is not known" ;;
esac
exec 3>&-
wait $traced || fail "the host failed"
traced=''
