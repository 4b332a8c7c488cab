/* SPDX-License-Identifier: MIT */
/*
 * A thread takes out a table that has become empty, and frees it, while two threads put entries
 * into it, or into the table that replaces it. One of them finds a table or fails (MAKERS: makes it
 * as well); the other makes the table if it does not exist. Each finds its entry again. AT_ONCE:
 * the table is freed without a grace period. ALONE: without the second thread.
 */
#include "mm.h"

enum { FINDER = 1, MAKER, FREER };

static bool found;

static bool put(struct mm__table *table, uint64_t addr)
{
	bool dead;

	if (!table || !mm__entry_trylock(table, addr, 0))
		return false;
	dead = mm__table_dead(table);
	mm__entry_unlock(table, addr, dead ? 0 : addr);
	return !dead;
}

static void *finder(void *arg)
{
	(void)arg;
	mm__rcu_read_lock();
#ifdef MAKERS
	found = put(mm__table_make(&model_mm.page_table, &model_threads[FINDER], MODEL_HERE),
		    MODEL_HERE);
#else
	found = put(mm__table_find(&model_mm.page_table, MODEL_HERE), MODEL_HERE);
#endif
	mm__rcu_read_unlock();
	return NULL;
}

#ifndef ALONE
static void *maker(void *arg)
{
	bool done = false;

	(void)arg;
	/* The thread can find a dead table once: no other thread frees one. */
	for (int i = 0; i < 2 && !done; i++) {
		if (i)
			mm__table_await_removal(&model_mm.page_table, MODEL_THERE);
		mm__rcu_read_lock();
		done = put(mm__table_make(&model_mm.page_table, &model_threads[MAKER], MODEL_THERE),
			   MODEL_THERE);
		mm__rcu_read_unlock();
	}
	assert(done);
	return NULL;
}
#endif

int main(void)
{
	struct mm__table *parent = &model_mm.page_table.top;
	struct mm__table *table;
	pthread_t threads[2];

	model_init();
	for (int level = 0; level < 3; level++) {
		table = new_table();
		atomic_init(&parent->entry[0], (uintptr_t)table);
		parent = table;
		parent->nr_used = level < 2;
	}
	start(finder, &threads[0]);
#ifndef ALONE
	start(maker, &threads[1]);
#endif
	try_free(&model_mm.page_table, &model_threads[FREER], MODEL_HERE);
	finish(threads[0]);
#ifndef ALONE
	finish(threads[1]);
#endif
	table = mm__table_find(&model_mm.page_table, MODEL_HERE);
#ifdef ALONE
	assert(table || !found);
#else
	assert(table && mm__entry_load(table, MODEL_THERE) == MODEL_THERE);
#endif
	assert(!table || mm__entry_load(table, MODEL_HERE) == (found ? MODEL_HERE : 0));
	assert(!table || !table->dead);
	return 0;
}
