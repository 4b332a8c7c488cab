/* SPDX-License-Identifier: MIT */
#include "arrbench.h"
#include "uncontended.h"
#include "workload.h"

const struct workload workloads[] = {
	{ "uncontended_write", 100, true, uncontended_write },
	{ "uncontended_read", 0, true, uncontended_read },
	{ "own_w100", 100, false, arrbench_own },
	{ "own_w40", 40, false, arrbench_own },
	{ "own_w0", 0, false, arrbench_own },
	{ "slot_w100", 100, false, arrbench_slot },
	{ "slot_w40", 40, false, arrbench_slot },
	{ "slot_w0", 0, false, arrbench_slot },
	{ "share_w100", 100, false, arrbench_share },
	{ "share_w40", 40, false, arrbench_share },
	{ "share_w0", 0, false, arrbench_share },
	{ "full_w100", 100, false, arrbench_full },
	{ "full_w40", 40, false, arrbench_full },
	{ "full_w0", 0, false, arrbench_full },
	{ "random_w100", 100, false, arrbench_random },
	{ "random_w40", 40, false, arrbench_random },
	{ "random_w0", 0, false, arrbench_random },
};

const size_t nr_workloads = sizeof(workloads) / sizeof(workloads[0]);
