#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mm_bounds.sh BUILD_DIR
# mm_bounds.sh --from RATES.json [COHERENCE.csv]
#
# As bounds.sh, of address spaces: which of the bounds are met that the project has set itself.
#
# Each thread's mapping is smaller than will-it-scale's, so that 64 of them have room in memory; it is
# the same for all numbers of threads.
set -eu

here=$(dirname "$0")
bounds=mm_bounds.awk
duration='one minute'
repetitions=7
seconds=0.15
options=--mm_mib=32
filter='^mm/(page_fault1/(floor/.*|speculative/.*:(1|2|64)|rwlock/.*:2)'
filter="$filter|storm(_none)?/speculative/.*|mapbench_local/(range|rwlock)/.*:2"
filter="$filter|churn/10000/speculative/.*:2|areas/10(00000)?/speculative/.*)\$"

# shellcheck source=bench/judge.sh
. "$here/judge.sh"
