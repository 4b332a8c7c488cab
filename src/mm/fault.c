/* SPDX-License-Identifier: MIT */
/*
 * Page faults. A fault is tried three times, each with more locks than the last:
 *
 *	speculative   in an RCU read section, without any lock but that of the page's entry, which it
 *	              does not wait for; nothing blocks. What is not there yet, or is being changed, makes
 *	              it fall back.
 *	ranged        with the page's range held for reading: the VMA stays, and what is missing (a
 *	              table, a frame, a page of a file) is made, and waited for.
 *	coarse        with everything held for writing: a stack grows.
 *
 * The first two do the same: look the VMA up, see what the entry is, prepare what it is to become
 * (a new frame, a copy), lock the entry if it is as it was, check that the VMA is as it was, and that the
 * table is not dead if the entry was empty, and store the new entry. See vma.h for why that is correct
 * without the range, and page_table.h for the table. With the range the count of the VMA need not be
 * checked; the entry may still have been changed, by another fault or an madvise().
 *
 * A page of a file is accessed before it is mapped, and before a private copy of it is used again: so a
 * fault tells that the file has become shorter. The first access of all is made with the range, as it
 * may wait for the file.
 */
#include "bytes.h"
#include "guard.h"
#include "internal.h"

#include <errno.h>

struct fault {
	struct mm *mm;
	struct mm__thread *thread;
	uint64_t page;
	int access;
	bool speculative;
	struct mm__vma *vma;
	uint64_t seq;
	void *file; /* the page of the file that the VMA shows; NULL: it shows none */
	struct mm__table *table;
	uint64_t seen; /* the entry as it was */
	bool reclaimed;
};

/*
 * What a try comes to: 0, a positive errno value, or one of these: a reason to fall back, or to try
 * again when there is nothing to fall back to.
 */
static int fall_back(enum mm_fallback reason)
{
	return -1 - (int)reason;
}

static enum mm_fallback reason_of(int result)
{
	return (enum mm_fallback)(-1 - result);
}

/* With the entry locked: 0 if it may be changed. */
static int may_commit(const struct fault *f)
{
	if (MM__LOCKING && f->speculative && !mm__vma_unchanged(f->vma, f->seq))
		return fall_back(MM_FALLBACK_CHANGED);
	if (!f->seen && mm__table_dead(f->table))
		return fall_back(MM_FALLBACK_TABLE);
	return 0;
}

/*
 * Stores the entry if all is as it was. With another frame than before, no thread may read the old one
 * any more once some thread can write to the new one: so threads that may have the old one in their
 * TLBs lose it in between. The thread has the new entry in its TLB before others can change it, and then
 * stop the thread.
 */
static int commit(struct fault *f, uint64_t entry)
{
	struct mm__thread_set set = { .all = false };
	int result;

	if (!mm__entry_trylock(f->table, f->page, f->seen))
		return fall_back(MM_FALLBACK_ENTRY);
	result = may_commit(f);
	if (result) {
		mm__entry_unlock(f->table, f->page, f->seen);
		return result;
	}
	if (f->seen && mm__entry_bytes(f->seen) != mm__entry_bytes(entry)) {
		mm__thread_set_add(&set, mm__entry_owner(f->seen));
		mm__tlb_flush(f->mm, f->thread, &set, f->page, f->page + MM_PAGE_SIZE);
	}
	mm__tlb_insert(f->thread, f->page, entry, f->file);
	mm__entry_unlock(f->table, f->page, entry);
	return 0;
}

/*
 * The entry allows the access: it only has to be one that this thread may have in its TLB. A private
 * copy of a page of a file goes into the TLB here, see walk().
 */
