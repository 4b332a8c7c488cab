/* SPDX-License-Identifier: MIT */
/*
 * A page is unmapped whose table does not exist, so no lock of it is taken either. Meanwhile a fault
 * on the page next to it makes the table, and one on the page itself, which had found its VMA
 * before, finds it. Nothing is installed when mm_munmap() has returned. The page is one of a file, as
 * taking a frame has a fence, which is full here and not in reality.
 */
#include "mm.h"

#include "mm/munmap.c"

enum { MAKER = 1, FAULTER, CHANGER };

static struct mm__frames cache_pool;

static void *maker(void *arg)
{
	(void)arg;
	mm__table_make(&model_mm.page_table, &model_threads[MAKER], MODEL_THERE);
	return NULL;
}

static void *faulter(void *arg)
{
	(void)arg;
	model_serve(FAULTER, MODEL_HERE, MM_PROT_READ, false);
	return NULL;
}

static void check(void)
{
	struct mm__table *table = mm__table_find(&model_mm.page_table, MODEL_HERE);

	assert(!table || !mm__entry_load(table, MODEL_HERE));
}

int main(void)
{
	pthread_t threads[2];
	int error;

	model_init();
	/* Nobody is stopped here, so light fences can be none. */
	mmrange__fence_is_heavy = true;
	atomic_init(&model_tables[1].entry[0], 0);
	model_tables[1].nr_used = 0;
	model_cached = model_frame(model_chunk(&cache_pool), 0, 1);
	model_map(MODEL_HERE, MM_PROT_READ, (struct mm__inode *)&model_mm);
	mm__remembered[0].thread = &model_threads[CHANGER];
	start(maker, &threads[0]);
	start(faulter, &threads[1]);
	error = mm_munmap(&model_mm, MODEL_HERE, MM_PAGE_SIZE);
	assert(!error);
	finish(threads[0]);
	finish(threads[1]);
	check();
	return 0;
}
