/* SPDX-License-Identifier: MIT */
/*
 * VMAs whose neighbours change at the same time, and faults: the mappings of a border node that
 * changes in place, with the rules of vma.h. Two writers hold the range of one page each, next to
 * each other. A change of slots is one step here, and so is a lookup: border.pml has their steps.
 * Memory is sequentially consistent (the harnesses fault.c and border.c check weaker memory).
 *
 *	put()       mm_mmap() in an empty range: a neighbour of the same kind grows, or both become
 *	            one
 *	change()    mm_mprotect(); with `anew`, mm_mmap() of another mapping in place of the present
 *	            one
 *	remove()    mm_munmap()
 *	fault()     without the range; ranged_fault(): with the range for reading
 *
 * There are four pages. The first and the last are always mapped, and no writer holds their ranges.
 * The kind of a VMA is its protection: 1, or 2, which allows more. at[] tells where a VMA is.
 *
 *	[VMA-N]  A VMA that touches the end of a range that a writer holds changes only with the
 *	         lock of its border node: its bounds, its kind, and whether its count is odd.
 *
 * Checked, when an operation returns, and in the end: no page is mapped where no VMA is; no page
 * allows more than its VMA; each VMA has the protection that was requested there, and neighbours of
 * one kind are one VMA. At any time: a fault that holds its range finds the mapping there.
 *
 * RANGED: the fault holds its range. BROKEN: variants that must be refuted:
 *	1	a fault does not check the count again
 *	2	[VMA-N] a protection changes, with an odd count, without the lock of the border node
 *	3	a VMA is killed after its pages are zapped
 *	4	a writer that cuts a VMA makes it smaller, and does not kill it
 *	5	[VMA-N] a changed VMA is merged, or made even, without the lock of the border node
 *	6	[VMA-N] a writer looks up the VMA before it locks the border node, and not again
 *	7	a fault begins although the count is odd
 *	8	[VMA-N] put() looks at the neighbours before it locks the border node
 *	9	a neighbour grows although a writer is changing it
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define PAGES 4
#define AREAS 14

byte at[PAGES]; /* 0: none */
byte prot[AREAS];
byte seq[AREAS];
byte next_area = 1;
bool border_locked;

bool table_locked;
byte entry[PAGES]; /* the rights of the page; 0: no page */

/* Held ranges. */
bool writes[PAGES];
byte readers[PAGES];

/* The requested protection. */
byte asked[PAGES];

inline border_lock()
{
	atomic { !border_locked -> border_locked = true }
}

inline border_unlock()
{
	border_locked = false
}

inline table_lock()
{
	atomic { !table_locked -> table_locked = true }
}

inline table_unlock()
{
	table_locked = false
}

inline new_area(a, p, changing)
{
	a = next_area;
	next_area++;
	assert(next_area <= AREAS);
	prot[a] = p;
	seq[a] = changing
}

/*
 * Writers, each with the range of page x
 */

inline mergeable(y, p, a)
{
	a = at[y];
	a = (a && prot[a] == p && (seq[a] % 2 == 0 || BROKEN == 9) -> a : 0)
}

inline kill(a)
{
	atomic {
		if
		:: a && seq[a] % 2 == 0 -> seq[a]++
		:: else
		fi
	}
}

/*
 * Page x becomes new. The rest of the old VMA, on both sides, becomes new VMAs, which are even at
 * once.
 */
inline set_slot(new)
{
	d_step {
		for (i : 0 .. PAGES - 1) {
			if
			:: at[i] == old && i < x ->
				if
				:: !left && BROKEN == 4 -> left = old
				:: !left && BROKEN != 4 -> new_area(left, prot[old], 0)
				:: else
				fi;
				at[i] = left
			:: at[i] == old && i > x ->
				if
				:: !right && !left && BROKEN == 4 -> right = old
				:: !right && (left || BROKEN != 4) -> new_area(right, prot[old], 0)
				:: else
				fi;
				at[i] = right
			:: else
			fi
		}
		at[x] = new;
		i = 0; left = 0; right = 0
	}
}

/* A neighbour grows over the page, and maybe over the other neighbour. */
inline grow()
{
	if
	:: left && right && left != right -> kill(right)
	:: else
	fi;
	d_step {
		if
		:: left ->
			at[x] = left;
			for (i : x + 1 .. PAGES - 1) {
				at[i] = (right && at[i] == right -> left : at[i])
			}
		:: else -> at[x] = right
		fi;
		i = 0
	}
}

inline put(p)
{
	if
	:: BROKEN == 8 -> atomic { mergeable(x - 1, p, left); mergeable(x + 1, p, right) }
	:: else
	fi;
	border_lock();
	if
	:: BROKEN != 8 -> mergeable(x - 1, p, left); mergeable(x + 1, p, right)
	:: else
	fi;
	if
	:: left || right -> grow()
	:: else -> atomic { new_area(old, p, 0); at[x] = old }
	fi;
	border_unlock();
	atomic { left = 0; right = 0; old = 0 }
}

/* The slots may change before the count is odd, as both are before the zap. */
inline remove()
{
	border_lock();
	old = at[x];
	if
	:: BROKEN != 3 && BROKEN != 4 -> kill(old); set_slot(0)
	:: set_slot(0);
		if
		:: BROKEN != 3 && BROKEN != 4 -> kill(old)
		:: else
		fi
	fi;
	border_unlock();
	table_lock();
	entry[x] = 0;
	table_unlock();
	if
	:: BROKEN == 3 -> kill(old)
	:: else
	fi;
	old = 0
}