static int claim(struct fault *f)
{
	uint32_t owner = mm__entry_owner(f->seen);
	uint32_t self = f->thread->number;
	bool mine = owner == self || owner == MM__MANY_THREADS;
	int result = 0;

	if (!mine)
		result = commit(f, mm__entry_with_owner(f->seen, owner ? MM__MANY_THREADS : self));
	else if (f->seen & MM__COPY)
		result = commit(f, f->seen);
	if (!result)
		mm__count(f->thread, MM__FAULT_PRESENT);
	return result;
}

/* The accesses that an entry allows when this one has been granted. */
static int entry_prot(const struct fault *f, bool writable)
{
	int prot = mm__effective_prot(mm__vma_prot(f->vma));

	return writable ? prot : prot & ~MM_PROT_WRITE;
}

/* Maps a page where there is none, or another. kind is 0, MM__FILE or MM__COPY. */
static int map_page(struct fault *f, const void *bytes, uint64_t kind, bool writable)
{
	int result = commit(f, mm__entry_of(bytes, kind, entry_prot(f, writable), f->thread->number));

	if (!result && !f->seen)
		mm__count(f->thread, MM__PAGE_IN);
	return result;
}

/* The page that is mapped stays, and allows more. */
static int allow(struct fault *f, bool writable)
{
	uint32_t owner = mm__entry_owner(f->seen);
	uint32_t self = f->thread->number;

	return commit(f, mm__entry_of(mm__entry_bytes(f->seen), f->seen & (MM__FILE | MM__COPY),
				      entry_prot(f, writable),
				      owner == 0 || owner == self ? self : MM__MANY_THREADS));
}

static uint64_t file_index(const struct fault *f)
{
	return (f->vma->offset + f->page) >> MM_PAGE_SHIFT;
}

/* A private page of zeroes. */
static int map_zeroes(struct fault *f)
{
	struct mm__frame *frame = mm__thread_frame(f->thread);
	int result;

	if (!frame)
		return fall_back(MM_FALLBACK_NO_FRAME);
	result = map_page(f, mm__frame_bytes(frame), 0, true);
	if (result)
		mm__thread_drop_frames(f->thread, &frame, 1);
	return result;
}

/*
 * Copies what is in a frame to one of zeroes, while others may write to it: then the copy is thrown
 * away.
 */
static void copy_frame(struct mm__frame *to, struct mm__frame *from)
{
	/* relaxed: as the bytes */
	uint64_t dirty = atomic_load_explicit(&from->dirty, memory_order_relaxed);
	char *to_bytes = mm__frame_bytes(to);
	const char *from_bytes = mm__frame_bytes(from);

	for (uint64_t rest = dirty; rest; rest &= rest - 1) {
		size_t offset = (size_t)__builtin_ctzll(rest) << MM__LINE_SHIFT;

		mm__bytes_copy(to_bytes + offset, from_bytes + offset, 1u << MM__LINE_SHIFT);
	}
	atomic_store_explicit(&to->dirty, dirty, memory_order_relaxed);
}

/* Whether a translation has to be taken from other threads, and so waited for. */
static bool others_have_it(const struct fault *f)
{
	uint32_t owner = mm__entry_owner(f->seen);

	return owner && owner != f->thread->number;
}

/* The same for a page of a file, which others may write to at any time. False: it is gone. */
static bool copy_file(struct mm__frame *to, const void *from)
{
	atomic_store_explicit(&to->dirty, UINT64_MAX, memory_order_relaxed);
	return mm__guard_copy(mm__frame_bytes(to), from, MM_PAGE_SIZE, from);
}

/* A write to a private page whose frame is not this space's alone; from is NULL: which is a file's. */
static int copy_on_write(struct fault *f, struct mm__frame *from)
{
	struct mm__frame *copy;
	int result = 0;

	if (f->speculative && f->seen && others_have_it(f))
		return fall_back(MM_FALLBACK_FLUSH);
	copy = mm__thread_frame(f->thread);
	if (!copy)
		return fall_back(MM_FALLBACK_NO_FRAME);
	if (from)
		copy_frame(copy, from);
	else if (!copy_file(copy, f->file))
		result = fall_back(MM_FALLBACK_NO_PAGE);
	if (!result)
		result = map_page(f, mm__frame_bytes(copy), f->file ? MM__COPY : 0, true);
	/* Now one of the two is not mapped. */
	if (result)
		mm__thread_drop_frames(f->thread, &copy, 1);
	else if (from)
		mm__thread_drop_frames(f->thread, &from, 1);
	return result;
}

