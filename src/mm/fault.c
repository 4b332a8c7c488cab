/* SPDX-License-Identifier: MIT */
/*
 * Page faults. A fault tries up to three ways, each with more locks than the one before:
 *
 *	speculative   in an RCU read section. The fault locks only the page's entry, does not wait
 *	              for it, and never blocks. It falls back if something is missing or is being
 *	              changed.
 *	ranged        with the page's range held for reading, so the VMA stays. The fault makes what
 *	              is missing (a table, a frame, a page of a file) and waits for it.
 *	coarse        with the whole space held for writing: a stack grows.
 *
 * The first two do the same. The fault looks the VMA up, loads the entry, and prepares the new page
 * (a new frame, or a copy). It locks the entry if the entry is unchanged. Then it checks that the
 * VMA is unchanged and, if the entry was empty, that the table is not dead, and stores the new
 * entry. See vma.h for why this is correct without the range, and page_table.h for the table. A
 * fault that holds the range need not check the VMA's count. The entry may still have been changed
 * by another fault or by an madvise().
 *
 * A fault accesses a page of a file before it maps the page, and before it uses a private copy of
 * the page again. So it notices that the file has become shorter. The very first access is made
 * with the range held, because it may wait for the file.
 */
#include "fault.h"

#include "attach.h"
#include "bytes.h"
#include "frame_supply.h"
#include "guard.h"
#include "hold.h"
#include "inode.h"
#include "page.h"
#include "platform/probe.h"
#include "stack.h"
#include "tlb.h"
#include "tree_lock.h"
#include "vma.h"

#include <errno.h>

struct fault {
	struct mm *mm;
	struct mm__thread *thread;
	uint64_t page;
	int access;
	bool speculative;
	struct mm__vma *vma;
	uint64_t seq;
	void *file; /* the page of the file that the VMA maps; NULL: the VMA maps no file */
	struct mm__table *table;
	uint64_t seen; /* the entry that the fault has loaded */
	bool reclaimed;
};

/*
 * The result of a try is 0, a positive errno value, or one of these negative values: a reason to
 * fall back or, for a ranged fault, to try again.
 */
static int fall_back(enum mm_fallback reason)
{
	return -1 - (int)reason;
}

static enum mm_fallback reason_of(int result)
{
	return (enum mm_fallback)(-1 - result);
}

/* How a fault was served: the fourth argument of the probe mm_fault. */
enum { SERVED_SPECULATIVE, SERVED_RANGED, SERVED_COARSE };

/* Counts a fault that has ended, with 0 or an errno value. */
static void end_fault(const struct fault *f, int served, int error)
{
	MMRANGE__PROBE5(mm_fault, f->mm, f->page, f->access, served, error);
	mm__count(f->thread, served == SERVED_COARSE   ? MM__SERVED_COARSE
			     : served == SERVED_RANGED ? MM__SERVED_RANGED
						       : MM__SERVED_SPECULATIVE);
	if (error)
		mm__count(f->thread, MM__FAULT_FAILED);
}

/* With the entry locked. 0: the fault may store the new entry. */
static int may_commit(const struct fault *f)
{
	if (f->speculative && !mm__vma_unchanged(f->vma, f->seq))
		return fall_back(MM_FALLBACK_CHANGED);
	if (!f->seen && mm__table_dead(f->table))
		return fall_back(MM_FALLBACK_TABLE);
	return 0;
}

/*
 * Stores the new entry if the old one, the VMA and the table are unchanged. If the entry gets
 * another frame, no thread may read the old frame any more once some thread can write to the new
 * one. So threads that may have the old entry in their TLBs lose it in between. This thread puts
 * the new entry into its own TLB before it unlocks the entry. So other threads can change the
 * entry, and interrupt this thread, only afterwards.
 */
static int commit_entry(struct fault *f, uint64_t entry)
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
 * The entry allows the access. The fault only marks it as one that this thread may have in its TLB.
 * A private copy of a page of a file goes into the TLB here, see walk_table().
 */
static int claim_entry(struct fault *f)
{
	uint32_t owner = mm__entry_owner(f->seen);
	uint32_t self = f->thread->number;
	bool mine = owner == self || owner == MM__MANY_THREADS;
	int result = 0;

	if (!mine)
		result = commit_entry(
			f, mm__entry_with_owner(f->seen, owner ? MM__MANY_THREADS : self));
	else if (f->seen & MM__COPY)
		result = commit_entry(f, f->seen);
	if (!result)
		mm__count(f->thread, MM__FAULT_PRESENT);
	return result;
}

