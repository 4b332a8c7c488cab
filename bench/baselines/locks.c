/* SPDX-License-Identifier: MIT */
#include "locks.h"
#include "lock_ops.h"

const struct lock_ops *const locks[] = {
	&mmrange_ops,       &mmrange_fifo_ops,  &tree_spinlock_ops,   &pthread_rwlock_ops,
	&pthread_mutex_ops, &callback_list_ops, &callback_ranges_ops,
#ifdef BENCH_CK
	&ck_rwlock_ops,     &ck_brlock_ops,
#endif
#ifdef BENCH_OFD
	&fcntl_ofd_ops,
#endif
};

const size_t nr_locks = sizeof(locks) / sizeof(locks[0]);