/* Maps the page of shared memory itself. */
static int map_shared(struct fault *f, bool write)
{
	void *bytes = mm__inode_find(f->vma->inode, file_index(f));
	struct mm__frame *frame;
	int result;

	if (!bytes)
		return fall_back(MM_FALLBACK_NO_PAGE);
	frame = mm__frame_of(bytes);
	mm__frame_get(frame);
	result = map_page(f, bytes, 0, write);
	if (result)
		mm__frame_put(frame);
	return result;
}

/* Nothing is mapped yet. */
static int map_new(struct fault *f, bool write)
{
	if (!f->vma->inode)
		return map_zeroes(f);
	if (!f->file)
		return map_shared(f, write);
	if (write && mm__vma_flags(f->vma) & MM_MAP_PRIVATE)
		return copy_on_write(f, NULL);
	return map_page(f, f->file, MM__FILE, write);
}

/* A page is mapped, and does not allow the access. */
static int allow_more(struct fault *f, bool write)
{
	struct mm__frame *frame;

	if (!write || mm__vma_flags(f->vma) & MM_MAP_SHARED)
		return allow(f, write);
	if (f->seen & MM__FILE)
		return copy_on_write(f, NULL);
	frame = mm__entry_frame(f->seen);
	/*
	 * The reference is this entry's, and if it is the only one, nobody else can get one: but for
	 * mm_fork(), which makes the count of the VMA odd before.
	 */
	return mm__frame_exclusive(frame) ? allow(f, true) : copy_on_write(f, frame);
}

/* Whether the file has the page, if the VMA shows one. */
static bool find_file(struct fault *f)
{
	struct mm__inode *inode = f->vma->inode;

	f->file = NULL;
	if (!inode || !mm__inode_is_file(inode))
		return true;
	f->file = mm__inode_find(inode, file_index(f));
	return f->file && mm__guard_probe(f->file, false);
}

/* With the VMA and the table found. */
static int serve(struct fault *f)
{
	bool write = f->access & MM_PROT_WRITE;

	f->seen = mm__entry_load(f->table, f->page);
	if (!find_file(f))
		return fall_back(MM_FALLBACK_NO_PAGE);
	if (!f->seen)
		return map_new(f, write);
	if (f->seen & MM__BUSY)
		return fall_back(MM_FALLBACK_ENTRY);
	return mm__entry_allows(f->seen, f->access) ? claim(f) : allow_more(f, write);
}

/* With the table found; NULL: there is none. */
static int try_speculative(struct fault *f)
{
	struct mm__mapping m;

	if (!mm__vma_tree_look(&f->mm->vmas, f->page, &m, &f->thread->look))
		return fall_back(MM_FALLBACK_NO_AREA);
	f->vma = m.vma;
	if (MM__LOCKING && !mm__vma_begin(m.vma, &f->seq))
		return fall_back(MM_FALLBACK_CHANGING);
	if (f->access & ~mm__effective_prot(mm__vma_prot(m.vma)))
		return fall_back(MM_FALLBACK_ACCESS);
	return f->table ? serve(f) : fall_back(MM_FALLBACK_NO_TABLE);
}

/* Whether a fault is served without a lock; counts. In an RCU read section. */
static bool speculative(struct fault *f)
{
	int result;

	if (f->mm->attr.locking != MM_LOCKING_SPECULATIVE && MM__LOCKING)
		return false;
	f->speculative = true;
	result = try_speculative(f);
	mm__count(f->thread, result ? MM__FALLBACK + reason_of(result) : MM__SERVED_SPECULATIVE);
	return !result;
}

