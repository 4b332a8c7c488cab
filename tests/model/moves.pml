/* SPDX-License-Identifier: MIT */
/*
 * Moves in place from one border node to another, [BORDER-E] of vma_border.c, with faults at both
 * places and a writer that has the lock of the tree. A change of slots is one step here, and so is
 * a lookup: border.pml has their steps. Memory is sequentially consistent.
 *
 *	mover()		mm_mremap() to a known place: holds both ranges, locks the lower node, and
 *			tries to lock the upper one; or else takes the lock of the tree, and waits
 *			for both nodes
 *	writer()	has the lock of the tree, and locks both border nodes in any order
 *	fault()		without the range; with it, if `ranged`
 *
 * There are two movers: one moves the mapping at place 0, in node 0, to place 2, in node 1; the
 * other one moves the mapping at place 3, in node 1, to place 1, in node 0.
 *
 * Checked: no threads wait in a circle; a writer with both border nodes finds a moved mapping at
 * exactly one of its two places; when the move returns, the page has moved from the old place to
 * the new one, and nothing is left at the old place.
 *
 * BROKEN: variants that must be refuted:
 *	1	a mover waits for its second border node
 *	2	a mover locks one border node, changes and unlocks it, and then the other
 *	3	the count of the new VMA becomes even before the page has arrived
 *	4	the old VMA is not killed
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define NONE 0
#define PLACES 4
#define BORDER(place) ((place) / 2)

bool tree_locked;
bool border_locked[2];
bool table_locked;

byte at[PLACES];    /* the VMA, or NONE */
byte seq[5];        /* of VMAs: place + 1 of the place that a VMA leaves or arrives at */
byte entry[PLACES]; /* the frame, or NONE */
bool writes[PLACES];
byte readers[PLACES];

inline lock(word)
{
	atomic { !word -> word = true }
}

inline hold(from, to)
{
	atomic {
		!writes[from] && !readers[from] && !writes[to] && !readers[to] ->
		writes[from] = true;
		writes[to] = true
	}
}

/* Locks both border nodes, or only the first one if another thread has locked the second. */
inline lock_in_place()
{
	if
	:: BROKEN == 2 -> lock(border_locked[BORDER(from)])
	:: else -> lock(border_locked[0])
	fi;
	if
	:: BROKEN == 1 -> lock(border_locked[1]); in_place = true
	:: BROKEN == 2 -> in_place = true
	:: else ->
		atomic {
			if
			:: !border_locked[1] -> border_locked[1] = true; in_place = true
			:: else
			fi
		}
	fi;
	if
	:: in_place
	:: else -> border_locked[0] = false
	fi
}

inline lock_with_tree()
{
	lock(tree_locked);
	lock(border_locked[1]);
	lock(border_locked[0])
}

inline take_out()
{
	at[from] = NONE;
	if
	:: BROKEN != 4 -> seq[from + 1]++
	:: else
	fi
}

inline put_in()
{
	atomic {
		seq[to + 1] = (BROKEN == 3 -> 0 : 1);
		at[to] = to + 1
	}
}

inline move_page()
{
	lock(table_locked);
	frame = entry[from];
	entry[from] = NONE;
	assert(entry[to] == NONE);
	entry[to] = frame;
	table_locked = false
}

inline settle()
{
	lock(border_locked[BORDER(to)]);
	if
	:: BROKEN != 3 -> seq[to + 1]++
	:: else
	fi;
	border_locked[BORDER(to)] = false
}

proctype mover(byte from; byte to)
{
	byte frame;
	bool in_place;

	hold(from, to);
	lock_in_place();
	if
	:: in_place
	:: !in_place -> lock_with_tree()
	fi;
	take_out();
	if
	:: BROKEN == 2 && in_place -> border_locked[BORDER(from)] = false; lock(border_locked[BORDER(to)])
	:: else
	fi;
	put_in();
	if
	:: BROKEN == 2 && in_place
	:: else -> border_locked[BORDER(from)] = false
	fi;
	border_locked[BORDER(to)] = false;
	if
	:: in_place
	:: !in_place -> tree_locked = false
	fi;
	move_page();
	settle();
	atomic {
		assert(entry[from] == NONE && at[from] == NONE && at[to] == to + 1);
		assert(frame == NONE || entry[to] == frame);
		writes[from] = false;
		writes[to] = false;
		frame = 0
	}
}

proctype writer()
{
	lock(tree_locked);
	if
	:: lock(border_locked[0]); lock(border_locked[1])
	:: lock(border_locked[1]); lock(border_locked[0])
	fi;
	assert((at[0] == NONE) != (at[2] == NONE));
	assert((at[3] == NONE) != (at[1] == NONE));
	border_locked[0] = false;
	border_locked[1] = false;
	tree_locked = false
}

/* The place where a frame was installed identifies the frame. */
inline install(place)
{
	if
	:: entry[place] == NONE -> entry[place] = place + 1
	:: else
	fi
}

proctype fault(byte place; bool ranged)
{
	byte vma, count;

	if
	:: ranged ->
		atomic { !writes[place] -> readers[place]++ }
		vma = at[place];
		assert(vma == NONE || seq[vma] % 2 == 0);
	:: else ->
		vma = at[place];
		count = seq[vma];
	fi;
	if
	:: vma != NONE && count % 2 == 0 ->
		lock(table_locked);
		if
		:: ranged || seq[vma] == count -> install(place)
		:: else
		fi;
		table_locked = false
	:: else
	fi;
	atomic {
		readers[place] = (ranged -> readers[place] - 1 : readers[place]);
		vma = 0;
		count = 0
	}
}

init {
	atomic {
		at[0] = 1;
		at[3] = 4;
		if
		:: entry[0] = 1
		:: skip
		fi;
		run mover(0, 2);
		run mover(3, 1);
		run writer();
		if
		:: run fault(0, false); run fault(2, false)
		:: run fault(0, true); run fault(2, false)
		:: run fault(0, false); run fault(2, true)
		:: run fault(3, false); run fault(1, false)
		fi
	}
	_nr_pr == 1;
	assert(!tree_locked && !border_locked[0] && !border_locked[1] && !table_locked);
	assert(entry[0] == NONE && entry[3] == NONE)
}
