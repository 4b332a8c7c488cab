#!/bin/sh
# SPDX-License-Identifier: MIT
# check.sh PROGRAM EXPECTED: the program succeeds, and prints what is in the file EXPECTED.
set -eu

output=$("$1")
echo "$output" | diff "$2" -
