#!/bin/sh
# SPDX-License-Identifier: MIT
# record.sh [-o OUTPUT] PROGRAM [ARGUMENT...]
#
# Records what a program does to its address space, as text for mmrange-trace (OUTPUT, default
# PROGRAM.perf.txt). Needs perf, and root or the right to use tracepoints.
usage="usage: record.sh [-o OUTPUT] PROGRAM [ARGUMENT...]"

fail()
{
	echo "record.sh: $*" >&2
	exit 1
}

output=
if [ "$1" = -o ]; then
	[ $# -ge 3 ] || { echo "$usage" >&2; exit 2; }
	output=$2
	shift 2
fi
case $1 in
'' | -*)
	echo "$usage" >&2
	exit 2
	;;
esac
program=$1
[ -n "$output" ] || output=$(basename "$program").perf.txt

command -v perf >/dev/null || fail "perf is not installed (Debian: linux-perf; Fedora: perf)"
command -v "$program" >/dev/null || fail "$program: no such program"

# perf reads the description of events from tracefs.
tracefs=
for directory in /sys/kernel/tracing /sys/kernel/debug/tracing; do
	if [ -r $directory/events/exceptions/page_fault_user/id ]; then
		tracefs=$directory
		break
	fi
done
if [ -z "$tracefs" ]; then
	if [ "$(id -u)" -ne 0 ]; then
		fail "the tracepoints cannot be read: run this as root"
	elif [ -d /sys/kernel/tracing/events ]; then
		fail "this kernel has no tracepoint exceptions:page_fault_user (x86 has it)"
	else
		fail "tracefs is not mounted: mount -t tracefs tracefs /sys/kernel/tracing"
	fi
fi
[ -d $tracefs/events/syscalls ] || fail "this kernel has no tracepoints of system calls (CONFIG_FTRACE_SYSCALLS)"

set -- -- "$@"
for event in sched:sched_process_exec sched:sched_process_fork; do
	set -- -e $event "$@"
done
for call in madvise mremap brk mprotect munmap mmap; do
	set -- -e syscalls:sys_enter_$call -e syscalls:sys_exit_$call "$@"
done

data=$(mktemp) || exit 1
text=$(mktemp) || exit 1
trap 'rm -f "$data" "$data.err" "$text"' EXIT
trap 'exit 1' INT TERM HUP

perf record -k CLOCK_MONOTONIC -m 4096 -o "$data" -e exceptions:page_fault_user "$@"
status=$?
[ -s "$data" ] || fail "perf recorded nothing (it exited with $status)"
if ! perf script -i "$data" --ns -F pid,tid,time,event,trace >"$text" 2>"$data.err"; then
	cat "$data.err" >&2
	fail "perf script failed"
fi
[ -s "$text" ] || fail "perf recorded no events"
cp "$text" "$output" || exit 1
[ $status -eq 0 ] || echo "record.sh: $program exited with $status; what it did until then is recorded" >&2
echo "record.sh: $(grep -c . "$output") events in $output; now: mmrange-trace $output TRACE" >&2
