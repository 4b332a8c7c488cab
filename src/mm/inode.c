/* SPDX-License-Identifier: MIT */
/*
 * Locks: files.lock protects the table of all files. inode->lock serialises the threads that make
 * pages and windows. No thread takes one of them under the other, or accesses a page of a file
 * under either.
 */
#include "inode.h"

#include "frame_supply.h"
#include "guard.h"
#include "memory.h"
#include "page_cache.h"
#include "rcu.h"
#include "window.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define NR_BUCKETS 256u

struct mm__inode {
	struct mm__garbage garbage;
	_Atomic(uint64_t) refs; /* of a file, drops to 0 only under files.lock */
	pthread_mutex_t lock;

	/* Of anonymous memory; for a file, NULL and empty. */
	struct mm__frames *frames;
	uint64_t nr_pages;
	uint64_t nr_made; /* pages that have a frame */
	struct mm__page_cache pages;

	/* Of a file. */
	struct mm__windows windows;
	dev_t device;
	ino_t number;
	struct mm__inode *next; /* in the bucket of the table */
};

/* All files whose inodes have references. */
static struct {
	pthread_mutex_t lock;
	struct mm__inode *buckets[NR_BUCKETS];
} files = { .lock = PTHREAD_MUTEX_INITIALIZER };

bool mm__inode_is_file(const struct mm__inode *inode)
{
	return !inode->frames;
}

static void free_inode(struct mm__garbage *garbage)
{
	struct mm__inode *inode = (struct mm__inode *)garbage;

	mm__windows_destroy(&inode->windows);
	mm__page_cache_destroy(&inode->pages);
	if (inode->frames)
		mm__frames_put(inode->frames);
	pthread_mutex_destroy(&inode->lock);
	mm__free(inode);
}

/* Returns an inode with one reference. NULL: no memory. */
static struct mm__inode *new_inode(enum mm__file_kind kind)
{
	struct mm__inode *inode = mm__allocate_zeroed(sizeof(*inode));

	if (!inode)
		return NULL;
	if (pthread_mutex_init(&inode->lock, NULL)) {
		mm__free(inode);
		return NULL;
	}
	inode->garbage.free = free_inode;
	atomic_init(&inode->refs, 1);
	mm__page_cache_init(&inode->pages);
	mm__windows_init(&inode->windows, kind);
	return inode;
}

int mm__inode_anonymous(struct mm__frames *frames, uint64_t pages, struct mm__inode **inode)
{
	struct mm__inode *made = new_inode(MM__FILE_WRITABLE);

	if (!made)
		return ENOMEM;
	mm__frames_get(frames);
	made->frames = frames;
	made->nr_pages = pages;
	/* relaxed: a thread that reads it has itself used memory of the object */
	atomic_store_explicit(&frames->shared, true, memory_order_relaxed);
	*inode = made;
	return 0;
}

/*
 * Files
 */

static struct mm__inode **bucket_of(dev_t device, ino_t number)
{
	uint64_t hash = ((uint64_t)number ^ (uint64_t)device << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return &files.buckets[hash >> 56 & (NR_BUCKETS - 1)];
}

static bool is(const struct mm__inode *inode, const struct stat *status, enum mm__file_kind kind)
{
	return inode->device == status->st_dev && inode->number == status->st_ino &&
	       inode->windows.kind == kind;
}

/* Under files.lock. NULL: no memory. */
static struct mm__inode *add_file(const struct stat *status, enum mm__file_kind kind)
{
	struct mm__inode **bucket = bucket_of(status->st_dev, status->st_ino);
	struct mm__inode *inode = new_inode(kind);

	if (inode) {
		inode->device = status->st_dev;
		inode->number = status->st_ino;
		inode->next = *bucket;
		*bucket = inode;
	}
	return inode;
}

/* Returns an inode with a reference for the caller. NULL: no memory. */
static struct mm__inode *get_file(const struct stat *status, enum mm__file_kind kind)
{
	struct mm__inode *inode;

