/* SPDX-License-Identifier: MIT */
/*
 * A private VMA shows a file, whose page is mapped and may be read. A thread drops the page with
 * mm_madvise(), and reads it again; a fault wants to write to it meanwhile. Whatever that finds, it
 * never gets the right to write to the page of the file itself.
 */
#include "mm.h"

#include "mm/madvise.c"

enum { READER = 1, WRITER };

static struct mm__frames cache_pool;

static void *reader(void *arg)
{
	int error = mm_madvise(&model_mm, MODEL_HERE, MM_PAGE_SIZE, MM_MADV_DONTNEED);

	(void)arg;
	assert(!error);
	model_serve(READER, MODEL_HERE, MM_PROT_READ, false);
	return NULL;
}

static void *writer(void *arg)
{
	(void)arg;
	model_serve(WRITER, MODEL_HERE, MM_PROT_WRITE, false);
	return NULL;
}

static void check(void)
{
	uint64_t entry = model_entry(MODEL_HERE);

	assert(!mm__entry_allows(entry, MM_PROT_WRITE) ||
	       mm__entry_bytes(entry) != mm__frame_bytes(model_cached));
}

int main(void)
{
	pthread_t threads[2];

	model_init();
	model_cached = model_frame(model_chunk(&cache_pool), 0, 2);
	mm__frame_list_add(&model_threads[WRITER].cache.loaded,
			   model_frame(model_chunk(&model_pool), 0, 0));
	model_map(MODEL_HERE, MM_PROT_READ | MM_PROT_WRITE, (struct mm__inode *)&model_mm);
	mm__entry_store(model_table(), MODEL_HERE, model_file_entry(MM_PROT_READ, READER));
	mm__remembered[0].thread = &model_threads[READER];
	start(reader, &threads[0]);
	start(writer, &threads[1]);
	finish(threads[0]);
	finish(threads[1]);
	check();
	return 0;
}
