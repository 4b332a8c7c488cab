/* SPDX-License-Identifier: MIT */
/*
 * Parking by mutex and condition variable: a table of queues, found by the address of the word. A
 * sleeper has a condition variable of its own on its stack. A thread wakes it with the queue's
 * mutex held, so the sleeper cannot be gone by then.
 *
 * Threads of the parent of fork() may have locked mutexes of the table, so the child makes the
 * table anew. POSIX does not allow to make a locked mutex anew, but a child has no other way that
 * costs the parent nothing. If the parent locked all of them before fork(), it would wait without
 * end when a handler of the program, called later than this one, waited for a lock. Where the
 * system will not tell the child to make the table anew, no thread uses it: a sleeper naps instead,
 * and looks again.
 */
#include "platform/platform.h"

#include <errno.h>
#include <pthread.h>

enum { NR_QUEUES = 64 };

struct sleeper {
	const _Atomic(uint64_t) *word;
	pthread_cond_t condition;
	bool woken;
	struct sleeper *next;
	struct sleeper **link;
};

static struct queue {
	pthread_mutex_t mutex;
	struct sleeper *first;
	struct sleeper **last;
} queues[NR_QUEUES];

static pthread_once_t made = PTHREAD_ONCE_INIT;

static void make_queues(void)
{
	for (int i = 0; i < NR_QUEUES; i++) {
		pthread_mutex_init(&queues[i].mutex, NULL);
		queues[i].first = NULL;
		queues[i].last = &queues[i].first;
	}
}

static struct queue *queue_of(const _Atomic(uint64_t) *word)
{
	pthread_once(&made, make_queues);
	/*
	 * The high bits of the product depend on all of the address (Knuth's multiplicative hash).
	 */
	return &queues[(uint32_t)((uint32_t)((uintptr_t)word >> 4) * UINT32_C(2654435761)) >> 26];
}

static void append_waiter(struct queue *queue, struct sleeper *sleeper)
{
	sleeper->next = NULL;
	sleeper->link = queue->last;
	*queue->last = sleeper;
	queue->last = &sleeper->next;
}

static void remove_sleeper(struct queue *queue, struct sleeper *sleeper)
{
	*sleeper->link = sleeper->next;
	if (sleeper->next)
		sleeper->next->link = sleeper->link;
	else
		queue->last = sleeper->link;
}

static void condition_init(pthread_cond_t *condition, clockid_t clock)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, clock);
	pthread_cond_init(condition, &attr);
	pthread_condattr_destroy(&attr);
}

static bool passed(clockid_t clock, const struct timespec *deadline)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec > deadline->tv_sec ||
	       (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

/* A wait that ends early without a reason. */
static int nap(clockid_t clock, const struct timespec *deadline)
{
	static const struct timespec while_others_run = { .tv_nsec = 100000 };
	int cancel_state = mmrange__cancel_disable(), saved = errno;

	nanosleep(&while_others_run, NULL);
	errno = saved;
	mmrange__cancel_restore(cancel_state);
	return deadline && passed(clock, deadline) ? ETIMEDOUT : 0;
}

static int sleep_in_table(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			  const struct timespec *deadline)
{
	struct queue *queue = queue_of(word);
	struct sleeper self = { .word = word };
	int error = 0, cancel_state = mmrange__cancel_disable();

	condition_init(&self.condition, clock);
	pthread_mutex_lock(&queue->mutex);
	/*
	 * relaxed: the mutex orders this load before the waker's look into the queue, or after the
	 * waker's change of the word
	 */
	if ((uint32_t)atomic_load_explicit(word, memory_order_relaxed) == (uint32_t)expected) {
		append_waiter(queue, &self);
		while (!self.woken && !error) {
			if (deadline)
				error = pthread_cond_timedwait(&self.condition, &queue->mutex,
							       deadline);
			else
				error = pthread_cond_wait(&self.condition, &queue->mutex);
		}
		if (!self.woken)
			remove_sleeper(queue, &self);
	}
	pthread_mutex_unlock(&queue->mutex);
	pthread_cond_destroy(&self.condition);
	mmrange__cancel_restore(cancel_state);
	return error ? ETIMEDOUT : 0;
}

int mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
		  const struct timespec *deadline)
{
	if (mmrange__fork_is_unseen)
		return nap(clock, deadline);
	return sleep_in_table(word, expected, clock, deadline);
}

void mmrange__unpark(_Atomic(uint64_t) *word, bool all)
{
	struct sleeper *sleeper, *next;
	struct queue *queue;

	if (mmrange__fork_is_unseen)
		return;
	queue = queue_of(word);
	pthread_mutex_lock(&queue->mutex);
	for (sleeper = queue->first; sleeper; sleeper = next) {
		next = sleeper->next;
		if (sleeper->word != word)
			continue;
		remove_sleeper(queue, sleeper);
		sleeper->woken = true;
		pthread_cond_signal(&sleeper->condition);
		if (!all)
			break;
	}
	pthread_mutex_unlock(&queue->mutex);
}

void mmrange__park_child(void)
{
	static const pthread_once_t fresh = PTHREAD_ONCE_INIT;

	/* The next thread that needs the table makes it. */
	made = fresh;
}
