#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check.sh GENMC MODEL HARNESS [-D...]
# check.sh GENMC MODEL HARNESS [-D...] -w FILE SED
#
# Runs a harness under the model checker GenMC (v0.10.3), with MODEL rc11 or imm; with -w, after the
# source FILE has been changed by a sed expression. Nothing is written to the tree: the sources are
# copied, unchanged but for the number of wake-ups that are collected before the leaf is unlocked,
# 2 instead of 64, because each of them is an event in every execution.
set -eu

genmc=$1 model=$2 harness=$3
shift 3
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tests"
cp -r "$root/src" "$root/include" "$scratch"
cp -r "$root/tests/model" "$scratch/tests"
sed -i 's/\*state\[64\]/*state[2]/' "$scratch/src/range_lock/leaf.h"
options=
while [ $# -gt 0 ]; do
	if [ "$1" = -w ]; then
		cp "$scratch/$2" "$scratch/before"
		sed -i "$3" "$scratch/$2"
		if cmp -s "$scratch/$2" "$scratch/before"; then
			echo "$3 changes nothing in $2"
			exit 2
		fi
		shift 2
	else
		options="$options $1"
	fi
	shift
done
# Loops are recognised by the harnesses themselves, see platform/platform.c; the transformations
# that find them by paths through all inlined functions do not end.
# shellcheck disable=SC2086
"$genmc" "--$model" --check-liveness --disable-estimation --disable-spin-assume \
	--disable-function-inliner ${GENMC_OPTIONS:-} -- -std=c11 -D_POSIX_C_SOURCE=200809L \
	-D_DEFAULT_SOURCE -DMODEL_GENMC $options -I"$scratch/tests/model" -I"$scratch/src" \
	-I"$scratch/include" "$scratch/tests/model/$harness.c"
