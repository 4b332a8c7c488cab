# SPDX-License-Identifier: MIT
#
# bounds.awk - after judge.awk: the bounds of the range lock that this project has set itself.

function rate(workload, lock, threads) {
	return median("lock", workload, lock, threads, "items_per_second")
}

# What mmrange does while the other does one.
function against(lock, workload, threads) {
	return ratio(rate(workload, "mmrange", threads), rate(workload, lock, threads))
}

# How long mmrange takes for what takes the other one of something.
function time_against(lock, workload, threads) {
	return ratio(rate(workload, lock, threads), rate(workload, "mmrange", threads))
}

function against_better(workload, threads) {
	return lesser(against("pthread_rwlock", workload, threads),
		      against("pthread_mutex", workload, threads))
}

function against_best(workload, threads) {
	return lesser(against_better(workload, threads), against("tree_spinlock", workload, threads))
}

function lesser(a, b) {
	return a == "" || b == "" ? "" : a < b ? a : b
}

# In the `short` workloads: splits and merges per 10,000 pairs, the most for 2, 8 and 32 threads.
function changes(workload,   threads, i, found, most) {
	split("2 8 32", threads, " ")
	most = 0
	for (i = 1; i in threads; i++) {
		found = median("lock", workload, "mmrange", threads[i], "changes_per_pair")
		if (found == "")
			return ""
		if (found > most)
			most = found
	}
	return most * 10000
}

# The time to lock the full range over all leaves that a lock has by default; "" if it had less.
function over_leaves(workload) {
	if (median("latency", workload, "mmrange", 1, "leaves_per_write") < 1000)
		return ""
	return median("latency", workload, "mmrange", 1, "write_p50_ns")
}

function over_biased() {
	if (median("latency", "full_over_biased", "mmrange", 1, "biased_per_write") < 1000)
		return ""
	return over_leaves("full_over_biased")
}

# Per cent of own_w100's rate with as many threads.
function full_among_own(threads,   found) {
	found = ratio(rate("own1full_w100", "mmrange", threads), rate("own_w100", "mmrange", threads))
	return found == "" ? "" : found * 100
}

function lock_transfers(workload, bound) {
	transfers(workload ", 2 to 64 cores: transfers per pair", workload, "mmrange", 2, 64, bound)
}

END {
	heading()
	at_most("uncontended_write: time / pthread_rwlock's",
		time_against("pthread_rwlock", "uncontended_write", 1), 0.9)
	at_most("uncontended_read: time / pthread_rwlock's",
		time_against("pthread_rwlock", "uncontended_read", 1), 0.9)
	at_least("own_w100: rate of 2 threads / 1 thread",
		 ratio(rate("own_w100", "mmrange", 2), rate("own_w100", "mmrange", 1)), 1.7)
	at_least("own_w100, 2 threads: rate / tree_spinlock's",
		 against("tree_spinlock", "own_w100", 2), 6)
	at_least("own_w100: rate of 64 threads / 2 threads",
		 ratio(rate("own_w100", "mmrange", 64), rate("own_w100", "mmrange", 2)), 0.8)

	nr = split("slot_w100 2,slot_w100 64,share_w100 2,share_w100 64", list, ",")
	for (i = 1; i <= nr; i++) {
		split(list[i], part, " ")
		at_least(part[1] ", " part[2] " threads: rate / better of rwlock's and mutex's",
			 against_better(part[1], part[2]), 2)
	}
	nr = split("full_w100 2,full_w100 4,full_w100 16,full_w100 64," \
		   "random_w100 2,random_w100 16,random_w100 64,full_w40 2,random_w40 2", list, ",")
	for (i = 1; i <= nr; i++) {
		split(list[i], part, " ")
		at_least(part[1] ", " part[2] " threads: rate / pthread_rwlock's",
			 against("pthread_rwlock", part[1], part[2]), 0.8)
	}
	nr = split("full_w40 16,full_w40 64,random_w40 16,random_w40 64", list, ",")
	for (i = 1; i <= nr; i++) {
		split(list[i], part, " ")
		at_least(part[1] ", " part[2] " threads: rate / pthread_mutex's",
			 against("pthread_mutex", part[1], part[2]), 0.8)
	}
	at_least("shared_read, 2 threads: rate / pthread_rwlock's",
		 against("pthread_rwlock", "shared_read", 2), 1.5)
	at_least("shared_read, 64 threads: rate / pthread_rwlock's",
		 against("pthread_rwlock", "shared_read", 64), 1.5)
	nr = split("100,50,10", list, ",")
	for (i = 1; i <= nr; i++)
		at_least("short_w" list[i] ", 2 threads: rate / best of rwlock, mutex, tree_spinlock",
			 against_best("short_w" list[i], 2), 1.6)
	for (i = 8; i <= 32; i *= 4) {
		at_least("short_w100, " i " threads: rate / pthread_mutex's",
			 against("pthread_mutex", "short_w100", i), 1.5)
		at_least("short_w50, " i " threads: rate / better of rwlock's and mutex's",
			 against_better("short_w50", i), 0.5)
		at_least("short_w10, " i " threads: rate / better of rwlock's and mutex's",
			 against_better("short_w10", i), 0.7)
	}
	nr = split("100,50,10", list, ",")
	for (i = 1; i <= nr; i++)
		at_most("short_w" list[i] ", after a second: splits and merges / 10,000 pairs",
			changes("short_w" list[i]), 1)
	at_least("own1full_w100, 2 threads: % of own_w100's rate", full_among_own(2), 70)
	at_least("own1full_w100, 16 threads: % of own_w100's rate", full_among_own(16), 8.5)
	at_least("own1full_w100, 64 threads: % of own_w100's rate", full_among_own(64), 8)
	at_most("full range over 1,024 leaves: time if biased / if not",
		ratio(over_biased(), over_leaves("full_over_leaves")), 3)
	at_most("held/10: time / tree_spinlock's",
		time_against("tree_spinlock", "held/10", 1), 1.3)
	at_most("held/1000: time / tree_spinlock's",
		time_against("tree_spinlock", "held/1000", 1), 1.3)
	at_most("held/1000000: time / held/1000's",
		ratio(rate("held/1000", "mmrange", 1), rate("held/1000000", "mmrange", 1)), 12)
	lock_transfers("own", 0.05)
	lock_transfers("shared_read", 0.05)
	lock_transfers("share", 0.2)
	lock_transfers("short_w10", 3)
	# One operation in a hundred locks the full range, over one leaf for each core at least.
	at_most("own1full, 2 to 64 cores: transfers per leaf and full range",
		greatest("own1full", "mmrange", 2, 64, 2.5, 100, 1), 2.5)
	nr = split("own,share,shared_read", list, ",")
	for (i = 1; i <= nr; i++)
		transfers(list[i] ", 1024 cores: transfers per pair", list[i], "mmrange", 1024, 1024,
			  0.05)
	sum_up()
}
