/* SPDX-License-Identifier: MIT */
#include "deadlock_register.h"

#ifdef MMRANGE_CHECKED

#include "platform/platform.h"

#include <pthread.h>

enum { NR_CHAINS = 1024 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* Registered waits, by thread. */
static struct range__wait *chains[NR_CHAINS];

uint64_t range__deadlock_steps;

void range__deadlock_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void range__deadlock_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

static struct range__wait **chain_of(uint64_t thread)
{
	return &chains[(uint32_t)thread % NR_CHAINS];
}

void range__deadlock_add(struct range__wait *wait)
{
	struct range__wait **chain = chain_of(wait->thread);

	wait->next = *chain;
	wait->link = chain;
	if (wait->next)
		wait->next->link = &wait->next;
	*chain = wait;
	wait->registered = true;
}

void range__deadlock_remove(struct range__wait *wait)
{
	*wait->link = wait->next;
	if (wait->next)
		wait->next->link = wait->link;
	wait->registered = false;
}

struct range__wait *range__deadlock_wait_of(uint64_t thread)
{
	struct range__wait *wait = *chain_of(thread);

	while (wait && !mmrange__same_thread(wait->thread, thread)) {
		wait = wait->next;
		range__deadlock_steps++;
	}
	return wait;
}

struct range__wait *range__deadlock_next_in(const struct range__lock *lock,
					    const struct range__wait *wait)
{
	struct range__wait **chain = wait ? chain_of(wait->thread) : chains;
	struct range__wait *next = wait ? wait->next : *chain;

	for (;;) {
		while (next && next->lock != lock)
			next = next->next;
		if (next || ++chain == chains + NR_CHAINS)
			return next;
		next = *chain;
	}
}

void range__deadlock_child(void)
{
	pthread_mutex_init(&mutex, NULL);
	for (int i = 0; i < NR_CHAINS; i++)
		chains[i] = NULL;
}

#endif
