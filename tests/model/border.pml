/* SPDX-License-Identifier: MIT */
/*
 * The VMA tree with border nodes that change in place: a lookup without a lock, writers that change
 * a border node in place, and a writer that replaces border nodes with the VMA tree lock (T). The
 * root has two or three border nodes. Memory is sequentially consistent, but in the first variant
 * the stores of a change in place arrive in any order (the harness border.c checks weaker memory).
 * No node is reused: rcu.pml is about RCU.
 *
 *	reader        finds the border node, reads its slots between two looks at its sequence
 *	              count, and after a failure maybe with its lock
 *	in_place()    locks the border node, and changes it, unless it is dead, or too small for the
 *	              change
 *	with_t()      T; locks border nodes; copies; publishes by one store; the originals are dead
 *
 * The addresses are 0 .. 7. A VMA is known by its kind: neighbours of one kind are one mapping. The
 * ghost is[] records the mappings. It changes when the writer makes the sequence count even, or
 * publishes. Each writer changes a range [a, b) of its own: it inserts a mapping there, and erases
 * it again.
 *
 * Checked: a lookup returns a mapping, or none, as it was there at one moment of the lookup. So it
 * finds a mapping that exists all the time, and never one that did not exist. In the end the border
 * nodes have all inserted mappings, between the right keys, and nothing is locked.
 *
 * SPLIT: border nodes have two slots, and one is split; ACROSS: a writer inserts a mapping that
 * lies in two border nodes, and merges with neighbours in both; INNER: in three border nodes; JOIN:
 * T joins a border node that has become empty with the other one. BROKEN: variants that must be
 * refuted:
 *	1	a lookup does not check the sequence count again
 *	2	the sequence count is even before the last store
 *	3	T: the last border node is copied without its lock
 *	4	a change in place does not check whether the border node is dead
 *	5	nor whether the border node has all of the range and of the mappings that touch it
 *	6	a lookup begins although the sequence count is odd
 *	7	with JOIN: T does not lock the border node that another one is joined with
 *	8	the sequence count is not odd before the first store
 *	9	with ACROSS: a key moves, and the border node behind it stays as it was
 *	10	T: originals are unlocked before they are dead
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#if defined(SPLIT)
#define SLOTS 2
#elif defined(ACROSS) || defined(INNER) || defined(JOIN)
#define SLOTS 3
#else
#define SLOTS 4
#endif
#if SLOTS != 4
#define ORDERED
#endif
#ifdef JOIN
#define LEAST 1
#else
#define LEAST 0
#endif

#define ADDRS    8
#define BORDERS   12
#define ROOTS    6
#define CHILDREN 4
#define NONE     255
#define MOMENTS  8

typedef border_t {
	byte low, high; /* do not change */
	bool locked, dead;
	byte seq;
	byte start[SLOTS], end[SLOTS], vma[SLOTS]; /* 0: no VMA */
}

typedef root_t {
	byte count;
	byte low[CHILDREN]; /* the keys, and 0; they do not change */
	byte child[CHILDREN];
}

border_t border[BORDERS];
root_t tree[ROOTS];
byte root, next_border, next_root;
bool t_locked;

/* Scratch of one step; all 0 otherwise. */
byte map[ADDRS];

/*
 * Ghosts
 */

byte is[ADDRS];
bool looking;
byte where;
byte moments;
byte moment[MOMENTS];
byte at, from, to, n;

/* The mappings at `where`, as a number. */
inline ghost_moment()
{
	from = where;
	to = where + 1;
	do
	:: from > 0 && is[from - 1] == is[where] -> from--
	:: else -> break
	od;
	do
	:: to < ADDRS && is[to] == is[where] -> to++
	:: else -> break
	od;
	at = (is[where] -> is[where] * 64 + from * 8 + to - 1 : 0);
	if
	:: !moments || moment[moments - 1] != at ->
		assert(moments < MOMENTS);
		moment[moments] = at;
		moments++
	:: else
	fi;
	at = 0; from = 0; to = 0
}

inline ghost_change(a, b, v)
{
	for (n : a .. b - 1) { is[n] = v }
	n = 0;
	if
	:: looking -> ghost_moment()
	:: else
	fi
}

