# SPDX-License-Identifier: MIT
#
# replay_bounds.awk - after results.awk and judge.awk: the bounds of the replay that this project has set itself. Of
# mmrange-replay's JSON, it needs the order of the keys: a trace, then its locks, each with what was
# measured.

# The number behind "key": in the line; "" if there is none.
function number(key,   text) {
	if (!match($0, "\"" key "\": [0-9.]+"))
		return ""
	text = substr($0, RSTART, RLENGTH)
	sub(/.*: /, "", text)
	return text + 0
}

match($0, /"trace": "[^"]*"/) {
	trace = substr($0, RSTART + 10, RLENGTH - 11)
	lock = ""
}

match($0, /"lock": "[^"]*"/) {
	lock = substr($0, RSTART + 9, RLENGTH - 10)
}

lock != "" && number("seconds") != "" {
	seconds[trace, lock] = number("seconds")
}

lock != "" && number("speculative_share") != "" {
	share[trace, lock] = number("speculative_share")
}

# Of one program; the share is known to a millionth.
function bounds(trace) {
	at_least(trace ": rate, speculative / rwlock",
		 ratio(seconds[trace, "rwlock"], seconds[trace, "speculative"]), 1)
	at_least(trace ": faults in present tables served with no lock, per cent",
		 (trace, "speculative") in share ? share[trace, "speculative"] * 100 : "", 99)
}

END {
	heading()
	bounds("javac")
	bounds("node")
	sum_up()
}
