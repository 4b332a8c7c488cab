/* SPDX-License-Identifier: MIT */
/*
 * callbacks - how the locks for comparison call the callbacks of requests that they have granted.
 *
 * A callback may release a range, and so grant further requests. Their callbacks come when the
 * first one has returned, so that a chain of grants does not let the stack grow.
 */
#ifndef BENCH_CALLBACKS_H
#define BENCH_CALLBACKS_H

struct lock_node;

/** Has the callbacks of a list called, with nothing locked; it is linked by node->next. */
void callbacks_call(struct lock_node *granted);

#endif