inline ghost_begin(x)
{
	looking = true;
	where = x;
	ghost_moment()
}

inline ghost_end(x, result)
{
	at = 0;
	for (n : 0 .. moments - 1) {
		if
		:: moment[n] == result -> at = 1
		:: else
		fi;
		moment[n] = 0
	}
	assert(at);
	n = 0; at = 0; moments = 0; where = 0;
	looking = false
}

/*
 * The contents of border nodes
 */

inline lock(l)
{
	atomic { !border[l].locked -> border[l].locked = true }
}

inline route(r, x, i)
{
	i = 0;
	do
	:: i + 1 < tree[r].count && tree[r].low[i + 1] <= x -> i++
	:: else -> break
	od
}

/* Adds the mappings of a border node to the map. */
inline expand(l)
{
	for (n : 0 .. SLOTS - 1) {
		if
		:: border[l].vma[n] ->
			for (at : border[l].start[n] .. border[l].end[n] - 1) {
				map[at] = border[l].vma[n]
			}
		:: else
		fi
	}
	n = 0; at = 0
}

#define CROSSES(x) ((x) > 0 && map[x] && map[x - 1] == map[x])

/* How many mappings of the map begin in [from, to). */
inline count_mappings(from, to, count)
{
	count = 0;
	for (n : 0 .. ADDRS - 1) {
		if
		:: n >= from && n < to && map[n] && !CROSSES(n) -> count++
		:: else
		fi
	}
	n = 0
}

/* The mappings of the map that lie in [from, to), as slots. */
inline compress(from, to)
{
	at = 0;
	for (n : 0 .. ADDRS - 1) {
		if
		:: n >= from && n < to && map[n] ->
			if
			:: CROSSES(n) && n > from -> te[at - 1] = n + 1
			:: else -> ts[at] = n; te[at] = n + 1; tv[at] = map[n]; at++
			fi
		:: else
		fi
	}
	for (n : at .. SLOTS - 1) { ts[n] = NONE; te[n] = 0; tv[n] = 0 }
	n = 0; at = 0
}

inline clear_map()
{
	for (n : 0 .. ADDRS - 1) { map[n] = 0 }
	n = 0
}

inline clear_slots()
{
	for (n : 0 .. SLOTS - 1) { ts[n] = 0; te[n] = 0; tv[n] = 0 }
	n = 0
}

/*
 * Reading
 */

proctype reader(byte x)
{
	byte r, l, i, s, begun, start, end, vma;
	bool sure, ok;

	d_step { ghost_begin(x) }
	r = root;
	atomic { route(r, x, i); l = tree[r].child[i]; i = 0 }
	do
	:: s = border[l].seq;
		if
		:: s % 2 && !sure && BROKEN != 6 -> ok = false
		:: else ->
			do
			:: i < SLOTS ->
				atomic {
					if
					:: border[l].start[i] <= x -> begun++
					:: else
					fi;
					i++
				}
			:: else -> break
			od;
			i = 0;
			if
			:: begun ->
				start = border[l].start[begun - 1];
				end = border[l].end[begun - 1];
				vma = border[l].vma[begun - 1]
			:: else
			fi;
			ok = border[l].seq == s || sure || BROKEN == 1
		fi;
		if
		:: ok -> break
		:: else ->
			atomic { start = 0; end = 0; vma = 0; begun = 0; s = 0 }
			if
			:: skip
			:: lock(l); sure = true
			fi
		fi
	od;
	atomic {
		if
		:: sure -> border[l].locked = false
		:: else
		fi;
		if
		:: begun && end > x -> i = vma * 64 + start * 8 + end - 1
		:: else -> i = 0
		fi;
		ghost_end(x, i);
		r = 0; l = 0; i = 0; s = 0; begun = 0; start = 0; end = 0; vma = 0;
		sure = false; ok = false
	}
}

/*
 * Writing: [a, b) becomes v; 0: nothing is mapped there any more
 */

