#!/bin/sh
# SPDX-License-Identifier: MIT
#
# quickstart.sh run     replays the recorded memory activity of two real programs, and prints the outcome
# quickstart.sh test    builds in every configuration and runs the tests; the last line is "N passed, N failed"
# quickstart.sh bench   measures the lock against others for ten minutes, prints rates and which bounds are
#                       met, and leaves JSON and plots in build/release/report; "bench full": for hours
#
# On Debian and Ubuntu, packages that are missing are installed first; elsewhere they are named.
set -eu

cd "$(dirname "$0")/.."

# What each mode (run, test, bench) needs: a command, or a header; and the package it is in. "-":
# there is none.
#      needed               modes          apt              dnf                    pacman    apk           brew
tools='gcc                  run,test,bench gcc              gcc                    gcc       gcc           gcc
       g++                  run,test,bench g++              gcc-c++                gcc       g++           gcc
       stdio.h              run,test,bench libc6-dev        glibc-devel            glibc     musl-dev      -
       cmake                run,test,bench cmake            cmake                  cmake     cmake         cmake
       ninja                run,test,bench ninja-build      ninja-build            ninja     samurai       ninja
       benchmark/benchmark.h    test,bench libbenchmark-dev google-benchmark-devel benchmark benchmark-dev google-benchmark
       python3                  test,bench python3          python3                python    python3       python3
       pkg-config               test,bench pkg-config       pkgconf-pkg-config     pkgconf   pkgconf       pkgconf
       ck_rwlock.h                   bench libck-dev        ck-devel               -         -             concurrencykit
       gnuplot                       bench gnuplot-nox      gnuplot                gnuplot   gnuplot       gnuplot
       qemu-x86_64              test,bench qemu-user        qemu-user              qemu-user qemu-x86_64   -
       sys/sdt.h                test       systemtap-sdt-dev systemtap-sdt-devel -         -             -
       bpftrace                 test       bpftrace         bpftrace               bpftrace  bpftrace      -
       clang-format             test       clang-format     clang-tools-extra      clang     clang-extra-tools clang-format
       spin                     test       spin             -                      -         -             spin
       criterion/criterion.h    test       libcriterion-dev -                      criterion -             criterion
       clang                    test       clang            clang                  clang     clang         llvm
       valgrind                 test       valgrind         valgrind               valgrind  valgrind      -'

usage() {
	sed -n '/^# quickstart/,/^#$/s/^# //p' cmake/quickstart.sh
	exit 2
}

say() {
	printf '\n==> %s\n' "$*"
}

have() {
	case $1 in
	*.h) echo "#include <$1>" | g++ -E -x c++ - > /dev/null 2>&1 ;;
	*) command -v "$1" > /dev/null ;;
	esac
}

# missing MODE: the lines of the table for what is not there.
missing() {
	echo "$tools" | while read -r needed modes packages; do
		case $modes in *$1*) have "$needed" || echo "$needed $packages" ;; esac
	done
}

# packages LINES COLUMN: the packages to install.
packages() {
	echo "$1" | awk -v column="$2" '$column != "-" && !seen[$column]++ { printf " %s", $column }'
}

