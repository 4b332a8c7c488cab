/* SPDX-License-Identifier: MIT */
/* In place of table_lock.h, which table_lock.c is about: what it promises. */
#define MM_TABLE_LOCK_H

#include <stdbool.h>

struct mm__table_lock {
	pthread_mutex_t mutex;
};

static inline void mm__table_lock_init(struct mm__table_lock *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
}

static inline bool mm__table_lock_try(struct mm__table_lock *lock)
{
	return !pthread_mutex_trylock(&lock->mutex);
}

static inline void mm__table_lock_take(struct mm__table_lock *lock)
{
	pthread_mutex_lock(&lock->mutex);
}

static inline void mm__table_lock_drop(struct mm__table_lock *lock)
{
	pthread_mutex_unlock(&lock->mutex);
}
