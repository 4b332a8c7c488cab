#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mm_bounds.sh BUILD_DIR [LIBRARY]
# mm_bounds.sh --from RATES.json [COHERENCE.csv]
#
# As bounds.sh, of address spaces: which of the bounds are met that the project has set itself. LIBRARY is
# the file of the library of version 0.1, which is measured in the same run; without it, the bounds that
# compare with that version are not measured.
#
# Beside what needs more than one processor stands what the machine allows in the same run: the same of
# threads that have a space each, and for storm, of a thread that only computes beside the one that faults.
#
# Each thread's mapping is smaller than will-it-scale's, so that 64 of them have room in memory; it is
# the same for all numbers of threads.
set -eu

here=$(dirname "$0")
bounds=mm_bounds.awk
before=--mm_before
duration='two minutes'
repetitions=7
seconds=0.15
options=--mm_mib=32
filter='^mm/(page_fault1/(floor/.*|speculative/.*:(1|2|64)|rwlock/.*:2)'
filter="$filter|page_fault[23]/speculative/.*:(1|2)"
filter="$filter|(mapbench_local|corten_(mmap|munmap|mmap_pf)_low)/(speculative/.*:(1|2)|before/.*:1)"
filter="$filter|(mmap1|mmap2|malloc1)_own/speculative/.*:(1|2)"
filter="$filter|mapbench_pipeline/speculative/.*:(1|2)"
filter="$filter|page_fault1/apart/.*:(2|64)|page_fault[23]/apart/.*:2"
filter="$filter|(mapbench_local|corten_(mmap|munmap|mmap_pf)_low|(mmap1|mmap2|malloc1)_own)/apart/.*:2"
filter="$filter|storm(_none|_busy)?/speculative/.*|mapbench_local/(range|rwlock)/.*:2"
filter="$filter|churn/10000/speculative/.*:2"
filter="$filter|areas/10(000)?/(speculative|before)/.*|areas/1000000/speculative/.*)\$"

# shellcheck source=bench/judge.sh
. "$here/judge.sh"
