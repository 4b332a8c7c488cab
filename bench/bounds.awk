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

function against_better(workload, threads,   rwlock, mutex) {
	rwlock = against("pthread_rwlock", workload, threads)
	mutex = against("pthread_mutex", workload, threads)
	if (rwlock == "" || mutex == "")
		return ""
	return rwlock < mutex ? rwlock : mutex
}

function lock_transfers(workload, bound) {
	transfers(workload ", 2 to 64 cores: transfers per pair", workload, "mmrange", 2, 64, bound)
}

END {
	heading()
	at_most("uncontended_write: time / pthread_rwlock's",
		time_against("pthread_rwlock", "uncontended_write", 1), 0.8)
	at_most("uncontended_read: time / pthread_rwlock's",
		time_against("pthread_rwlock", "uncontended_read", 1), 0.8)
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
	at_least("own1full_w100, 2 threads: rate / own_w100's",
		 ratio(rate("own1full_w100", "mmrange", 2), rate("own_w100", "mmrange", 2)), 0.5)
	at_most("held/1000: time / tree_spinlock's",
		time_against("tree_spinlock", "held/1000", 1), 1.3)
	at_most("held/1000000: time / held/1000's",
		ratio(rate("held/1000", "mmrange", 1), rate("held/1000000", "mmrange", 1)), 12)
	lock_transfers("own", 0.05)
	lock_transfers("shared_read", 0.05)
	lock_transfers("share", 0.2)
	sum_up()
}