/* The accesses that the entry is to allow. writable: writing, too, if the VMA allows it. */
static int entry_prot(const struct fault *f, bool writable)
{
	int prot = mm__effective_prot(mm__vma_prot(f->vma));

	return writable ? prot : prot & ~MM_PROT_WRITE;
}

/* Maps a page in place of none, or of another one. kind is 0, MM__FILE or MM__COPY. */
static int map_page(struct fault *f, const void *bytes, uint64_t kind, bool writable)
{
	int result = commit_entry(
		f, mm__entry_of(bytes, kind, entry_prot(f, writable), f->thread->number));

	if (!result && !f->seen)
		mm__count(f->thread, MM__PAGE_IN);
	return result;
}

/* Keeps the mapped page, and allows more accesses. */
static int allow_access(struct fault *f, bool writable)
{
	uint32_t owner = mm__entry_owner(f->seen);
	uint32_t self = f->thread->number;

	return commit_entry(f,
			    mm__entry_of(mm__entry_bytes(f->seen), f->seen & (MM__FILE | MM__COPY),
					 entry_prot(f, writable),
					 owner == 0 || owner == self ? self : MM__MANY_THREADS));
}

static uint64_t file_index(const struct fault *f)
{
	return (f->vma->offset + f->page) >> MM_PAGE_SHIFT;
}

/* Maps a private page of zeroes. */
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
 * Copies the contents of a frame to a frame of zeroes. Other threads may write to the first one
 * meanwhile; then the caller throws the copy away.
 */
static void copy_frame(struct mm__frame *to, struct mm__frame *from)
{
	/* relaxed: like the loads of the bytes */
	uint64_t dirty = atomic_load_explicit(&from->dirty, memory_order_relaxed);
	char *to_bytes = mm__frame_bytes(to);
	const char *from_bytes = mm__frame_bytes(from);

	for (uint64_t rest = dirty; rest; rest &= rest - 1) {
		size_t offset = (size_t)__builtin_ctzll(rest) << MM__LINE_SHIFT;

		mm__bytes_copy(to_bytes + offset, from_bytes + offset, 1u << MM__LINE_SHIFT);
	}
	atomic_store_explicit(&to->dirty, dirty, memory_order_relaxed);
}

/* Whether the fault would have to flush the TLBs of other threads, and so wait for them. */
static bool others_have_it(const struct fault *f)
{
	uint32_t owner = mm__entry_owner(f->seen);

	return owner && owner != f->thread->number;
}

/*
 * As copy_frame(), from a page of a file. Other threads may write to that page at any time. False:
 * the file does not have the page any more.
 */
static bool copy_file(struct mm__frame *to, const void *from)
{
	atomic_store_explicit(&to->dirty, UINT64_MAX, memory_order_relaxed);
	return mm__guard_copy(mm__frame_bytes(to), from, MM_PAGE_SIZE, from);
}

/*
 * A write to a private page whose frame this space shares with others, or (from is NULL) to a page
 * of a file: maps a copy.
 */
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
	/* Either the copy or from is not mapped now. */
	if (result)
		mm__thread_drop_frames(f->thread, &copy, 1);
	else if (from)
		mm__thread_drop_frames(f->thread, &from, 1);
	return result;
}

/* Maps the page of shared memory itself, not a copy. */
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

/* The entry is empty. */
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

/* The entry has a page, and does not allow the access. */
static int allow_more(struct fault *f, bool write)
{
	struct mm__frame *frame;

	if (!write || mm__vma_flags(f->vma) & MM_MAP_SHARED)
		return allow_access(f, write);
	if (f->seen & MM__FILE)
		return copy_on_write(f, NULL);
	frame = mm__entry_frame(f->seen);
	/*
	 * The reference is this entry's. If it is the only one, no other thread can get a
	 * reference, except for mm_fork(), which makes the VMA's count odd first.
	 */
	return mm__frame_exclusive(frame) ? allow_access(f, true) : copy_on_write(f, frame);
}

/* False: the VMA maps a file, and the file does not have the page. */
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
static int serve_entry(struct fault *f)
{
	bool write = f->access & MM_PROT_WRITE;

	f->seen = mm__entry_load(f->table, f->page);
	if (!find_file(f))
		return fall_back(MM_FALLBACK_NO_PAGE);
	if (!f->seen)
		return map_new(f, write);
	if (f->seen & MM__BUSY)
		return fall_back(MM_FALLBACK_ENTRY);
	return mm__entry_allows(f->seen, f->access) ? claim_entry(f) : allow_more(f, write);
}

