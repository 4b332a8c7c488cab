#!/bin/sh
# SPDX-License-Identifier: MIT reserved_names.sh HEADER...: the headers have no name of their own with
# two underscores in a row. C++ reserves these names for its implementation ([lex.name]).
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Prints each such name of the headers $@, but for what compilers give to programs. Names in comments
# and strings are not declared. All branches of #if count, whatever compiler runs the test.
reserved_names() {
	awk '
	FNR == 1 { comment = 0 }
	{
		line = $0
		gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
		code = ""
		while (line != "") {
			end = comment ? index(line, "*/") : match(line, /\/[*\/]/)
			if (!comment)
				code = code " " (end ? substr(line, 1, end - 1) : line)
			if (!end || (!comment && substr(line, end, 2) == "//"))
				break
			line = substr(line, end + 2)
			comment = !comment
		}
		while (match(code, /[A-Za-z_][A-Za-z_0-9]*/)) {
			name = substr(code, RSTART, RLENGTH)
			code = substr(code, RSTART + RLENGTH)
			if (name ~ /__/ && name !~ /^__(attribute__|cplusplus|GNUC__|clang__|has_include|cpp_[a-z_]+)$/)
				print FILENAME ":" FNR ": " name
		}
	}' "$@"
}

# The check finds what it is for, and nothing else.
cat > "$work/bad.h" << 'end'
struct bad__tag { /* one comment */ int field; };
/* over
 * lines */ void bad__function(void);
#define BAD__MACRO 1 // and another__comment
end
cat > "$work/good.h" << 'end'
/* struct range__leaf, and
 * range__forest */
#ifdef __cplusplus
extern "C__" int single_underscore(void) __attribute__((unused)); // range__slot
#endif
end
test "$(reserved_names "$work/bad.h" | sed 's/.*: //' | tr '\n' ' ')" = "bad__tag bad__function BAD__MACRO "
test -z "$(reserved_names "$work/good.h")"

reserved_names "$@" > "$work/found"
cat "$work/found"
test ! -s "$work/found"
