#!/bin/sh
# SPDX-License-Identifier: MIT
# readme.sh README SOURCE: the first block of C in README is the file SOURCE.
set -eu

awk '/^```c$/ && !n++ { inside = 1; next } /^```$/ { inside = 0 } inside' "$1" | diff - "$2"
