# SPDX-License-Identifier: MIT
# Variants of the lock, each of which breaks requests, and the tests that must detect them. Of
# a random test, the seed decides which check fails.

# The thread that cancels a request calls the callback, although another thread has woken it.
mmrange_variant(request_called_by_canceler request_tests)
mmrange_variant_change(request_called_by_canceler FILE src/range_lock/queue.c
  FROM "is_request && atomic_load_explicit(state, memory_order_relaxed) == RANGE_WAITING" TO "is_request")
mmrange_variant_fails(request_called_by_canceler async_many
  a_request_that_was_woken_before_it_was_canceled_ends_in_the_thread_that_woke_it
  "request_waits(request->other)")

# A release stops at the first writer, although that one does not hold back all others.
mmrange_variant(wake_stops_too_early request_tests)
mmrange_variant_change(wake_stops_too_early FILE src/range_lock/waiters.c
  FROM "w->mode == RANGE_WRITE && w->start <= start && end <= w->end &&" TO "w->mode == RANGE_WRITE &&")
mmrange_variant_fails(wake_stops_too_early async_random requests_agree_with_brute_force "")

# A waiter that a release has put aside stays there.
mmrange_variant(aside_for_good request_tests)
mmrange_variant_change(aside_for_good FILE src/range_lock/waiters.c
  FROM "	if (aside)
		take_back_aside(leaf);
" TO "")
mmrange_variant_fails(aside_for_good async_random requests_agree_with_brute_force "")

# A waiter that leaves its queue wakes no other.
mmrange_variant(leave_without_wake request_tests)
mmrange_variant_change(leave_without_wake FILE src/range_lock/queue.c
  FROM "	if (wake)
		range__wake(set->lock, leaf, queued->start, queued->end, wakes);
" TO "	(void)wake, (void)wakes;
")
mmrange_variant_fails(leave_without_wake async
  the_thread_that_makes_way_calls_the_callback_before_its_call_returns "atomic_load(&request->calls) is 0, not 1")
mmrange_variant_fails(leave_without_wake async_random requests_agree_with_brute_force "")

# A callback is called inside another one, and stacks grow.
mmrange_variant(callback_in_callback request_tests)
mmrange_variant_change(callback_in_callback FILE src/range_lock/async.c
  FROM "	range__due.busy = true;
" TO "")
mmrange_variant_fails(callback_in_callback async
  what_a_callback_makes_way_for_comes_after_it_has_returned "request_waits(request->other)")
mmrange_variant_fails(callback_in_callback async
  many_requests_behind_each_other_need_no_stack "highest - deepest < 1024")

# A callback can be canceled.
mmrange_variant(callback_cancelable request_tests)
mmrange_variant_change(callback_cancelable FILE src/range_lock/async.c
  FROM "int cancel_state = mmrange__cancel_disable();" TO "int cancel_state = 0;")
mmrange_variant_fails(callback_cancelable async
  a_callback_runs_with_cancellation_disabled "state is 0, not PTHREAD_CANCEL_DISABLE")

# With FIFO, a newcomer passes waiters.
mmrange_variant(fifo_without_starving request_tests)
mmrange_variant_change(fifo_without_starving FILE src/range_lock/queue.c
  FROM "upgrade || set->lock->fairness == RANGE_FAIRNESS_FIFO" TO "upgrade")
mmrange_variant_fails(fifo_without_starving async a_newcomer_passes_a_request_until_it_starves
  "range_trylock(&lock, &second, 8, 9, RANGE_READ) is 0, not")

# A search leaves out all waiters on the right of one that starts too late, also those of other kinds.
mmrange_variant(search_leaves_out_kinds request_tests)
mmrange_variant_change(search_leaves_out_kinds FILE src/range_lock/wait_tree.c
  FROM "on_right &= ~((2u << node->place.kind) - 1);" TO "on_right = 0;")
mmrange_variant_fails(search_leaves_out_kinds wait_tree searches_agree_with_brute_force "")

# A rotation does not sum up the new root of the subtree.
mmrange_variant(rotation_without_summary request_tests)
mmrange_variant_change(rotation_without_summary FILE src/range_lock/wait_tree.c
  FROM "	up->place.left = node;
	summarize_waiter(&node->place, node);
	summarize_waiter(&up->place, up);
" TO "	up->place.left = node;
	summarize_waiter(&node->place, node);
")
mmrange_variant_fails(rotation_without_summary wait_tree searches_agree_with_brute_force "")