/* f->table is the lowest table of the page; NULL: there is none. */
static int try_speculative(struct fault *f)
{
	struct mm__mapping m;

	if (!mm__vma_tree_look(&f->mm->vmas, f->page, &m, &f->thread->look))
		return fall_back(MM_FALLBACK_NO_AREA);
	f->vma = m.vma;
	if (!mm__vma_begin(m.vma, &f->seq))
		return fall_back(MM_FALLBACK_CHANGING);
	if (f->access & ~mm__effective_prot(mm__vma_prot(m.vma)))
		return fall_back(MM_FALLBACK_ACCESS);
	return f->table ? serve_entry(f) : fall_back(MM_FALLBACK_NO_TABLE);
}

/* Tries to serve the fault without the range, and counts the result. In an RCU read section. */
static bool fault_speculative(struct fault *f)
{
	int result;

	if (f->mm->attr.locking != MM_LOCKING_SPECULATIVE)
		return false;
	f->speculative = true;
	result = try_speculative(f);
	mm__count(f->thread, result ? MM__FALLBACK + reason_of(result) : MM__SERVED_SPECULATIVE);
	if (result)
		MMRANGE__PROBE4(mm_fallback, f->mm, f->page, f->access, (int)reason_of(result));
	else
		MMRANGE__PROBE5(mm_fault, f->mm, f->page, f->access, SERVED_SPECULATIVE, 0);
	return !result;
}

/*
 * Does what a processor does first: looks for an entry that allows the access, and puts it into the
 * TLB. Each entry records which threads may have it in their TLBs. So a thread that changes the
 * entry knows which threads to interrupt. It either interrupts this thread afterwards, or this
 * thread sees the changed entry. walk_table() leaves out private copies of pages of files, because
 * with a copy the page of the file goes into the TLB.
 */
static bool walk_table(struct fault *f)
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
		*mm__tlb_slot(f->thread, f->page) =
			(struct mm__tlb_entry){ f->page + 1, entry, NULL };
	mm__thread_leave(f->thread);
	return found;
}

/*
 * Faults with the range held
 */

static int fail_fault(struct mm_siginfo *info, uint64_t addr, enum mm_fault_code code)
{
	if (info) {
		info->addr = addr;
		info->code = code;
	}
	return EFAULT;
}

/*
 * A lookup without the VMA tree lock may miss a VMA that is being merged with another one. While
 * the range is held, the VMA that it finds does not change. At most, an equal VMA replaces it.
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
	bool write; /* the fault is going to write to it */
};

/* One try, in a read section. *missing: the page that has to be made before the next try. */
static int try_ranged(struct fault *f, struct mm_siginfo *info, struct missing *missing)
{
	int result;

	if (!find_vma(f))
		return fail_fault(info, f->page, MM_SEGV_MAPERR);
	if (f->access & ~mm__effective_prot(mm__vma_prot(f->vma)))
		return fail_fault(info, f->page, MM_SEGV_ACCERR);
	f->table = mm__table_make(&f->mm->page_table, f->thread, f->page);
	if (!f->table)
		return ENOMEM;
	mm__entry_await(f->table, f->page);
	result = serve_entry(f);
	if (result == fall_back(MM_FALLBACK_NO_PAGE)) {
		missing->inode = f->vma->inode;
		missing->index = file_index(f);
		missing->write = f->access & MM_PROT_WRITE && mm__vma_flags(f->vma) & MM_MAP_SHARED;
		/*
		 * While the range is held, some VMA keeps the inode, but maybe not f->vma any more.
		 */
		mm__inode_get(missing->inode);
	}
	return result;
}

/*
 * Takes the private copy out of its entry, unless the file has the page. Returns the copy's frame,
 * or NULL.
 *
 * [COPY-L] A copy is dropped only if the file does not have the page at a moment when no thread can
 * write to the copy, and no thread has written to the copy since that moment. The moment at
 * which the fault found the page missing does not qualify: since then the file may have grown, and
 * another thread may have written to the copy through its TLB. So this function
 *
 * - locks the entry first, which keeps it out of TLBs;
 * - then flushes the TLBs, after which all writes through TLBs are over;
 * - then asks the file again, with the entry still locked, so that no fault gives the copy to a
 *   thread in between.
 *
 * If the file lacks the page then, a truncation came after the last write, and has discarded that
 * write, as in Linux. Later changes of the file do not matter, because faults copy the page anew.
 * If the file has the page, the copy stays, and no thread has it in its TLB.
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

/* With the range held. f->seen is or was the entry of a page that the file did not have. */
static void drop_copy(struct fault *f)
{
	struct mm__frame *frame = NULL;

	if (!(f->seen & MM__COPY))
		return;
	mm__rcu_read_lock();
	f->table = mm__table_find(&f->mm->page_table, f->page);
	/*
	 * The VMA before the entry: find_vma() may take the VMA tree lock, which comes first in
	 * lock.h.
	 */
	if (f->table && find_vma(f))
		frame = take_copy(f);
	mm__rcu_read_unlock();
	if (!frame)
		return;
	mm__count(f->thread, MM__PAGE_OUT);
	mm__thread_drop_frames(f->thread, &frame, 1);
	mm__table_emptied(&f->mm->page_table, f->thread, f->page);
}

