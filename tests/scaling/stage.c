/* SPDX-License-Identifier: MIT */
#include "stage.h"
#include "markers.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { EVERY_CORE = -1 };

struct part {
	alignas(TWO_LINES) const struct steps *steps;
	struct call *call;
};

unsigned int stage_cores;

/* One for each core. */
static struct part *parts;

/* The leader's orders, written before all cores meet. */
static alignas(TWO_LINES) struct {
	void (*direct)(void);
	enum step step;
	int core;
	unsigned int times;
} order;

static alignas(TWO_LINES) atomic_ulong over = MARKER_PROBE; /* see markers.h */
static alignas(TWO_LINES) atomic_bool failed;

static void meet(void)
{
	marker(MARKER_MEET, 0, 0, 0);
	/* The compiler assumes that a system call changes no variable. */
	atomic_signal_fence(memory_order_seq_cst);
}

static bool take(const struct part *part, enum step step)
{
	bool succeeded;

	switch (step) {
	case STEP_BEFORE:
		return part->steps->before(part->call);
	case STEP_CALL:
		marker(MARKER_WATCH, true, 0, 0);
		succeeded = part->steps->call(part->call);
		marker(MARKER_WATCH, false, 0, 0);
		return succeeded;
	case STEP_AFTER:
		return part->steps->after(part->call);
	default:
		return true;
	}
}

static bool repeat(const struct part *part, unsigned int times)
{
	const struct steps *steps = part->steps;

	while (times--)
		if (!steps->before(part->call) || !steps->call(part->call) ||
		    !steps->after(part->call))
			return false;
	return true;
}

static void obey(unsigned int core)
{
	const struct part *part = &parts[core];

	if (order.core != EVERY_CORE && order.core != (int)core)
		return;
	if (!(order.step == STEP_TIMES ? repeat(part, order.times) : take(part, order.step)))
		/* relaxed: a meeting comes before the load */
		atomic_store_explicit(&failed, true, memory_order_relaxed);
}

static void tell(int core, enum step step, unsigned int times)
{
	order.core = core;
	order.step = step;
	order.times = times;
	meet();
	obey(0);
	meet();
}

void stage_cast(unsigned int core, const struct steps *steps, struct call *call)
{
	parts[core] = (struct part){ .steps = steps, .call = call };
}

void stage_step(unsigned int core, enum step step)
{
	order.core = (int)core;
	order.step = step;
	if (core == 0)
		obey(core);
	else
		tell((int)core, step, 0);
}

void stage_all(enum step step)
{
	tell(EVERY_CORE, step, 0);
}

void stage_repeat(unsigned int times)
{
	tell(EVERY_CORE, STEP_TIMES, times);
}

bool stage_succeeded(void)
{
	/* relaxed: as above */
	return !atomic_exchange_explicit(&failed, false, memory_order_relaxed);
}

static void enter(unsigned int core)
{
	marker(MARKER_ENTER, core, stage_cores, (uintptr_t)&over);
}

static void *follow(void *argument)
{
	unsigned int core = (unsigned int)(uintptr_t)argument;

	enter(core);
	for (;;) {
		meet();
		if (order.step == STEP_END)
			return NULL;
		obey(core);
		meet();
	}
}

static void *lead(void *argument)
{
	(void)argument;
	enter(0);
	order.direct();
	order.step = STEP_END;
	marker(MARKER_END, 0, 0, 0);
	return NULL;
}

static bool run_threads(pthread_t *threads)
{
	unsigned int i;

	for (i = 0; i < stage_cores; i++)
		if (pthread_create(&threads[i], NULL, i == 0 ? lead : follow,
				   (void *)(uintptr_t)i) != 0)
			return false;
	for (i = 0; i < stage_cores; i++)
		pthread_join(threads[i], NULL);
	return true;
}

bool stage_run(unsigned int cores, void (*direct)(void))
{
	pthread_t *threads = calloc(cores, sizeof(*threads));
	size_t size = cores * sizeof(*parts);
	bool ran = false;

	stage_cores = cores;
	parts = aligned_alloc(TWO_LINES, size);
	order.direct = direct;
	if (threads && parts) {
		memset(parts, 0, size);
		ran = run_threads(threads);
	}
	free(parts);
	free(threads);
	return ran;
}
