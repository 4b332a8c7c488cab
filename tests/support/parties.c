/* SPDX-License-Identifier: MIT */
#include "parties.h"
#include "child.h"

#include <string.h>

static void *act(void *arg)
{
	struct party *p = arg;

	take(p->lock, &p->first, p->start, p->end, p->mode);
	atomic_store(&p->holds, true);
	sem_await(&p->go);
	p->result = range_timedlock(p->lock, &p->second, p->next_start, p->next_end, RANGE_WRITE,
				    CLOCK_MONOTONIC, p->deadline);
	atomic_store(&p->through, true);
	if (!p->result)
		range_unlock(p->lock, &p->second);
	range_unlock(p->lock, &p->first);
	return NULL;
}

void party_start(struct party *p, struct range_lock *lock, enum range_mode mode, uint64_t start,
		 uint64_t end, uint64_t next_start, uint64_t next_end)
{
	memset(p, 0, sizeof *p);
	p->lock = lock;
	p->mode = mode;
	p->start = start;
	p->end = end;
	p->next_start = next_start;
	p->next_end = next_end;
	CHECK_EQ(sem_init(&p->go, 0, 0), 0);
	p->thread = thread_start(act, p);
	AWAIT(atomic_load(&p->holds));
}

void party_go_on(struct party *p)
{
	uint64_t waits = lock_stats(p->lock).waits;

	sem_post(&p->go);
	AWAIT(lock_stats(p->lock).waits > waits || atomic_load(&p->through));
}

int party_finish(struct party *p)
{
	thread_join(p->thread);
	sem_destroy(&p->go);
	return p->result;
}

void run_and_capture(void (*run)(void), char errors[4096])
{
	int status = run_in_child(run, errors, 4096);

	if (status)
		test_fail(__FILE__, __LINE__, "status %#x and: %s", (unsigned int)status, errors);
}