/* Makes the page outside the read section, because that may take long. */
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
	return fail_fault(info, f->page, MM_BUS_ADRERR);
}

/* Makes or gets whatever the result says is missing. 0: the fault can try again. */
static int provide_missing(struct fault *f, int result, struct mm_siginfo *info,
			   const struct missing *missing)
{
	if (result == fall_back(MM_FALLBACK_NO_FRAME))
		return mm__thread_refill(f->thread);
	if (result == fall_back(MM_FALLBACK_NO_PAGE))
		return make_page(f, info, missing);
	if (result == fall_back(MM_FALLBACK_TABLE))
		mm__table_await_removal(&f->mm->page_table, f->page);
	/* For any other result, another fault or an madvise() was faster. */
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
		error = provide_missing(f, result, info, &missing);
		if (error)
			return error;
	}
}

static int fault_ranged(struct fault *f, struct mm_siginfo *info)
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
 * Faults with the whole space held
 */

/* What a fault finds that had found no VMA while it held the range of its page. */
enum page_state { UNMAPPED, MAPPED, BELOW_STACK };

static enum page_state look_for_page(const struct fault *f)
{
	enum page_state state = UNMAPPED;
	struct mm__mapping m;

	mm__tree_lock(f->mm);
	/* Meanwhile another thread may have mapped the page, or grown the stack over it. */
	if (mm__vma_tree_at(&f->mm->vmas, f->page, &m))
		state = MAPPED;
	else if (mm__stack_may_grow(f->mm, f->page, &m))
		state = BELOW_STACK;
	mm__tree_unlock(f->mm, f->thread);
	return state;
}

static int fault_coarse(struct fault *f, struct mm_siginfo *info)
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
	int served = SERVED_RANGED;
	enum page_state state;
	int error;

	do {
		error = fault_ranged(f, &why);
		state = error == EFAULT && why.code == MM_SEGV_MAPERR ? look_for_page(f) : UNMAPPED;
	} while (state == MAPPED);
	if (state == BELOW_STACK) {
		served = SERVED_COARSE;
		error = fault_coarse(f, &why);
	}
	end_fault(f, served, error);
	return error == EFAULT ? fail_fault(info, addr, why.code) : error;
}

static int serve_fault(struct mm__thread *thread, uint64_t addr, int access, bool walks,
		       struct mm_siginfo *info)
{
	struct fault fault = {
		.mm = thread->mm, .thread = thread, .page = mm__page_start(addr), .access = access
	};
	bool served;

	if (addr >= MM_ADDR_MAX) {
		end_fault(&fault, SERVED_SPECULATIVE, EFAULT);
		return fail_fault(info, addr, MM_SEGV_MAPERR);
	}
	mm__rcu_read_lock();
	fault.table = mm__table_find(&thread->mm->page_table, fault.page);
	served = (walks && walk_table(&fault)) || fault_speculative(&fault);
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

int mm__file_ended(struct mm__thread *thread, uint64_t addr, uint64_t entry,
		   struct mm_siginfo *info)
{
	struct fault fault = {
		.mm = thread->mm, .thread = thread, .page = mm__page_start(addr), .seen = entry
	};
	struct mm__hold hold;

	/*
	 * Dropping the copy needs the range. If the thread holds a part of the range itself, the
	 * copy stays until the next fault.
	 */
	if (entry & MM__COPY &&
	    !mm__hold_read(thread, &hold, fault.page, fault.page + MM_PAGE_SIZE)) {
		drop_copy(&fault);
		mm__release(thread, &hold);
	}
	end_fault(&fault, SERVED_RANGED, EFAULT);
	return fail_fault(info, addr, MM_BUS_ADRERR);
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
		struct fault fault = {
			.mm = thread->mm, .thread = thread, .page = start, .access = access
		};

		error = serve_ranged(&fault, NULL);
		end_fault(&fault, SERVED_RANGED, error);
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
