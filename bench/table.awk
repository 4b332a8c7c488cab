# SPDX-License-Identifier: MIT
#
# table.awk - rates.csv as a table of millions of lock+unlock pairs per second, and of what readers
# and writers got of them where threads are one or the other, or ranges are short.
BEGIN {
	FS = ","
}

FNR == 1 {
	for (i = 1; i <= NF; i++)
		column[$i] = i
	next
}

{
	row = sprintf("%-22s %7d", $1, $3)
	if (!(row in known)) {
		known[row] = $1
		rows[++nr_rows] = row
	}
	if (!($2 in is_lock)) {
		is_lock[$2] = 1
		locks[++nr_locks] = $2
	}
	rates[row, $2] = million($column["pairs_per_second"])
	sides[row, $2] = million($column["reads_per_second"]) " " million($column["writes_per_second"])
}

function million(rate) {
	return rate == "" ? "-" : sprintf("%.3f", rate / 1e6)
}

function cell(text) {
	printf " %15s", (text == "" ? "-" : text)
}

function heading(what,   i) {
	printf "\n%s\n\n%-22s %7s", what, "workload", "threads"
	for (i = 1; i <= nr_locks; i++)
		cell(locks[i])
	printf "\n"
}

function lines(cells, pattern,   r, i) {
	for (r = 1; r <= nr_rows; r++) {
		if (known[rows[r]] !~ pattern)
			continue
		printf "%s", rows[r]
		for (i = 1; i <= nr_locks; i++)
			cell(cells[rows[r], locks[i]])
		printf "\n"
	}
}

END {
	heading("millions of lock+unlock pairs per second")
	lines(rates, "")
	heading("of these, reads and writes where a thread does one or the other, and of short ranges")
	lines(sides, "(_t[0-9]+|^short_w[15]0)$")
}