#ifdef ORDERED
/* From the first slot to the last. */
inline store_slots()
{
	do
	:: atomic {
		i < SLOTS && border[l].start[i] == ts[i] && border[l].end[i] == te[i] &&
		border[l].vma[i] == tv[i] -> i++
	}
	:: atomic { i < SLOTS && border[l].start[i] != ts[i] -> border[l].start[i] = ts[i] }
	:: atomic {
		i < SLOTS && border[l].start[i] == ts[i] && border[l].end[i] != te[i] ->
			border[l].end[i] = te[i]
	}
	:: atomic {
		i < SLOTS && border[l].start[i] == ts[i] && border[l].end[i] == te[i] &&
		border[l].vma[i] != tv[i] -> border[l].vma[i] = tv[i]
	}
	:: BROKEN == 2 && border[l].seq % 2 -> border[l].seq++
	:: i == SLOTS -> i = 0; break
	od
}
#else
#define STORE(field, new) :: atomic { border[l].field != new -> border[l].field = new }
#define STORES(i) STORE(start[i], ts[i]) STORE(end[i], te[i]) STORE(vma[i], tv[i])
#define SAME(i) \
	(border[l].start[i] == ts[i] && border[l].end[i] == te[i] && border[l].vma[i] == tv[i])

inline store_slots()
{
	do
	STORES(0) STORES(1) STORES(2) STORES(3)
	:: BROKEN == 2 && border[l].seq % 2 -> border[l].seq++
	:: SAME(0) && SAME(1) && SAME(2) && SAME(3) -> break
	od
}
#endif

/* done: false if the writer has to take T. */
inline in_place()
{
	do
	:: r = root;
		atomic { route(r, a, i); l = tree[r].child[i]; i = 0 }
		lock(l);
		if
		:: border[l].dead && BROKEN != 4 -> border[l].locked = false
		:: else -> break
		fi
	od;
	atomic {
		expand(l);
		for (n : a .. b - 1) { map[n] = v }
		if
		:: BROKEN == 5 -> count_mappings(0, NONE, i)
		:: else -> count_mappings(border[l].low, border[l].high, i)
		fi;
		done = i <= SLOTS && i >= LEAST &&
		       ((border[l].low <= a - 1 && b < border[l].high) || BROKEN == 5);
		i = 0;
		if
		:: done -> compress(0, NONE)
		:: else
		fi;
		clear_map()
	}
	if
	:: done ->
		if
		:: BROKEN != 8 -> border[l].seq++
		:: else
		fi;
		store_slots();
		atomic {
			if
			:: BROKEN == 2 && border[l].seq % 2 == 0
			:: BROKEN == 8 -> border[l].seq = border[l].seq + 2
			:: else -> border[l].seq++
			fi;
			ghost_change(a, b, v);
			clear_slots()
		}
	:: else
	fi;
	atomic { border[l].locked = false; r = 0; l = 0 }
}

/* Border nodes that contain nothing but the range are not locked. */
#define NEEDS_LOCK(i) (!((i) > in_first && (i) < in_last))
#define GETS_LOCK(i)                                                                               \
	(NEEDS_LOCK(i) && !(BROKEN == 3 && (i) == last) && !(BROKEN == 7 && (i) == sibling))
/* The last border node stays although its key moves. */
#define STAYS (BROKEN == 9 && first < last && key > tree[r].low[last])

inline make_border(k, l1, l2)
{
	border[next_border].low = l1;
	border[next_border].high = l2;
	border[next_border].locked = true;
	compress(l1, l2);
	for (n : 0 .. SLOTS - 1) {
		border[next_border].start[n] = ts[n];
		border[next_border].end[n] = te[n];
		border[next_border].vma[n] = tv[n]
	}
	clear_slots();
	tree[next_root].low[k] = l1;
	tree[next_root].child[k] = next_border;
	next_border++;
	assert(next_border < BORDERS)
}

inline keep_child(k, j)
{
	tree[next_root].low[k] = tree[r].low[j];
	tree[next_root].child[k] = tree[r].child[j]
}

