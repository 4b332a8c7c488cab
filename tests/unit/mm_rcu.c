/* SPDX-License-Identifier: MIT */
#include "mm/cpu.h"
#include "mm/rcu.h"
#include "threads.h"

#include <sys/wait.h>

static struct mm__garbage *new_garbage(struct mm__garbage *next)
{
	struct mm__garbage *garbage = calloc(1, sizeof(*garbage));

	CHECK(garbage);
	garbage->next = next;
	return garbage;
}

TEST(mm_rcu, nothing_is_freed_when_there_is_nothing_to_free)
{
	mm__rcu_free(NULL);
	mm__rcu_barrier();
}

static void *read_until_told(void *arg)
{
	atomic_int *state = arg;

	CHECK(mm__thread_attach());
	mm__rcu_read_lock();
	atomic_store(state, 1);
	AWAIT(atomic_load(state) == 2);
	mm__rcu_read_unlock();
	return NULL;
}

/* The child has no such reader, and must not wait for one. */
static void fork_beside_a_reader(void)
{
	atomic_int state = 0;
	pthread_t reader = thread_start(read_until_told, &state);
	int status;
	pid_t child;

	AWAIT(atomic_load(&state) == 1);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		mm__rcu_free(new_garbage(new_garbage(NULL)));
		mm__rcu_barrier();
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	atomic_store(&state, 2);
	thread_join(reader);
}

TEST(mm_rcu, a_child_frees_without_the_readers_of_its_parent)
{
	if (under_thread_sanitizer()) {
		printf("skipped: ThreadSanitizer starts no threads after a fork\n");
		return;
	}
	fork_beside_a_reader();
	/* Again, when the parent has a thread that frees. */
	mm__rcu_free(new_garbage(NULL));
	mm__rcu_barrier();
	fork_beside_a_reader();
}
