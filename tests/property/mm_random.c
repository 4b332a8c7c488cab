/* SPDX-License-Identifier: MIT */
/*
 * Random operations, one thread, against a model: results, errors, VMAs, bytes and pages are the
 * same in all locking modes, with few VMAs and pages allowed, and with many.
 */
#include "space_model.h"

/* Fewer steps: at the limit of pages, each failure first waits for pending frees. */
#define STEPS_AT_THE_LIMIT 400

static void run(const char *name, unsigned int steps, uint64_t max_areas, uint64_t max_pages)
{
	uint64_t seed = test_seed(name);

	for (unsigned int round = 0; round < test_scale(60); round++) {
		static struct model model;
		struct mm_attr attr;

		memset(&model, 0, sizeof(model));
		mm_attr_init(&attr);
		attr.locking = lockings[round % NR_LOCKINGS];
		attr.max_areas = max_areas;
		attr.max_pages = max_pages;
		model.base = MM_ADDR_MAX - PAGES(MODEL_PAGES);
		attr.brk_start = model.base + PAGES(60);
		model.mm = new_space_with(&attr);
		model.seed = test_random(&seed);
		model.whole = true;
		model.max_areas = max_areas;
		model.max_pages = max_pages;
		model.brk_start = model.brk = attr.brk_start;
		for (unsigned int i = 0; i < steps; i++) {
			model_step(&model);
			if (i % 64)
				continue;
			model_check(&model);
			check_space(model.mm);
		}
		end_space(model.mm);
	}
}

TEST(mm_random, operations_agree_with_the_model)
{
	run("mm_random/operations", 4000, UINT64_MAX, UINT64_MAX);
}

TEST(mm_random, operations_agree_with_the_model_when_few_vmas_are_allowed)
{
	run("mm_random/few_vmas", 4000, 12, UINT64_MAX);
}

TEST(mm_random, operations_agree_with_the_model_when_few_pages_are_allowed)
{
	run("mm_random/few_pages", STEPS_AT_THE_LIMIT, 40, 30);
}