apt_install() {
	if [ "$(id -u)" -eq 0 ]; then
		root=
	elif command -v sudo > /dev/null; then
		root=sudo
	else
		echo "To install what is missing, run as root:"
		echo "apt-get update && apt-get install -y --no-install-recommends $*"
		exit 1
	fi
	say "installing $*"
	$root env DEBIAN_FRONTEND=noninteractive apt-get update
	$root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# prepare MODE: sees to it that the tools are there.
prepare() {
	lines=$(missing "$1")
	[ -n "$lines" ] || return 0
	if command -v apt-get > /dev/null; then
		# The packages are a list of words.
		# shellcheck disable=SC2046
		apt_install $(packages "$lines" 2)
	else
		echo "Missing:$(packages "$lines" 1). Packages:"
		echo "  dnf install$(packages "$lines" 3)"
		echo "  pacman -S$(packages "$lines" 4)"
		echo "  apk add$(packages "$lines" 5)"
		echo "  brew install$(packages "$lines" 6)"
	fi
	for tool in gcc g++ cmake ninja; do
		have "$tool" || { echo "It cannot go on without $tool." && exit 1; }
	done
}

run() {
	say "building"
	cmake --preset release
	cmake --build --preset release --target mmrange-replay
	say "replaying, ten times with each lock"
	build/release/tools/replay/mmrange-replay --repeat 10 tools/replay/traces/*.mmtrace
}

bench() {
	say "building"
	cmake --preset release
	cmake --build --preset release --target tools/all bench/all
	say "counting cache-line transfers on simulated cores"
	mkdir -p build/release/report
	sh bench/coherence/run.sh build/release build/release/report/coherence.csv || [ $? -eq 77 ]
	say "measuring"
	python3 bench/measure.py report ${1:+"--$1"}
	say "measuring address spaces and the replay"
	python3 bench/measure.py bounds mm replay
}

passed=0
failed=0
summary=
failures=

# count RESULTS STATUS: adds up what ctest wrote, shows what was skipped, and notes the names of the
# tests that failed. What neither passed nor was skipped failed, and a ctest that fails has a failure
# to show.
count() {
	ran=$(grep -c '<testcase ' "$1") || :
	good=$(grep -c '<testcase .* status="run"' "$1") || :
	skipped=$(grep -c '<skipped message="SKIP_' "$1") || :
	bad=$((ran - good - skipped))
	if [ "$2" -ne 0 ] && [ "$bad" -eq 0 ]; then
		bad=1
	fi
	failures=$failures$(sed -n "s|.*<testcase name=\"\([^\"]*\)\".*status=\"fail\".*|$name: \1 failed;|p" "$1")
	awk '/<testcase / { test = $0 } /<skipped message="SKIP_/ { print test; show = 1 } show
	     /<\/testcase>/ { show = 0 }' "$1"
}

# configuration NAME EXCLUDED CMAKE_ARGUMENT...: builds in build/NAME, and runs the tests but for
# the labels EXCLUDED.
configuration() {
	name=$1 excluded=$2 start=$(date +%s) good=0 bad=1 skipped=0
	shift 2
	say "$name: building"
	if cmake -B "build/$name" -DMMRANGE_WERROR="$werror" "$@" && cmake --build "build/$name"; then
		say "$name: testing"
		results=$PWD/build/$name/results.xml
		rm -f "$results"
		status=0
		$runner ctest --test-dir "build/$name" --output-on-failure --no-tests=error -LE "$excluded" \
			-j "$jobs" --output-junit "$results" || status=$?
		if [ -e "$results" ]; then
			count "$results" "$status"
		fi
	fi
	passed=$((passed + good))
	failed=$((failed + bad))
	summary="$summary
$(printf '%-12s %4d passed %4d failed %4d skipped %5d s' "$name" "$good" "$bad" "$skipped" $(($(date +%s) - start)))"
}

run_tests() {
	werror=OFF
	if [ "${CI:-}" ]; then
		werror=ON
	fi
	jobs=$(getconf _NPROCESSORS_ONLN)
	runner=

	configuration release 'soak' --preset release
	configuration clang 'soak|torture|package|model|oracle|scaling' --preset release \
		-DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++
	configuration debug 'soak|torture|package|model|oracle' --preset debug
	configuration posix 'soak|package|model|oracle' --preset posix
	# The sanitizers of some compilers do not know addresses as random as newer kernels make
	# them.
	if setarch "$(uname -m)" -R true 2> /dev/null; then
		runner="setarch $(uname -m) -R"
	fi
	configuration asan-ubsan 'soak|torture|package|model' --preset asan-ubsan
	configuration tsan 'soak|package|model' --preset tsan
	runner=
	configuration valgrind 'soak|torture|property|package|bench|replay|example|model' --preset valgrind

	say "summary"
	echo "$summary"
	echo "$failures" | tr ';' '\n'
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}

case ${1:-} in
run)
	prepare run
	run
	;;
bench)
	case ${2:-} in '' | full) ;; *) usage ;; esac
	prepare bench
	bench "${2:-}"
	;;
test)
	prepare test
	run_tests
	;;
*)
	usage
	;;
esac
