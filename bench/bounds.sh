#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bounds.sh BUILD_DIR
# bounds.sh --from RATES.json [COHERENCE.csv]
#
# Prints which of the bounds that the project has set itself are met: of what it measures, in about
# three minutes, and of BUILD_DIR/report/coherence.csv if it is there; or of what was measured before.
#
# Rates are medians of the interleaved repetitions of one run. A bound that is missed is said,
# and is no error; the exit status is not 0 if the benchmark could not run, or if a lock did not
# exclude.
set -eu

here=$(dirname "$0")
bounds=bounds.awk
duration='three minutes'
options=--latency_ms=100
repetitions=7
seconds=0.15
filter='^(lock/(uncontended_(write|read)/(mmrange|pthread_rwlock)/.*'
filter="$filter|held/(10|1000)/(mmrange|tree_spinlock)/.*|held/1000000/mmrange/.*"
filter="$filter|own_w100/mmrange/.*:(1|2|16|64)|own_w100/tree_spinlock/.*:2"
filter="$filter|own1full_w100/mmrange/.*:(2|16|64)"
filter="$filter|short_w(10|50|100)/(mmrange|pthread_rwlock|pthread_mutex)/.*:(2|8|32)"
filter="$filter|short_w(10|50|100)/tree_spinlock/.*:2"
filter="$filter|(slot|share)_w100/(mmrange|pthread_rwlock|pthread_mutex)/.*:(2|64)"
filter="$filter|full_w100/(mmrange|pthread_rwlock)/.*:(2|4|16|64)"
filter="$filter|random_w100/(mmrange|pthread_rwlock)/.*:(2|16|64)"
filter="$filter|(full|random)_w40/mmrange/.*:(2|16|64)"
filter="$filter|(full|random)_w40/(pthread_rwlock/.*:2|pthread_mutex/.*:(16|64))"
filter="$filter|shared_read/(mmrange|pthread_rwlock)/.*:(2|64))"
filter="$filter|latency/full_over_(leaves|biased)/mmrange/.*)\$"

# shellcheck source=bench/judge.sh
. "$here/judge.sh"