/*
 * What the processor does first: looks for an entry that allows the access, and puts it into the
 * TLB. Whose TLB may have an entry is said in it: so whoever changes it knows whom to stop, and
 * either stops this thread afterwards, or is seen here. Not that of a private copy, with which the
 * page of the file goes into the TLB.
 */
static bool walk(struct fault *f)
{
	uint64_t entry;
	bool found;

	if (!f->table)
		return false;
	mm__thread_enter(f->thread);
	entry = mm__entry_load(f->table, f->page);
	found = mm__entry_allows(entry, f->access) && mm__entry_is_for(entry, f->thread->number);
	found = found && !(entry & MM__COPY);
	if (found)
		*mm__tlb_slot(f->thread, f->page) = (struct mm__tlb_entry){ f->page + 1, entry, NULL };
	mm__thread_leave(f->thread);
	return found;
}

/*
 * With the range
 */

static int fail(struct mm_siginfo *info, uint64_t addr, enum mm_fault_code code)
{
	if (info) {
		info->addr = addr;
		info->code = code;
	}
	return EFAULT;
}

/*
 * Without the VMA tree lock, a VMA may be missed that is merging with another. Neither the VMA that is
 * found nor what it says can change: at most it is replaced by one that says the same.
 */
static bool find_vma(struct fault *f)
{
	struct mm__mapping m = { 0, 0, NULL };
	bool found = mm__vma_tree_at(&f->mm->vmas, f->page, &m);

	if (!found) {
		mm__tree_lock(f->mm);
		found = mm__vma_tree_at(&f->mm->vmas, f->page, &m);
		mm__tree_unlock(f->mm, f->thread);
	}
	f->vma = m.vma;
	return found;
}

/* A page that an inode does not have yet. */
struct missing {
	struct mm__inode *inode; /* with a reference */
	uint64_t index;
	bool write; /* it is to be stored to */
};

/* One try in a read section. *missing: the page that has to be made first. */
static int try_ranged(struct fault *f, struct mm_siginfo *info, struct missing *missing)
{
	int result;

	if (!find_vma(f))
		return fail(info, f->page, MM_SEGV_MAPERR);
	if (f->access & ~mm__effective_prot(mm__vma_prot(f->vma)))
		return fail(info, f->page, MM_SEGV_ACCERR);
	f->table = mm__table_make(&f->mm->page_table, f->thread, f->page);
	if (!f->table)
		return ENOMEM;
	mm__entry_await(f->table, f->page);
	result = serve(f);
	if (result == fall_back(MM_FALLBACK_NO_PAGE)) {
		missing->inode = f->vma->inode;
		missing->index = file_index(f);
		missing->write =
			f->access & MM_PROT_WRITE && mm__vma_flags(f->vma) & MM_MAP_SHARED;
		/* While the range is held, some VMA keeps it, though maybe not f->vma any more. */
		mm__inode_get(missing->inode);
	}
	return result;
}

/*
 * Takes the copy out, unless the file has the page. Returns its frame, or NULL.
 *
 * [COPY-L] A copy is dropped only if the file does not have the page at a moment when no thread can
 * write to the copy, and no thread has written to it since. The fault that found the page missing is
 * no such moment: the file may have grown since, and another thread may have written to the copy
 * through its TLB. So the entry is locked first, which keeps it out of TLBs; then the flush, after which
 * all writes through TLBs are over; then the file is asked again, with the entry still locked, so that no
 * fault gives the copy to a thread in between. If the file lacks the page then, a truncation came after the
 * last write, and has discarded it as in Linux: what the file does later changes nothing, because faults
 * copy the page anew. If the file has the page, the copy stays, and no thread has it in its TLB.
 */
static struct mm__frame *take_copy(struct fault *f)
{
	const uint64_t same = MM__FRAME_BITS | MM__PRESENT | MM__COPY;
	uint64_t entry = mm__entry_lock(f->table, f->page);
	struct mm__thread_set set = { .all = false };
	uint64_t left = entry;