/* One border node in place of first .. last, or two with that key; and a root with them. */
inline make_copies()
{
	i = 0;
	do
	:: i < first -> keep_child(i, i); i++
	:: else -> break
	od;
	l = next_border;
	if
	:: key ->
		make_border(i, tree[r].low[first], key);
		i++;
		if
		:: STAYS ->
			keep_child(i, last);
			tree[next_root].low[i] = key
		:: else -> make_border(i, key, border[tree[r].child[last]].high)
		fi
	:: else -> make_border(i, tree[r].low[first], border[tree[r].child[last]].high)
	fi;
	i++;
	s = last + 1;
	do
	:: s < tree[r].count -> keep_child(i, s); i++; s++
	:: else -> break
	od;
	tree[next_root].count = i;
	nr_copies = next_border - l;
	i = 0; s = 0
}

/* keys: the possible keys between two border nodes; bit 0: a single node suffices. */
inline find_keys()
{
	keys = 0;
	for (i : 0 .. ADDRS - 1) {
		done = !CROSSES(i) &&
		       (i == 0 || (i > tree[r].low[first] && i < border[tree[r].child[last]].high &&
				   tree[r].count + 1 + first - last <= CHILDREN));
		count_mappings(i, border[tree[r].child[last]].high, s);
		done = done && s <= SLOTS;
		count_mappings(tree[r].low[first], i, s);
		done = done && s <= SLOTS;
		keys = (done -> keys | (1 << i) : keys)
	}
	assert(keys);
	i = 0; s = 0; done = false
}

inline with_t()
{
	atomic { !t_locked -> t_locked = true }
	d_step {
		r = root;
		route(r, a - 1, first);
		route(r, a, in_first);
		route(r, b - 1, in_last);
		route(r, b, last);
		sibling = NONE
	}
#ifdef JOIN
	/* More than a-1, a, b-1 and b. */
	atomic {
		if
		:: first > 0 -> first--; sibling = first
		:: last + 1 < tree[r].count -> last++; sibling = last
		:: else
		fi
	}
#endif
	i = first;
	do
	:: i <= last ->
		old[i] = tree[r].child[i];
		if
		:: GETS_LOCK(i) -> lock(old[i])
		:: else
		fi;
		i++
	:: else -> i = 0; break
	od;
	atomic {
		i = first;
		do
		:: i <= last -> expand(old[i]); i++
		:: else -> i = 0; break
		od;
		for (n : a .. b - 1) { map[n] = v }
		n = 0;
		find_keys();
		if
		:: keys & 1 -> key = 0
		:: keys & 2 -> key = 1
		:: keys & 4 -> key = 2
		:: keys & 8 -> key = 3
		:: keys & 16 -> key = 4
		:: keys & 32 -> key = 5
		:: keys & 64 -> key = 6
		:: keys & 128 -> key = 7
		fi;
		keys = 0;
		make_copies();
		clear_map()
	}
	d_step {
		if
		:: first == last && !key ->
			/* A store into the parent. */
			tree[r].child[first] = l;
			for (n : 0 .. CHILDREN - 1) {
				tree[next_root].low[n] = 0;
				tree[next_root].child[n] = 0
			}
			tree[next_root].count = 0
		:: else ->
			root = next_root;
			next_root++;
			assert(next_root < ROOTS)
		fi;
		ghost_change(a, b, v)
	}
	if
	:: BROKEN == 10 -> unlock_originals(); kill_originals()
	:: else -> kill_originals(); unlock_originals()
	fi;
	do
	:: nr_copies -> atomic { nr_copies--; border[l + nr_copies].locked = false }
	:: else -> break
	od;
	atomic {
		for (n : 0 .. CHILDREN - 1) { old[n] = 0 }
		n = 0; r = 0; l = 0; i = 0;
		first = 0; in_first = 0; in_last = 0; last = 0; key = 0; sibling = 0
	}
	t_locked = false
}

inline kill_originals()
{
	atomic {
		i = first;
		do
		:: i <= last ->
			if
			:: STAYS && i == last
			:: else -> border[old[i]].dead = true
			fi;
			i++
		:: else -> i = 0; break
		od
	}
}

inline unlock_originals()
{
	i = first;
	do
	:: i <= last ->
		if
		:: GETS_LOCK(i) -> border[old[i]].locked = false
		:: else
		fi;
		i++
	:: else -> i = 0; break
	od
}

