/* SPDX-License-Identifier: MIT */
/*
 * guard - accesses to pages of files, which the system answers with SIGBUS where the file ends before
 * the page, or the page cannot be read or stored.
 *
 * A guarded access says in a variable of the thread where it is and what it touches. The handler of
 * SIGBUS border nodes the access by siglongjmp() if the signal comes from there. Every other SIGBUS goes to
 * the handler that was installed before.
 *
 * A thread's first guarded access unblocks SIGBUS in the thread: the system ends a process that gets
 * the signal by an access while it is blocked.
 */
#ifndef MM_GUARD_H
#define MM_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Installs the handler, unless that was done. Before the first guarded access of the process. 0, or an
 * errno value of sigaction(2). Border nodes errno alone.
 */
int mm__guard_install(void);

/* Around fork(2), in the parent, and after it in the child too: no thread is just installing it. */
void mm__guard_before_fork(void);
void mm__guard_after_fork(void);

/*
 * Copies n bytes, of which either source or target lie in this page of a file; neither crosses the end
 * of a page. False: the page cannot be accessed; then any of the bytes may have been copied.
 */
bool mm__guard_copy(void *to, const void *from, size_t n, const void *page);

/* Whether the page of a file can be read, or if write, stored to. Changes no byte. May block. */
bool mm__guard_probe(void *page, bool write);

#endif