#define SPANS(a) ((x > 0 && at[x - 1] == (a)) || (x + 1 < PAGES && at[x + 1] == (a)))

inline look_up(anew)
{
	atomic { old = at[x]; whole = !anew && !SPANS(old) }
}

inline mark_in_place(p)
{
	seq[old]++;
	prot[old] = p
}

inline settle(p)
{
	if
	:: BROKEN != 5 -> border_lock()
	:: else
	fi;
	old = at[x];
	assert(seq[old] % 2 == 1 && prot[old] == p && !SPANS(old));
	mergeable(x - 1, p, left);
	mergeable(x + 1, p, right);
	if
	:: left || right -> grow(); kill(old)
	:: else -> seq[old]++
	fi;
	if
	:: BROKEN != 5 -> border_unlock()
	:: else
	fi
}

inline change(p, anew)
{
	if
	:: BROKEN == 6 -> look_up(anew); border_lock()
	:: BROKEN == 2 && !anew -> look_up(anew);
		if
		:: whole -> mark_in_place(p); border_lock()
		:: else -> border_lock(); look_up(anew)
		fi
	:: else -> border_lock(); look_up(anew)
	fi;
	if
	:: whole && BROKEN != 2 -> mark_in_place(p)
	:: whole && BROKEN == 2
	:: !whole ->
		atomic { new_area(new, p, 1) }
		set_slot(new);
		if
		:: BROKEN != 4 -> kill(old)
		:: else
		fi
	fi;
	border_unlock();
	table_lock();
	entry[x] = (anew || entry[x] <= p -> (anew -> 0 : entry[x]) : p);
	table_unlock();
	settle(p);
	atomic { left = 0; right = 0; old = 0; new = 0; whole = false }
}

inline hold()
{
	atomic { !writes[x] && !readers[x] -> writes[x] = true }
}

/* The operation returns. */
inline release(p)
{
	atomic {
		asked[x] = p;
		assert(entry[x] <= p);
		assert(p == 0 || prot[at[x]] == p);
		assert(p != 0 || at[x] == 0);
		writes[x] = false
	}
}

/* The page is not mapped yet. */
proctype mapper(byte x; byte p; byte then)
{
	byte left, right, old, new, i;
	bool whole;

	hold();
	put(p);
	release(p);
	if
	:: then == 0
	:: then == 1 ->
		hold();
		remove();
		release(0)
	:: then == 2 ->
		p = 3 - p;
		hold();
		change(p, true);
		release(p)
	fi
}

/* The page is mapped. */
proctype protector(byte x; byte p; bool then)
{
	byte left, right, old, new, i;
	bool whole;

	if
	:: prot[at[x]] != p ->
		hold();
		change(p, false);
		release(p)
	:: else
	fi;
	if
	:: then ->
		hold();
		remove();
		release(0)
	:: else
	fi
}

/*
 * Faults on page x
 */

proctype fault(byte x)
{
	byte a, s, p;

	a = at[x];
	assert(a || (x != 0 && x != PAGES - 1));
	if
	:: a ->
		s = seq[a];
		if
		:: s % 2 && BROKEN != 7
		:: else ->
			p = prot[a];
			table_lock();
			if
			:: seq[a] == s || BROKEN == 1 -> entry[x] = p
			:: else
			fi;
			table_unlock()
		fi
	:: else
	fi;
	atomic { a = 0; s = 0; p = 0 }
}

/* A thread with the range finds the VMA unchanged, or replaced by one of the same kind. */
proctype ranged_fault(byte x)
{
	byte a, p;

	atomic { !writes[x] -> readers[x]++ }
	a = at[x];
	p = prot[a];
	assert(p == asked[x]);
	if
	:: a ->
		table_lock();
		entry[x] = p;
		table_unlock()
	:: else
	fi;
	atomic { readers[x]--; a = 0; p = 0 }
}

/*
 * The beginning and the end
 */

inline plant(x, p)
{
	asked[x] = p;
	if
	:: x && asked[x - 1] == p -> at[x] = at[x - 1]
	:: else -> new_area(at[x], p, 0)
	fi
}

inline check(x)
{
	assert((asked[x] == 0) == (at[x] == 0));
	assert(prot[at[x]] == asked[x] && seq[at[x]] % 2 == 0);
	assert(entry[x] <= asked[x]);
	assert(x == 0 || (at[x] == at[x - 1]) == (asked[x] == asked[x - 1]))
}

init {
	byte p, i;

	atomic {
		plant(0, 1);
		if
		:: p = 1
		:: p = 2
		fi;
		plant(2, p);
		plant(3, 1);
		if
		:: run protector(2, 2, false)
		:: run protector(2, 1, false)
		:: run protector(2, 2, true)
		fi;
		if
		:: p = 1
		:: p = 2
		fi;
		if
		:: run mapper(1, p, 0)
		:: run mapper(1, p, 1)
		:: run mapper(1, p, 2)
		fi;
		if
		:: p = 0
		:: p = 1
		:: p = 2
		:: p = 3
		fi;
#ifdef RANGED
		run ranged_fault(p);
#else
		run fault(p);
#endif
		p = 0
	}
	_nr_pr == 1;
	assert(!border_locked && !table_locked);
	d_step {
		for (i : 0 .. PAGES - 1) { check(i) }
	}
}
