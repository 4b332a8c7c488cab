#!/bin/sh
# SPDX-License-Identifier: MIT
#
# detect.sh DETECTOR COMPILER SOURCES INCLUDE CHECK LINK... - builds the host in the folder SOURCES,
# with the headers in INCLUDE, and links it to LINK, a library that is not instrumented. DETECTOR is
# tsan (ThreadSanitizer), helgrind or drd. CHECK says what has to be true:
#
#   exact          the detector reports no ordered scene, and each racing scene
#   reports:SCENE  it reports SCENE. LINK has a fault, or an ordered scene would not be reported.
#   misses:SCENE   it does not report SCENE. LINK has a fault, as above.
#   mm:FOLDER      it reports nothing in mm_host.c, with the suppressions of this folder
#
# Exits with 77 and a reason where the detector does not run.
set -eu

detector=$1 compiler=$2 sources=$3 include=$4 check=$5
shift 5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

skip() {
	echo "SKIPPED: $*"
	exit 77
}

# The sanitizers of some compilers do not know addresses as random as newer kernels make them.
fixed=
if setarch "$(uname -m)" -R true 2> /dev/null; then
	fixed="setarch $(uname -m) -R"
fi

command -v "$compiler" > /dev/null || skip "there is no $compiler"
suppressions=$sources/stage.supp
case $check in
mm:*)
	suppressions=${check#mm:}/valgrind.supp
	tsan_options=suppressions=${check#mm:}/tsan.supp
	files=$sources/mm_host.c
	;;
*)
	tsan_options=
	files="$sources/host.c $sources/stage.c $sources/ordered.c $sources/racing.c"
	;;
esac
case $detector in
tsan)
	flags=-fsanitize=thread
	run="env TSAN_OPTIONS=exitcode=66:$tsan_options $fixed"
	echo 'int main(void) { return 0; }' > "$work/empty.c"
	"$compiler" $flags -o "$work/empty" "$work/empty.c" 2> "$work/said" && $run "$work/empty" ||
		skip "a program of $compiler does not run with ThreadSanitizer"
	;;
*)
	flags=
	run="valgrind -q --tool=$detector --fair-sched=yes --error-exitcode=66 --suppressions=$suppressions"
	command -v valgrind > /dev/null || skip "valgrind is not installed (Debian: valgrind)"
	echo '#include <valgrind/helgrind.h>' | "$compiler" -E -x c - > "$work/said" 2>&1 ||
		skip "the library was built without Valgrind's headers"
	;;
esac

first=$1
# The file names and options are lists of words.
# shellcheck disable=SC2086
"$compiler" -std=c11 -D_GNU_SOURCE -gdwarf-4 -O1 $flags -I "$include" -o "$work/host" $files "$@" \
	-Wl,-rpath,"$(dirname "$first")" -pthread

# reported SCENE...: whether the detector reports something in these scenes.
reported() {
	status=0
	# shellcheck disable=SC2086
	$run "$work/host" "$@" > "$work/said" 2>&1 || status=$?
	case $status in
	0) grep -qx done "$work/said" || stop "the host did not come to its end" ;;
	66) return 0 ;;
	*) stop "the host failed with $status" ;;
	esac
	return 1
}

stop() {
	cat "$work/said"
	echo "FAILED: $*"
	exit 1
}

case $check in
exact)
	if reported all; then
		stop "a false report"
	fi
	racing=$("$work/host" racing)
	for scene in $racing; do
		reported "$scene" || stop "no report of $scene"
	done
	echo "no false report; each of these was reported:" $racing
	;;
reports:*)
	reported "${check#*:}" || stop "no report of ${check#*:}"
	;;
misses:*)
	if reported "${check#*:}"; then
		stop "a report of ${check#*:}"
	fi
	;;
mm:*)
	if reported; then
		stop "a report"
	fi
	if [ "$detector" != tsan ]; then
		run="valgrind -q --tool=$detector --fair-sched=yes --error-exitcode=66"
		reported || reported || reported || stop "the suppressions suppress nothing"
	fi
	;;
esac
