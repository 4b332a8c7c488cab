/* SPDX-License-Identifier: MIT */
/*
 * fork(2). The handlers lock all state that the spaces of a process share, so that the child gets
 * it consistent. The child forgets the parent's spaces, which it may not use, and the parent's
 * threads.
 */
#include "child.h"

#include "attach.h"
#include "guard.h"
#include "inode.h"

#include <errno.h>

/* With the attach lock. */
static bool handled;

/*
 * In the order of lock.h. files.lock comes before the locks there. No thread takes a lock under the
 * guard's lock.
 */
static void before_fork(void)
{
	mm__inodes_before_fork();
	mm__threads_before_fork();
	mm__rcu_before_fork();
	mm__guard_before_fork();
}

static void after_fork(bool child)
{
	mm__guard_after_fork();
	mm__rcu_after_fork(child);
	mm__threads_after_fork(child);
	mm__inodes_after_fork(child);
}

static void after_fork_parent(void)
{
	after_fork(false);
}

static void after_fork_child(void)
{
	after_fork(true);
}

bool mm__fork_handled(void)
{
	int saved = errno;
	bool done;

	mm__attach_lock();
	if (!handled)
		handled = !pthread_atfork(before_fork, after_fork_parent, after_fork_child);
	done = handled;
	mm__attach_unlock();
	errno = saved;
	return done;
}

/*
 * Runs before another thread can call fork(2). If there is no memory for the handlers, mm_create()
 * tries again, and fails if that fails.
 */
__attribute__((constructor)) static void handle_children(void)
{
	(void)mm__fork_handled();
}
