#!/bin/sh
# SPDX-License-Identifier: MIT
#
# spin.sh SPIN CC MODEL.pml holds|refuted [-D...]: has SPIN look at every state that a model has, and
# expects it to find an error, or none. Prints what it said.
set -eu

spin=$1 cc=$2 model=$(realpath "$3") expected=$4
shift 4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$spin" -a "$@" "$model"
# Most models have so few states that the compiler would take longer than the search.
"$cc" -O0 -w -DSAFETY -DCOLLAPSE -DMEMLIM=512 -o pan pan.c
# -b: a path that is too long is an error; a thread that never wakes up always is.
./pan -m20000 -b > said 2>&1 || :
cat said
case $expected in
holds) grep -q 'errors: 0' said && ! grep -q 'Search not completed' said ;;
refuted) grep -q -e 'assertion violated' -e 'invalid end state (' said ;;
esac
