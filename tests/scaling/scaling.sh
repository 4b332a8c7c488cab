#!/bin/sh
# SPDX-License-Identifier: MIT
#
# scaling.sh COHERENCE_DIR PLUGIN TOY SCALING [ARGUMENT...] - runs it on simulated cores. Exits with 77
# where it cannot run, with its reason. COHERENCE_DIR has qemu.sh.
set -eu

. "$1/qemu.sh"
plugin=$2
reason=$(why_not "$plugin" "$3")
if [ "$reason" ]; then
	echo "SKIPPED: $reason"
	exit 77
fi
shift 3
# The threads share next to nothing once they are warm, so that they may run far ahead of each other.
exec qemu-x86_64 -plugin "$plugin,window=10000" "$@"
