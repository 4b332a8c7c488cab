/* SPDX-License-Identifier: MIT */
#include "rcu.h"

#include <pthread.h>
#include <stdlib.h>

#ifdef MM__RCU_TSAN
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
char mm__rcu_tsan;

/* liburcu allocates what another of its threads frees. */
static void ignore_begin(void)
{
	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}

static void ignore_end(void)
{
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
}
#else
static void ignore_begin(void)
{
}

static void ignore_end(void)
{
}
#endif

/* The threads that free may be in a grace period, and must be able to end it: they stop first. */
static void before_fork(void)
{
	urcu_bp_call_rcu_before_fork();
	urcu_bp_before_fork();
}

static void after_fork_parent(void)
{
	urcu_bp_after_fork_parent();
	urcu_bp_call_rcu_after_fork_parent();
}

static void after_fork_child(void)
{
	urcu_bp_after_fork_child();
	urcu_bp_call_rcu_after_fork_child();
}

/*
 * Before the first reader: a child that has readers of its parent in its books, who do not exist
 * there, would wait for them for ever.
 */
__attribute__((constructor)) static void handle_fork(void)
{
	/* Fails only for want of memory, before main(), and then only forks are the worse for it. */
	(void)pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static void free_list(struct mm__garbage *list)
{
	while (list) {
		struct mm__garbage *next = list->next;

		if (list->free)
			list->free(list);
		else
			free(list);
		list = next;
	}
}

static void free_after(struct rcu_head *head)
{
	mm__rcu_after();
	/* The head is the first member. */
	free_list((struct mm__garbage *)head);
	mm__rcu_before();
}

void mm__rcu_free(struct mm__garbage *list)
{
	if (!list)
		return;
	if (!MM__RCU) {
		free_list(list);
		return;
	}
	mm__rcu_before();
	urcu_bp_call_rcu(&list->head, free_after);
}

void mm__rcu_synchronize(void)
{
	int state;

	if (!MM__RCU)
		return;
	/* liburcu sleeps in poll() with its locks held: a thread cancelled there would keep them. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	urcu_bp_synchronize_rcu();
	pthread_setcancelstate(state, NULL);
	mm__rcu_after();
}

void mm__rcu_barrier(void)
{
	int state;

	if (!MM__RCU)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	ignore_begin();
	urcu_bp_barrier();
	ignore_end();
	pthread_setcancelstate(state, NULL);
	mm__rcu_after();
}
