# SPDX-License-Identifier: MIT
#
# mm_bounds.awk - after judge.awk: the bounds of address spaces that this project has set itself.

function median_of(workload, mode, threads, counter) {
	return median("mm", workload, mode, threads, counter)
}

function rate(workload, mode, threads) {
	return median_of(workload, mode, threads, "items_per_second")
}

# The speculative rate of 2 threads over that of one. Threads that have a space each show what is possible.
function scales(workload, bound,   one) {
	one = rate(workload, "speculative", 1)
	at_least(workload ", speculative: rate of 2 threads / 1 thread",
		 ratio(rate(workload, "speculative", 2), one), bound,
		 ratio(rate(workload, "apart", 2), one))
}

# The speculative rate of one thread over that of version 0.1.
function improves(workload, bound) {
	at_least(workload ", speculative, 1 thread: rate / 0.1's",
		 ratio(rate(workload, "speculative", 1), rate(workload, "before", 1)), bound)
}

# Of an operation on a place of its own.
function shares_nothing(workload) {
	transfers(workload ", speculative, 2 to 64 cores: transfers", workload, "speculative", 2, 64, 0.1)
}

# A number times a constant; "" if it is missing.
function scaled(number, factor) {
	return number == "" ? "" : number * factor
}

END {
	heading()
	at_most("page_fault1, speculative: time / floor's",
		ratio(rate("page_fault1", "floor", 1), rate("page_fault1", "speculative", 1)), 1.25)
	scales("page_fault1", 1.8)
	at_least("page_fault1, 2 threads: rate, speculative / rwlock",
		 ratio(rate("page_fault1", "speculative", 2), rate("page_fault1", "rwlock", 2)), 2.5)
	at_least("page_fault1, speculative: rate of 64 threads / 2 threads",
		 ratio(rate("page_fault1", "speculative", 64), rate("page_fault1", "speculative", 2)), 0.9,
		 ratio(rate("page_fault1", "apart", 64), rate("page_fault1", "apart", 2)))
	scales("page_fault2", 1.7)
	scales("page_fault3", 1.5)
	scales("mapbench_local", 1.7)
	scales("corten_mmap_low", 1.7)
	scales("corten_munmap_low", 1.7)
	scales("corten_mmap_pf_low", 1.7)
	improves("mapbench_local", 1.5)
	improves("corten_mmap_low", 1.5)
	improves("corten_munmap_low", 1.5)
	improves("corten_mmap_pf_low", 1.5)
	scales("mmap1_own", 1.6)
	scales("mmap2_own", 1.6)
	scales("malloc1_own", 1.6)
	scales("mapbench_pipeline", 0.5)
	at_least("storm, speculative: rate / storm_none's",
		 ratio(rate("storm", "speculative", 1), rate("storm_none", "speculative", 1)), 0.9,
		 ratio(rate("storm_busy", "speculative", 1), rate("storm_none", "speculative", 1)))
	at_most("storm, speculative: faults that were aborted, per cent",
		scaled(median_of("storm", "speculative", 1, "aborted_per_fault"), 100), 0.1)
	at_least("mapbench_local, 2 threads: rate, range / rwlock",
		 ratio(rate("mapbench_local", "range", 2), rate("mapbench_local", "rwlock", 2)), 1.4)
	at_most("churn/10000, 2 threads: 99 % of holds of the short lock, us",
		scaled(median_of("churn/10000", "speculative", 2, "hold_p99_ns"), 0.001), 1)
	at_most("areas/1000000, speculative: time / areas/10's",
		ratio(rate("areas/10", "speculative", 1), rate("areas/1000000", "speculative", 1)), 6)
	improves("areas/10", 1)
	improves("areas/10000", 1)
	transfers("fault_own, speculative, 2 to 32 cores: transfers per fault",
		  "fault_own", "speculative", 2, 32, 0.1)
	shares_nothing("map_own")
	shares_nothing("protect_own")
	shares_nothing("map_fault_unmap_own")
	sum_up()
}
