#!/bin/sh
# SPDX-License-Identifier: MIT
# contract.sh TREE: checks that CONTRACT.md is complete, and that each test that it names exists.
set -eu
cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() {
	awk -f tests/contract.awk include/mmrange/range_lock.h include/mmrange/mm.h \
		include/mmrange/version.h "$work/tests" "$1"
}

refuse() {
	if check "$work/broken.md" > "$work/said"; then
		echo "$1 was not found"
		exit 1
	fi
}

for file in tests/*/*.c tests/*/*.cc; do
	name=$(basename "${file%.*}")
	sed -n "s/^TEST([a-z_]*, \([a-z_0-9]*\)).*/$name:\1/p" "$file"
done > "$work/tests"
# Tests without the test runner have names in CMake, with a dot for a prefix.
find tests bench tools -name CMakeLists.txt -exec sed -n \
	's/^ *package_test(\([^ $]*\) .*/package.\1/p; s/^ *spin_model(\([^ ]*\) .*/model.\1/p; s/^ *race_test(\([^ $]*\) .*/race.\1/p; s/^ *race_twin(\([^ $]*\) .*/race.twin.\1/p; s/^ *add_test(NAME \([^ $]*\) .*/\1/p' \
	{} + >> "$work/tests"
find tests -name '*.c' -o -name '*.cc' -o -name '*.sh' -o -name '*.cmake' | sort >> "$work/tests"

check tests/CONTRACT.md

# The check finds each kind of mistake.
awk '!done && /^\|/ && sub(/`[a-z_]*:[a-z_0-9]*`/, "`range_lock:there_is_no_such_test`") { done = 1 } 1' \
	tests/CONTRACT.md > "$work/broken.md"
refuse "a test that does not exist"
sed '/^### .*`range_unlock()`/d' tests/CONTRACT.md > "$work/broken.md"
refuse "a function without an entry"
{ cat tests/CONTRACT.md; echo '| it is fast | |'; } > "$work/broken.md"
refuse "a promise without a test"
