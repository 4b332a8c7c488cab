/* SPDX-License-Identifier: MIT */
/*
 * Grace periods of src/mm/rcu.c: readers look at objects that one thread unlinks and frees, PERIODS
 * times. Stores become visible late: those of a reader to `seen` in their order, when its store
 * buffer releases them; the writer's, which are relaxed, in any order. A heavy fence makes all of
 * them visible. The light fence is a fence for the compiler only, so the model has none: the steps
 * of a reader are in their order.
 *
 *	read_section()   mm__rcu_read_lock() [RCU-R1], a look [RCU-R2], mm__rcu_read_unlock()
 *	                 [RCU-R3]
 *	writer           unlinks, begin_period() [RCU-G1] [RCU-G2], has_passed() [RCU-G3], frees
 *	                 [RCU-G4]
 *
 * Checked: no reader holds an object that is free; and no thread waits without end.
 *
 * STAYS: a section that began in the last period lasts until that period is over. BROKEN: variants
 * that must be refuted:
 *	1	a period begins without a fence
 *	2	the fence comes after the new epoch
 *	3	the writer does not wait for a reader that has not passed
 *	4	the writer takes a reader that stored the epoch before for one that came later
 *	5	with STAYS, the writer waits for a reader that came later
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#define READERS  2
#define SECTIONS 2
#define PERIODS  2
#define NOTHING  255

/* Objects 0 .. PERIODS: the writer replaces one by the next. */
bool freed[PERIODS + 1];
byte published = 0; /* as readers see it */
byte unlinked = 0;  /* as the writer stored it */

byte shown = 1;     /* the epoch as readers see it */
byte epoch = 1;

byte seen[READERS];
chan buffer[READERS] = [2] of { byte };
byte held[READERS] = NOTHING;

inline drain(r)
{
	do
	:: nempty(buffer[r]) -> buffer[r] ? seen[r]
	:: empty(buffer[r]) -> break
	od
}

inline fence()
{
	atomic {
		published = unlinked;
		shown = epoch;
		drain(0);
		drain(1)
	}
}

/* Steps that the processors take at any time. */
active proctype memory()
{
end:	do
	:: atomic { published != unlinked -> published = unlinked }
	:: atomic { shown != epoch -> shown = epoch }
	:: atomic { nempty(buffer[0]) -> buffer[0] ? seen[0] }
	:: atomic { nempty(buffer[1]) -> buffer[1] ? seen[1] }
	od
}

inline read_section(r)
{
	now = shown;
	buffer[r] ! now;
	atomic { held[r] = published; assert(!freed[held[r]]) }
	assert(!freed[held[r]]);
#ifdef STAYS
	if
	:: now == PERIODS + 1 -> freed[PERIODS - 1]
	:: else
	fi;
#endif
	held[r] = NOTHING;
	buffer[r] ! 0
}

active [READERS] proctype reader()
{
	byte now, sections;

	do
	:: sections < SECTIONS ->
		read_section(_pid - 1);
		sections++
	:: break
	od
}

#define passed(r)                                                                                  \
	(BROKEN == 3 || seen[r] == 0 || (BROKEN != 5 && seen[r] >= epoch) ||                       \
	 (BROKEN == 4 && seen[r] + 1 == epoch))

active proctype writer()
{
	byte period;

	do
	:: period < PERIODS ->
		unlinked = period + 1;
		if
		:: BROKEN == 1 || BROKEN == 2
		:: else -> fence()
		fi;
		epoch++;
		if
		:: BROKEN == 2 -> fence()
		:: else
		fi;
		passed(0);
		passed(1);
		freed[period] = true;
		d_step {
			assert(held[0] != period);
			assert(held[1] != period)
		}
		period++
	:: else -> break
	od
}