proctype writer(byte a; byte b; byte v; bool back)
{
	byte r, l, i, s, first, last, in_first, in_last, sibling, key, keys, nr_copies;
	byte old[CHILDREN], ts[SLOTS], te[SLOTS], tv[SLOTS];
	bool done;

	do
	:: in_place();
		if
		:: done
		:: else -> with_t()
		fi;
		atomic {
			done = false;
			if
			:: v && back -> v = 0
			:: else -> v = 0; break
			fi
		}
	od
}

/*
 * The beginning and the end
 */

inline put(l, i, s, e, v)
{
	border[l].start[i] = s;
	border[l].end[i] = e;
	border[l].vma[i] = v;
	for (n : s .. e - 1) { is[n] = v }
	n = 0
}

/* Two or three border nodes; keys: the second and the third. */
inline plant(second, third)
{
	tree[0].count = (third -> 3 : 2);
	tree[0].low[1] = second;
	tree[0].low[2] = third;
	border[0].high = second;
	border[1].low = second;
	border[1].high = (third -> third : NONE);
	border[2].low = third;
	border[2].high = (third -> NONE : 0);
	for (i : 0 .. CHILDREN - 1) {
		tree[0].child[i] = (i < tree[0].count -> i : 0);
		for (n : 0 .. SLOTS - 1) { border[i].start[n] = NONE }
	}
	next_border = tree[0].count;
	next_root = 1;
	i = 0; n = 0
}

/* The tree has all mappings, each in its place. Lookups detect BROKEN 9. */
inline check_tree()
{
	assert(!t_locked && !looking);
	for (i : 0 .. tree[root].count - 1) {
		l = tree[root].child[i];
		assert(!border[l].dead && !border[l].locked && border[l].seq % 2 == 0);
		assert(border[l].low == tree[root].low[i] || BROKEN == 9);
		assert(BROKEN == 9 || border[l].high ==
		       (i + 1 < tree[root].count -> tree[root].low[i + 1] : NONE));
		for (n : 0 .. SLOTS - 1) {
			assert(BROKEN == 9 || !border[l].vma[n] || (border[l].low <= border[l].start[n] &&
						    border[l].end[n] <= border[l].high));
			assert(!n || border[l].start[n] == NONE ||
			       border[l].start[n - 1] < border[l].start[n])
		}
		n = 0;
		expand(l)
	}
	for (i : 0 .. ADDRS - 1) { assert(map[i] == is[i]) }
}

inline any_of(v1, v2)
{
	if
	:: v = v1
	:: v = v2
	fi
}

init {
	byte i, l, v;

	atomic {
		d_step {
#if defined(SPLIT)
			plant(6, 0);
			put(0, 0, 1, 2, 1);
			put(0, 1, 4, 5, 2);
#elif defined(ACROSS)
			plant(4, 0);
			put(0, 0, 2, 3, 1);
			put(1, 0, 5, 6, 1);
#elif defined(INNER)
			plant(3, 5);
			put(0, 0, 1, 2, 1);
			put(1, 0, 3, 4, 2);
			put(2, 0, 6, 7, 1);
#elif defined(JOIN)
			plant(4, 0);
			put(0, 0, 2, 3, 1);
			put(1, 0, 6, 7, 2);
#else
			plant(6, 0);
			put(0, 0, 2, 3, 2);
			put(0, 1, 4, 5, 3);
#endif
		}
#if defined(SPLIT)
		run writer(2, 3, 3, false);
		any_of(1, 2);
		run writer(3, 4, v, true);
		any_of(1, 4);
#elif defined(ACROSS)
		run writer(3, 5, 1, false);
		run writer(1, 2, 2, false);
		run writer(6, 7, 1, false);
		v = 5;
#elif defined(INNER)
		run writer(2, 6, 1, false);
		run writer(1, 2, 2, false);
		any_of(3, 4);
#elif defined(JOIN)
		run writer(2, 3, 0, false);
		run writer(5, 6, 2, true);
		any_of(5, 6);
#else
		any_of(1, 2);
		run writer(1, 2, v, true);
		run writer(3, 4, 3, false);
		if
		:: any_of(1, 2)
		:: any_of(3, 4)
		fi;
#endif
		run reader(v);
		v = 0
	}
	_nr_pr == 1;
	d_step { check_tree() }
}
