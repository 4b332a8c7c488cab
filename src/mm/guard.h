/* SPDX-License-Identifier: MIT */
/*
 * guard - accesses to pages of files. The system answers them with SIGBUS where the file ends
 * before the page, or where it cannot read or store the page.
 *
 * A guarded access notes in a variable of its thread where it is and which page it touches. If
 * SIGBUS comes from there, its handler leaves the access by siglongjmp(). It passes every other
 * SIGBUS to the handler that was installed before.
 *
 * A thread's first guarded access unblocks SIGBUS in the thread, because the system ends a process
 * in which an access raises the signal while it is blocked.
 */
#ifndef MM_GUARD_H
#define MM_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Installs the handler, unless it is installed already. Called before the first guarded access of
 * the process. Returns 0, or an errno value of sigaction(2). Leaves errno alone.
 */
int mm__guard_install(void);

/*
 * Called around fork(2): before it in the parent, after it in parent and child. In between, no
 * thread is installing the handler.
 */
void mm__guard_before_fork(void);
void mm__guard_after_fork(void);

/*
 * Copies n bytes. Either source or target lies in this page of a file; neither crosses the end of a
 * page. False: the page cannot be accessed. Then any of the bytes may have been copied.
 */
bool mm__guard_copy(void *to, const void *from, size_t n, const void *page);

/*
 * Whether the page of a file can be read, or with write, be stored to. Changes no byte. May block.
 */
bool mm__guard_probe(void *page, bool write);

#endif
