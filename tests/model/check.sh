#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check.sh GENMC MODEL HARNESS [-D...]
# check.sh GENMC MODEL HARNESS [-D...] -w FILE SED
#
# Runs a harness under the model checker GenMC (v0.10.3), with MODEL rc11 or imm; with -w, after the
# source FILE has been changed by a sed expression. Nothing is written to the tree: the sources are
# copied, unchanged but for some sizes, because each access is an event in every execution: the number
# of wake-ups that are collected before the leaf is unlocked is 2 instead of 64, that of threads with
# slots 4, that of entries of a TLB 2, that of a page table 2, and lines are 8 bytes. A chunk has 16
# pages. A border node has 7 slots, and an interior node 4; a reader of a
# border node tries twice. What a thread remembers of address spaces is common to all, as GenMC knows no arrays that are
# a thread's own; one thread at most uses it.
#
# Needs clang-14, which GenMC is for; its headers are looked for beside GENMC, where it was built.
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
sed -i 's/\(BLOCK_GROUPS =\) 1024/\1 4/; s/\(MOST_BLOCKS =\) 4096/\1 1/' "$scratch/src/range_lock/slots.c"
mm=$scratch/src/mm
sed -i 's/MMRANGE__THREAD_LOCAL \(struct mm__remembered\)/\1/' "$mm/attach.h" \
	"$scratch/tests/model/mm.h"
sed -i 's/\(MM__TLB_ENTRIES \)64u/\12u/' "$mm/thread.h"
sed -i 's/\(MM__TABLE_ENTRIES \)512u/\12u/' "$mm/page_table.h"
sed -i 's/\(MM__LINE_SHIFT \)6u/\13u/; s/\(MM__CHUNK_FRAMES \)508u/\112u/
	s/\(MM__CHUNK_SIZE .*\) 21/\1 16/' "$mm/frames.h"
sed -i 's/\(BORDER_SLOTS *\)15u/\17u/; s/\(INTERIOR_SLOTS *\)64u/\14u/' "$mm/vma_node.h"
sed -i 's/\(READ_TRIES *\)64u/\11u/' "$mm/vma_read.c"
# The checker takes it for an error to read what was not written, though it is not used.
# Too large for two registers, in which they would be returned as two words.
sed -i '/^struct range__obstacle {/,/^}/s/^}/	void *unused;\n}/' "$scratch/src/range_lock/queue.h"
sed -i 's/\(struct range__obstacle obstacle\) = { NULL, NULL };/\1;\n\n	obstacle.range = NULL;\n	obstacle.leaf = NULL;\n	obstacle.unused = NULL;/' \
	"$scratch/src/range_lock/queue.c"
sed -i '/^struct mm__vma_needs {/,/^}/s/\(unsigned int\|uint32_t\) /uint64_t /' "$mm/vma_tree.h"
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
# shellcheck disable=SC2086
clang-14 -S -emit-llvm -g -O1 -Xclang -disable-llvm-passes -std=c11 -D_POSIX_C_SOURCE=200809L \
	-D_DEFAULT_SOURCE -DMODEL_GENMC -D__CONFIG_GENMC_INODE_DATA_SIZE=64 \
	-I"$(dirname "$genmc")/include" $options -I"$scratch/tests/model" -I"$scratch/src" \
	-I"$scratch/include" -o "$scratch/harness.ll" "$scratch/tests/model/$harness.c"
awk -f "$root/tests/model/copies.awk" "$scratch/harness.ll" "$scratch/harness.ll" \
	> "$scratch/copies.ll"
# Loops are recognised by the harnesses themselves, see platform/platform.c; the transformations
# that find them by paths through all inlined functions do not end. Jump threading of loops knows no
# addresses of variables in conditions.
# shellcheck disable=SC2086
"$genmc" "--$model" --check-liveness --disable-estimation --disable-spin-assume \
	--disable-function-inliner --disable-loop-jump-threading --disable-warn-on-unfreed-memory \
	--input-from-bitcode-file ${GENMC_OPTIONS:-} -- "$scratch/copies.ll"
