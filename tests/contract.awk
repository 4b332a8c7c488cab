# SPDX-License-Identifier: MIT
#
# awk -f contract.awk HEADER.. TESTS CONTRACT.md: checks that each function of the headers has an entry
# in CONTRACT.md, that each entry names a function of a header, that each promise has a test, and that
# each named test exists. TESTS lists the existing tests, one a line: FILE:NAME, the name of a ctest, or
# a path.

function complain(text) {
	print FILENAME ":" FNR ": " text
	bad = 1
}

# A declaration may go over several lines. Its name comes before the first parenthesis, which need not
# be on the first line.
FILENAME ~ /\.h$/ && /^MMRANGE_API / {
	name = $0
	while (name !~ /\(/ && (getline line) > 0)
		name = name " " line
	sub(/\(.*/, "", name)
	sub(/.*[ *]/, "", name)
	declared[name] = FILENAME
	functions++
	next
}

FILENAME ~ /tests$/ {
	exists[$1] = 1
	next
}

FILENAME ~ /\.md$/ && /^#/ {
	while (match($0, /`[a-z_]+\(\)`/)) {
		name = substr($0, RSTART + 1, RLENGTH - 4)
		if (!(name in declared))
			complain(name "() is in no header")
		entry[name] = 1
		$0 = substr($0, RSTART + RLENGTH)
	}
	next
}

FILENAME ~ /\.md$/ && /^\|/ && !/^\| promise/ && !/^\|-/ {
	n = split($0, cells, "|")
	promises++
	found = 0
	text = cells[n - 1]
	while (match(text, /`[^`]*`/)) {
		name = substr(text, RSTART + 1, RLENGTH - 2)
		if (!(name in exists))
			complain("there is no test " name)
		found++
		text = substr(text, RSTART + RLENGTH)
	}
	if (n != 4)
		complain("a line of the table has two cells")
	if (!found)
		complain("a promise has no test")
	references += found
}

END {
	for (name in declared)
		if (!(name in entry)) {
			print declared[name] ": " name "() has no entry"
			bad = 1
		}
	if (!functions || !promises) {
		print "nothing was found"
		bad = 1
	}
	printf "%d functions, %d promises, %d references to tests\n", functions, promises, references
	exit bad
}