	if (!entry)
		return NULL;
	if (!((entry ^ f->seen) & same)) {
		mm__thread_set_add(&set, mm__entry_owner(entry));
		mm__tlb_flush(f->mm, f->thread, &set, f->page, f->page + MM_PAGE_SIZE);
		left = mm__inode_has(f->vma->inode, file_index(f)) ? mm__entry_with_owner(entry, 0)
								    : 0;
	}
	mm__entry_unlock(f->table, f->page, left);
	return left ? NULL : mm__entry_frame(entry);
}

/* With the range held; f->seen is, or was, the entry of a page that the file did not have. */
static void drop_copy(struct fault *f)
{
	struct mm__frame *frame = NULL;

	if (!(f->seen & MM__COPY))
		return;
	mm__rcu_read_lock();
	f->table = mm__table_find(&f->mm->page_table, f->page);
	/* The VMA before the entry: it may take the VMA tree lock, which comes before in lock.h. */
	if (f->table && find_vma(f))
		frame = take_copy(f);
	mm__rcu_read_unlock();
	if (!frame)
		return;
	mm__count(f->thread, MM__PAGE_OUT);
	mm__thread_drop_frames(f->thread, &frame, 1);
	mm__table_emptied(&f->mm->page_table, f->thread, f->page);
}

/* The page is made without the read section, as that may take long. */
static int make_page(struct fault *f, struct mm_siginfo *info, const struct missing *missing)
{
	int error;

	mm__order_may_block("a file is read");
	error = mm__inode_make(missing->inode, missing->index, missing->write);
	mm__inode_put(missing->inode);
	if (error == ENOMEM && !f->reclaimed) {
		f->reclaimed = true;
		mm__thread_reclaim(f->thread);
		return 0;
	}
	if (!error || error == ENOMEM)
		return error;
	drop_copy(f);
	return fail(info, f->page, MM_BUS_ADRERR);
}

/* Gets what was missing. 0: now it can be tried again. */
static int provide(struct fault *f, int result, struct mm_siginfo *info,
		   const struct missing *missing)
{
	if (result == fall_back(MM_FALLBACK_NO_FRAME))
		return mm__thread_refill(f->thread);
	if (result == fall_back(MM_FALLBACK_NO_PAGE))
		return make_page(f, info, missing);
	if (result == fall_back(MM_FALLBACK_TABLE))
		mm__table_settle(&f->mm->page_table, f->page);
	/* Otherwise another fault or an madvise() was faster. */
	return 0;
}

/* With the page's range held. */
static int serve_ranged(struct fault *f, struct mm_siginfo *info)
{
	f->speculative = false;
	for (;;) {
		struct missing missing = { NULL, 0, false };
		int result;
		int error;

		mm__rcu_read_lock();
		result = try_ranged(f, info, &missing);
		mm__rcu_read_unlock();
		if (result >= 0)
			return result;
		error = provide(f, result, info, &missing);
		if (error)
			return error;
	}
}

static int ranged(struct fault *f, struct mm_siginfo *info)
{
	struct mm__hold hold;
	int error = mm__hold_read(f->thread, &hold, f->page, f->page + MM_PAGE_SIZE);

	if (error)
		return error;
	error = serve_ranged(f, info);
	mm__release(f->thread, &hold);
	return error;
}

/*
 * With everything
 */

static bool is_below_stack(const struct fault *f)
{
	struct mm__mapping stack;
	bool grows;

	mm__tree_lock(f->mm);
	grows = mm__stack_may_grow(f->mm, f->page, &stack);
	mm__tree_unlock(f->mm, f->thread);
	return grows;
}