	pthread_mutex_lock(&files.lock);
	inode = *bucket_of(status->st_dev, status->st_ino);
	while (inode && !is(inode, status, kind))
		inode = inode->next;
	if (inode)
		mm__inode_get(inode);
	else
		inode = add_file(status, kind);
	pthread_mutex_unlock(&files.lock);
	return inode;
}

static int open_once(int fd, const struct stat *status, int prot, int flags, uint64_t first,
		     uint64_t end, struct mm__inode **inode, int *may)
{
	enum mm__file_kind kind;
	struct mm__inode *found;
	bool may_exec;
	int error = mm__file_check(fd, status, prot, flags, &kind, &may_exec);

	if (!error)
		error = mm__guard_install();
	if (error)
		return error;
	found = get_file(status, kind);
	if (!found)
		return ENOMEM;
	pthread_mutex_lock(&found->lock);
	error = mm__windows_cover(&found->windows, fd, status, first, end);
	pthread_mutex_unlock(&found->lock);
	if (error) {
		mm__inode_put(found);
		return error;
	}
	*may = MM_PROT_READ | (kind == MM__FILE_READABLE ? 0 : MM_PROT_WRITE) |
	       (may_exec ? MM_PROT_EXEC : 0);
	*inode = found;
	return 0;
}

/*
 * If the process lacks addresses or mappings, inodes that wait for a grace period may have them. So
 * the function waits for those inodes to be freed, and tries again.
 */
int mm__inode_open(int fd, const struct stat *status, int prot, int flags, uint64_t first,
		   uint64_t end, struct mm__inode **inode, int *may)
{
	int error = open_once(fd, status, prot, flags, first, end, inode, may);

	if (error != ENOMEM)
		return error;
	mm__rcu_barrier();
	return open_once(fd, status, prot, flags, first, end, inode, may);
}

/*
 * References
 */

void mm__inode_get(struct mm__inode *inode)
{
	/* relaxed: another reference keeps the inode */
	atomic_fetch_add_explicit(&inode->refs, 1, memory_order_relaxed);
}

/* Gives back a reference unless that is the last one. */
static bool put_unless_last(struct mm__inode *inode)
{
	uint64_t refs = atomic_load_explicit(&inode->refs, memory_order_relaxed);

	/* release: pairs with the acquire in put_last(), so that uses come before the end */
	while (refs > 1)
		if (atomic_compare_exchange_weak_explicit(&inode->refs, &refs, refs - 1,
							  memory_order_release,
							  memory_order_relaxed))
			return true;
	return false;
}

static void remove_file(struct mm__inode *inode)
{
	struct mm__inode **link = bucket_of(inode->device, inode->number);

	while (*link != inode)
		link = &(*link)->next;
	*link = inode->next;
}

/*
 * Gives back a reference, and returns whether that was the last one. If so, no thread finds a
 * file's inode any more.
 */
static bool put_last(struct mm__inode *inode)
{
	bool last;

	pthread_mutex_lock(&files.lock);
	/* release: as in put_unless_last(); acquire: pairs with both releases */
	last = atomic_fetch_sub_explicit(&inode->refs, 1, memory_order_acq_rel) == 1;
	if (last && mm__inode_is_file(inode))
		remove_file(inode);
	pthread_mutex_unlock(&files.lock);
	return last;
}

void mm__inode_put(struct mm__inode *inode)
{
	if (put_unless_last(inode) || !put_last(inode))
		return;
	mm__windows_withdraw(&inode->windows);
	mm__rcu_defer(&inode->garbage, MM__RCU_OBJECT * (1 + mm__windows_weight(&inode->windows)) +
					       MM__RCU_PAGE * inode->nr_made);
}

void mm__inode_put_unshared(struct mm__inode *inode)
{
	if (mm__inode_is_file(inode))
		mm__inode_put(inode);
	else if (!put_unless_last(inode) && put_last(inode))
		free_inode(&inode->garbage);
}

void mm__inodes_before_fork(void)
{
	pthread_mutex_lock(&files.lock);
}

void mm__inodes_after_fork(bool child)
{
	/* These are the parent's inodes, whose locks the parent's other threads may hold. */
	if (child)
		memset(files.buckets, 0, sizeof(files.buckets));
	pthread_mutex_unlock(&files.lock);
}

/*
 * Pages
 */

void *mm__inode_find(struct mm__inode *inode, uint64_t index)
{
	struct mm__frame *frame;

	if (mm__inode_is_file(inode))
		return mm__windows_find(&inode->windows, index);
	frame = mm__page_cache_find(&inode->pages, index);
	return frame ? mm__frame_bytes(frame) : NULL;
}

/* A page behind the part of the file that was mapped: mm_mremap() has moved the end of a VMA. */
static int extend_pages(struct mm__inode *inode, uint64_t index)
{
	int error;

	pthread_mutex_lock(&inode->lock);
	error = mm__windows_extend(&inode->windows, index);
	pthread_mutex_unlock(&inode->lock);
	return error;
}

static int make_page_of_file(struct mm__inode *inode, uint64_t index, bool write)
{
	int error = mm__windows_make_ready(&inode->windows, index, write);

	if (error != ENOENT)
		return error;
	error = extend_pages(inode, index);
	return error ? error : mm__windows_make_ready(&inode->windows, index, write);
}

static int make_frame(struct mm__inode *inode, uint64_t index)
{
	struct mm__frame *frame = mm__pool_take_frame(inode->frames);
	int error = frame ? 0 : ENOMEM;

	pthread_mutex_lock(&inode->lock);
	if (mm__page_cache_find(&inode->pages, index))
		error = EEXIST;
	if (!error)
		error = mm__page_cache_insert(&inode->pages, index, frame);
	if (!error)
		inode->nr_made++;
	pthread_mutex_unlock(&inode->lock);
	if (frame && error)
		mm__frame_put(frame);
	return error == EEXIST ? 0 : error;
}

bool mm__inode_has(struct mm__inode *inode, uint64_t index)
{
	return !mm__windows_make_ready(&inode->windows, index, false);
}

int mm__inode_make(struct mm__inode *inode, uint64_t index, bool write)
{
	if (mm__inode_is_file(inode))
		return make_page_of_file(inode, index, write);
	if (index >= inode->nr_pages)
		return EFAULT;
	return mm__inode_find(inode, index) ? 0 : make_frame(inode, index);
}

int mm__inode_sync(struct mm__inode *inode, uint64_t first, uint64_t end)
{
	return mm__windows_sync(&inode->windows, first, end);
}
