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
"$cc" -O2 -w -DSAFETY -DMEMLIM=512 -o pan pan.c
# -m: no path is cut off, or there is an error; -E is not given: who sleeps for ever is an error.
./pan -m20000 -b > said 2>&1 || :
cat said
# A search that ended because of its bounds has said nothing.
if grep -q -e 'max search depth too small' -e 'out of memory' -e 'Search not completed' -e 'reached -DMEMLIM' said &&
	! grep -q 'errors: 1' said; then
	exit 1
fi
case $expected in
holds) grep -q 'errors: 0' said ;;
refuted) grep -q -e 'assertion violated' -e 'invalid end state (' said ;;
esac
