/* SPDX-License-Identifier: MIT */
#include "corten.h"
#include "many_areas.h"
#include "mapbench.h"
#include "storm.h"
#include "will_it_scale.h"
#include "workload.h"

const struct mm_workload mm_workloads[] = {
	{ "page_fault1", .run = page_fault },
	{ "page_fault2", .run = page_fault, .file = true },
	{ "page_fault3", .run = page_fault, .file = true, .shared = true },
	{ "mmap1", .run = map_unmap },
	{ "mmap2", .run = map_unmap, .file = true },
	{ "brk1", .run = brk_back_and_forth },
	{ "tlb_flush1", .run = tlb_flush, .file = true },
	{ "malloc1", .run = malloc_free },
	{ "mmap1_own", .run = map_unmap, .own_place = true },
	{ "mmap2_own", .run = map_unmap, .file = true, .own_place = true },
	{ "malloc1_own", .run = malloc_free, .own_place = true },
	{ "mapbench_local", .run = mapbench_local },
	{ "mapbench_pipeline", .run = mapbench_pipeline, .together = true, .meets = true },
	{ "mapbench_global", .run = mapbench_global, .together = true, .meets = true },
	{ "corten_mmap_low", corten_begin_low, corten_end, corten_mmap, .prepare = corten_empty },
	{ "corten_mmap_pf_low", corten_begin_low, corten_end, corten_mmap_pf,
	  .prepare = corten_empty },
	{ "corten_pf_low", corten_begin_low, corten_end, corten_pf, .prepare = corten_mapped },
	{ "corten_munmap_low", corten_begin_low, corten_end, corten_munmap,
	  .prepare = corten_present },
	{ "corten_munmap_virt_low", corten_begin_low, corten_end, corten_munmap,
	  .prepare = corten_mapped },
	{ "corten_mmap_high", corten_begin_high, corten_end, corten_mmap, .prepare = corten_empty,
	  .meets = true },
	{ "corten_mmap_pf_high", corten_begin_high, corten_end, corten_mmap_pf,
	  .prepare = corten_empty, .meets = true },
	{ "corten_pf_high", corten_begin_high, corten_end, corten_pf, .prepare = corten_mapped,
	  .meets = true },
	{ "corten_munmap_high", corten_begin_high, corten_end, corten_munmap,
	  .prepare = corten_present, .meets = true },
	{ "corten_munmap_virt_high", corten_begin_high, corten_end, corten_munmap,
	  .prepare = corten_mapped, .meets = true },
	{ "storm", storm_begin, storm_end, storm_fault, .alone = true, .others = true },
	{ "storm_map", storm_begin_map, storm_end, storm_fault, .alone = true, .others = true },
	{ "storm_busy", storm_begin_busy, storm_end, storm_fault, .alone = true, .others = true },
	{ "storm_none", storm_begin_none, storm_end, storm_fault, .alone = true, .others = true },
	{ "areas/10", lookup_begin, .run = lookup, .areas = 10, .alone = true, .keep = true },
	{ "areas/100", lookup_begin, .run = lookup, .areas = 100, .alone = true, .keep = true },
	{ "areas/1000", lookup_begin, .run = lookup, .areas = 1000, .alone = true, .keep = true },
	{ "areas/10000", lookup_begin, .run = lookup, .areas = 10000, .alone = true, .keep = true },
	{ "areas/100000", lookup_begin, .run = lookup, .areas = 100000, .alone = true,
	  .keep = true },
	{ "areas/1000000", lookup_begin, .run = lookup, .areas = 1000000, .alone = true,
	  .keep = true },
	{ "walk/10", lookup_begin, .run = lookup, .areas = 10, .alike = true, .alone = true,
	  .keep = true },
	{ "walk/1000000", lookup_begin, .run = lookup, .areas = 1000000, .alike = true,
	  .alone = true, .keep = true },
	{ "churn/10000", churn_begin, .run = churn, .areas = 10000, .meets = true },
};

const size_t nr_mm_workloads = sizeof(mm_workloads) / sizeof(mm_workloads[0]);
