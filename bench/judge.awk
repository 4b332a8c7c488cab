# SPDX-License-Identifier: MIT
#
# judge.awk - for bounds.awk and mm_bounds.awk, after results.awk: whether a bound is met. What was
# not measured is never met.

# a / b, of numbers above 0; "" if one of them is missing.
function ratio(a, b) {
	return a > 0 && b > 0 ? a / b : ""
}

# What the machine allows is said beside the bound, and changes nothing; "" if it is not known.
function beside(measured, possible) {
	if (measured == "" || possible == "")
		return ""
	return sprintf("  of %.3f possible: %.0f %%", possible, 100 * measured / possible)
}

function row(what, measured, relation, bound, outcome, possible) {
	outcomes[outcome]++
	printf "%-62s %10s   %s %5.2f   %s%s\n", what,
		(measured == "" ? "-" : sprintf("%.3f", measured)), relation, bound, outcome,
		beside(measured, possible)
}

function at_least(what, measured, bound, possible) {
	row(what, measured, ">=", bound,
	    measured == "" ? "not measured" : measured >= bound ? "met" : "MISSED", possible)
}

function at_most(what, measured, bound) {
	row(what, measured, "<=", bound,
	    measured == "" ? "not measured" : measured <= bound ? "met" : "MISSED")
}

function heading() {
	printf "%-62s %10s   %8s\n", "", "measured", "bound"
}

function sum_up() {
	printf "\n%d met, %d MISSED, %d not measured\n", outcomes["met"], outcomes["MISSED"],
		outcomes["not measured"]
}

# The greatest number that was counted counts, times scale and, if per_core, over the cores. It is
# enough to miss the bound, but not to meet it without both the fewest and the most cores.
function greatest(workload, lock, fewest, most, bound, scale, per_core,   key, part, found, worst) {
	worst = ""
	for (key in counted) {
		split(key, part, SUBSEP)
		if (part[1] != workload || part[2] != lock || part[3] < fewest || part[3] > most)
			continue
		found = counted[key] * scale / (per_core ? part[3] : 1)
		if (worst == "" || found > worst)
			worst = found
	}
	if (worst != "" && worst <= bound &&
	    !((workload, lock, fewest) in counted && (workload, lock, most) in counted))
		worst = ""
	return worst
}

function transfers(what, workload, lock, fewest, most, bound) {
	at_most(what, greatest(workload, lock, fewest, most, bound, 1, 0), bound)
}

# workload,lock,cores,transfers_per_op, in any order.
FILENAME ~ /\.csv$/ {
	sub(/\r$/, "")
	split($0, field, ",")
	if (FNR == 1) {
		for (i in field)
			column[field[i]] = i
		next
	}
	name = field[column["workload"]]
	sub(/_w100$/, "", name)
	value = field[column["transfers_per_op"]]
	if (is_number(value))
		counted[name, field[column["lock"]], field[column["cores"]] + 0] = value + 0
}