static int coarse(struct fault *f, struct mm_siginfo *info)
{
	struct mm__hold hold;
	int error = mm__hold_write(f->thread, &hold, 0, UINT64_MAX);

	if (error)
		return error;
	error = mm__stack_grow(f->thread, f->page);
	if (!error)
		error = serve_ranged(f, info);
	mm__release(f->thread, &hold);
	return error;
}

static int serve_with_locks(struct fault *f, uint64_t addr, struct mm_siginfo *info)
{
	struct mm_siginfo why = { 0, MM_SEGV_MAPERR };
	enum mm__event served = MM__SERVED_RANGED;
	int error = ranged(f, &why);

	if (error == EFAULT && why.code == MM_SEGV_MAPERR && is_below_stack(f)) {
		served = MM__SERVED_COARSE;
		error = coarse(f, &why);
	}
	mm__count(f->thread, served);
	if (error)
		mm__count(f->thread, MM__FAULT_FAILED);
	return error == EFAULT ? fail(info, addr, why.code) : error;
}

static int serve_fault(struct mm__thread *thread, uint64_t addr, int access, bool walks,
		       struct mm_siginfo *info)
{
	struct fault fault = {
		.mm = thread->mm, .thread = thread, .page = mm__page_start(addr), .access = access
	};
	bool served;

	if (addr >= MM_ADDR_MAX) {
		mm__count(thread, MM__SERVED_SPECULATIVE);
		mm__count(thread, MM__FAULT_FAILED);
		return fail(info, addr, MM_SEGV_MAPERR);
	}
	mm__rcu_read_lock();
	fault.table = mm__table_find(&thread->mm->page_table, fault.page);
	served = (walks && walk(&fault)) || speculative(&fault);
	mm__rcu_read_unlock();
	mm__divide_if_strained(thread);
	return served ? 0 : serve_with_locks(&fault, addr, info);
}

int mm__fault(struct mm__thread *thread, uint64_t addr, int access, struct mm_siginfo *info)
{
	return serve_fault(thread, addr, access, false, info);
}

int mm__tlb_fill(struct mm__thread *thread, uint64_t addr, int access, struct mm_siginfo *info)
{
	return serve_fault(thread, addr, access, true, info);
}

int mm__file_ended(struct mm__thread *thread, uint64_t addr, uint64_t entry, struct mm_siginfo *info)
{
	struct fault fault = {
		.mm = thread->mm, .thread = thread, .page = mm__page_start(addr), .seen = entry
	};
	struct mm__hold hold;

	/* Without the range, which the thread may hold parts of, the copy stays until the next fault. */
	if (entry & MM__COPY && !mm__hold_read(thread, &hold, fault.page, fault.page + MM_PAGE_SIZE)) {
		drop_copy(&fault);
		mm__release(thread, &hold);
	}
	mm__count(thread, MM__SERVED_RANGED);
	mm__count(thread, MM__FAULT_FAILED);
	return fail(info, addr, MM_BUS_ADRERR);
}

int mm__populate(struct mm__thread *thread, uint64_t start, uint64_t end, int access)
{
	int error = 0;

	for (; start < end && !error; start += MM_PAGE_SIZE)
		error = mm__fault(thread, start, access, NULL);
	return error;
}

void mm__populate_held(struct mm__thread *thread, uint64_t start, uint64_t end, int access)
{
	int error = 0;

	for (; start < end && !error; start += MM_PAGE_SIZE) {
		struct fault fault = { .mm = thread->mm, .thread = thread, .page = start, .access = access };

		error = serve_ranged(&fault, NULL);
		mm__count(thread, MM__SERVED_RANGED);
		if (error)
			mm__count(thread, MM__FAULT_FAILED);
	}
}

int mm_fault(struct mm *mm, uint64_t addr, int access, struct mm_siginfo *info)
{
	struct mm__thread *thread;

	if (!access || access & ~MM__PROT_ALL)
		return EINVAL;
	thread = mm__this_thread(mm);
	return thread ? mm__fault(thread, addr, access, info) : ENOMEM;
}
