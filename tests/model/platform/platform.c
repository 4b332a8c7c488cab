/* SPDX-License-Identifier: MIT */
/*
 * The platform of the harnesses: no system calls, and as little as platform.h promises, so that a
 * model checker sees every way in which parking can go wrong.
 *
 * A thread that parks goes to sleep if the word has the expected value, which is decided in one
 * step as in futex(2), and sleeps until it is the one that an unpark chooses, or until the
 * deadline. Nothing else ends its sleep: a wake-up that is lost, or that goes to the wrong one,
 * leaves a thread in a loop that the checker reports. Every unpark wakes one, any of those that
 * sleep there.
 *
 * Time stands still, but for the deadline, which passes when a thread calls
 * model_deadline_passes().
 */
#include "model.h"

#include "platform/copy.h"
#include "platform/platform.h"

#include <errno.h>

/*
 * All of them are the same thread for the notes about which thread came where: these are guesses,
 * which nothing depends on, and would only multiply the states.
 */
MMRANGE__THREAD_LOCAL uint64_t mmrange__thread = 1;

/* There is one copy of the library. */
const char mmrange__copy[2] = { 0 };

/* Both fences are full ones. */
bool mmrange__fence_is_heavy;

/*
 * What the kernel holds while it compares a word and queues, or takes out of the queue: one for the
 * state of each range, on which its thread alone sleeps, and one for the words of leaves.
 */
static struct bucket {
	pthread_mutex_t mutex;
	_Atomic(uint64_t)
		*word[MODEL_THREADS + 1]; /* where each thread sleeps; NULL: it does not */
} buckets[MODEL_THREADS + 1];

/* Why a thread stopped sleeping. */
static atomic_uint woken[MODEL_THREADS + 1];

static atomic_uint deadline_passed;

void model_deadline_passes(void)
{
	atomic_store_explicit(&deadline_passed, 1, memory_order_relaxed);
}

static struct bucket *bucket_of(const _Atomic(uint64_t) *word)
{
	for (int i = 1; i <= MODEL_THREADS; i++)
		if (word == &model_ranges[i].state)
			return &buckets[i];
	return &buckets[0];
}

/* Whether the calling thread is among the sleepers now. */
static bool fall_asleep(struct bucket *bucket, _Atomic(uint64_t) *word, uint64_t expected)
{
	bool equal;

	pthread_mutex_lock(&bucket->mutex);
	equal = (uint32_t)atomic_load_explicit(word, memory_order_relaxed) == (uint32_t)expected;
	if (equal) {
		atomic_store_explicit(&woken[model_self], 0, memory_order_relaxed);
		bucket->word[model_self] = word;
	}
	pthread_mutex_unlock(&bucket->mutex);
	return equal;
}

/* The deadline has passed: whether that is what ends the sleep, and not a wake-up just before. */
static bool stop_sleeping(struct bucket *bucket)
{
	bool asleep;

	pthread_mutex_lock(&bucket->mutex);
	asleep = bucket->word[model_self] != NULL;
	bucket->word[model_self] = NULL;
	pthread_mutex_unlock(&bucket->mutex);
	return asleep;
}

static bool sleep_is_over(bool bounded)
{
	return atomic_load_explicit(&woken[model_self], memory_order_relaxed) ||
	       (bounded && atomic_load_explicit(&deadline_passed, memory_order_relaxed));
}

int mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
		  const struct timespec *deadline)
{
	struct bucket *bucket = bucket_of(word);
	bool over;

	(void)clock;
	if (!fall_asleep(bucket, word, expected))
		return 0;
	__VERIFIER_loop_begin();
	do {
		__VERIFIER_spin_start();
		over = sleep_is_over(deadline != NULL);
		__VERIFIER_spin_end(over);
	} while (!over);
	return deadline && stop_sleeping(bucket) ? ETIMEDOUT : 0;
}

void mmrange__unpark(_Atomic(uint64_t) *word, bool all)
{
	struct bucket *bucket = bucket_of(word);

	pthread_mutex_lock(&bucket->mutex);
	for (int i = 1; i <= MODEL_THREADS; i++) {
		if (bucket->word[i] != word)
			continue;
		bucket->word[i] = NULL;
		atomic_store_explicit(&woken[i], 1, memory_order_relaxed);
		if (!all)
			break;
	}
	pthread_mutex_unlock(&bucket->mutex);
}

uint64_t mmrange__now(void)
{
	return 0;
}

bool mmrange__spinning_helps(void)
{
	return false;
}

bool mmrange__try_heavy_fence(void)
{
	mmrange__full_fence();
	return true;
}

void mmrange__heavy_fence(void)
{
	mmrange__full_fence();
}

/* None of these is reached. */
uint64_t mmrange__new_thread(void)
{
	return 1;
}

uint32_t mmrange__system_thread(uint32_t number)
{
	return number;
}

void mmrange__thread_child(void)
{
}

void mmrange__park_child(void)
{
}

int mmrange__cancel_disable(void)
{
	return 0;
}

void mmrange__cancel_restore(int state)
{
	(void)state;
}
