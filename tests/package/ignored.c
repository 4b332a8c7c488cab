/* SPDX-License-Identifier: MIT */
/*
 * Ignores results of the library. The compiler must warn in each line that says so, see ignored.sh.
 */
#include <mmrange/mmrange.h>

extern struct range_lock lock;
extern struct range_hold range, upper;
extern struct range_request request;
extern struct mm *space;
extern struct mm_hold hold;

void ignore(void);

void ignore(void)
{
	range_lock(&lock, &range, 0, 1, RANGE_READ);                            /* warns */
	range_trylock(&lock, &range, 0, 1, RANGE_READ);                         /* warns */
	range_timedlock(&lock, &range, 0, 1, RANGE_READ, CLOCK_REALTIME, NULL); /* warns */
	range_lock_many(&lock, &request, 1);                                    /* warns */
	range_split(&lock, &range, 1, &upper);                                  /* warns */
	range_tryupgrade(&lock, &range);                                        /* warns */
	range_join(&lock, &range, &upper);                                      /* warns */
	range_upgrade(&lock, &range);                                           /* warns */
	range_timedupgrade(&lock, &range, CLOCK_REALTIME, NULL);                /* warns */
	range_tryextend(&lock, &range, 0, 2);                                   /* warns */
	mm_lock_range(space, &hold, 0, 4096, RANGE_WRITE);                      /* warns */
	mm_read_lock(space);                                                    /* warns */
	mm_write_lock(space);                                                   /* warns */
	/* These fail where nothing is at stake, or leave what was held. */
	range_lock_init(&lock, NULL);
	range_lock_destroy(&lock);
	range_shrink(&lock, &range, 0, 1);
	range_cancel(&lock, &range);
	range_is_held(&lock, 0, 1, RANGE_READ);
	range_lock_close(&lock);
}
