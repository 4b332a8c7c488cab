#!/bin/sh
# SPDX-License-Identifier: MIT
# command_lines.sh MMRANGE_TRACE MMRANGE_REPLAY DIRECTORY
#
# Tests the two programs from outside: what they print, where, and how they exit.
trace=$1
replay=$2
directory=$3
failures=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# expect STATUS STREAM TEXT COMMAND...: it exits so, and has the text on that stream (out, err).
expect()
{
	status=$1
	stream=$2
	text=$3
	shift 3
	"$@" >"$work/out" 2>"$work/err" </dev/null
	actual=$?
	if [ $actual -ne "$status" ] || ! grep -qF -e "$text" "$work/$stream"; then
		echo "failed: $* exited with $actual, not $status, or std$stream has no \"$text\":"
		cat "$work/out" "$work/err"
		failures=$((failures + 1))
	fi
}

cat >"$work/text" <<'END'
1/1 1.000000001: sched:sched_process_exec: filename=/usr/bin/small pid=1 old_pid=1
1/1 1.000000002: syscalls:sys_enter_mmap: addr: 0x0, len: 0x2000, prot: 0x3, flags: 0x22, fd: 0xffffffff, off: 0x0
1/1 1.000000003: syscalls:sys_exit_mmap: 0x100000
1/1 1.000000004: exceptions:page_fault_user: address=0x100000 ip=0x1 error_code=0x6
1/2 1.000000005: exceptions:page_fault_user: address=0x101000 ip=0x1 error_code=0x6
a line of another shape
END
cp "$work/text" "$work/cut"
printf '1/1 1.0000' >>"$work/cut"
echo "nothing of use" >"$work/nothing"

expect 0 out "usage: mmrange-trace" "$trace" --help
expect 2 err "usage: mmrange-trace" "$trace"
expect 2 err "usage: mmrange-trace" "$trace" one
expect 2 err "usage: mmrange-trace" "$trace" one two three
expect 2 err "usage: mmrange-trace" "$trace" --what "$work/x"
expect 1 err "$work/missing" "$trace" "$work/missing" "$work/x"
expect 1 err "$work" "$trace" "$work" "$work/x"
expect 1 err "middle of line 7" "$trace" "$work/cut" "$work/x"
expect 1 err "none of its 1 lines" "$trace" "$work/nothing" "$work/x"
expect 1 err "none of its 0 lines" "$trace" - "$work/x"
expect 1 err "$work/no/x" "$trace" "$work/text" "$work/no/x"
if [ -e "$work/x" ]; then
	echo "failed: a file is left of a conversion that failed"
	failures=$((failures + 1))
fi
expect 0 err "3 operations of 2 threads of small" "$trace" "$work/text" "$work/trace"
expect 0 err "1  line of another shape" "$trace" "$work/text" "$work/trace"

expect 0 out "usage: mmrange-replay" "$replay" --help
expect 2 err "usage: mmrange-replay" "$replay"
expect 2 err "--lock: no" "$replay" --lock no "$work/trace"
expect 1 err "$work/missing" "$replay" "$work/missing"
expect 1 err "not a trace" "$replay" "$work/text"
expect 0 out "small: 2 threads, 3 operations" "$replay" "$work/trace"
expect 0 out '"recorded_threads": 2' "$replay" --json --repeat 2 --threads 1 "$work/trace" "$work/trace"
head -c 20 "$work/trace" >"$work/short"
expect 1 err "damaged or cut" "$replay" "$work/short"
if [ -e /dev/full ]; then
	for option in --json --repeat=1; do
		"$replay" $option "$work/trace" >/dev/full 2>"$work/err"
		if [ $? -ne 1 ]; then
			echo "failed: a full device goes unnoticed"
			failures=$((failures + 1))
		fi
	done
fi

expect 2 err "usage: record.sh" sh "$directory/record.sh"
exit $((failures > 0))
