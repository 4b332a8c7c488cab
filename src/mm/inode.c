/* SPDX-License-Identifier: MIT */
/*
 * Locks: files.lock holds the table of all files together; no other is taken under it. inode->lock
 * serialises changes to the cache's tree, and goes before none of ours either. No reading or writing
 * is done under these two, only the size is asked for. inode->sync_lock is held while pages are
 * written: of two that write the same page, the one that has copied its bytes first must not write
 * them last.
 */
#include "inode.h"

#include "bytes.h"
#include "cpu.h"
#include "file.h"
#include "frames.h"
#include "memory.h"
#include "page_cache.h"
#include "rcu.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NR_BUCKETS 256u

/* A page that is being read; on the stack of who reads it. */
struct reading {
	uint64_t index;
	bool outdated; /* the file does not reach it any more */
	struct reading *next;
};

struct mm__inode {
	struct mm__garbage garbage;
	_Atomic(uint64_t)
		refs; /* of a file, becomes 0, and more than 0 again never, under files.lock */
	struct mm__page_cache pages;
	struct mm__frames *frames;
	uint64_t nr_pages; /* of anonymous memory */
	struct mm__file file;
	struct mm__inode *next; /* in the table */
	pthread_mutex_t lock;
	pthread_cond_t read; /* a reading has ended */
	struct reading *readings;
	uint64_t nr_cached; /* pages, at least */
	pthread_mutex_t sync_lock;
};

/* Files stay in the table until they are written back: who opens them then reads the new bytes. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t gone; /* one with no references has left the table */
	struct mm__inode *buckets[NR_BUCKETS];
} files = { .lock = PTHREAD_MUTEX_INITIALIZER, .gone = PTHREAD_COND_INITIALIZER };

/* Not a point where a thread can be cancelled: it would keep the mutex. */
static void wait_for(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_cond_wait(cond, mutex);
	pthread_setcancelstate(state, NULL);
}

static bool is_file(const struct mm__inode *inode)
{
	return inode->file.fd >= 0;
}

static int init_locks(struct mm__inode *inode)
{
	if (pthread_mutex_init(&inode->lock, NULL))
		return ENOMEM;
	if (!pthread_mutex_init(&inode->sync_lock, NULL)) {
		if (!pthread_cond_init(&inode->read, NULL))
			return 0;
		pthread_mutex_destroy(&inode->sync_lock);
	}
	pthread_mutex_destroy(&inode->lock);
	return ENOMEM;
}

/* With one reference. NULL: no memory. */
static struct mm__inode *new_inode(struct mm__frames *frames, uint64_t nr_pages)
{
	struct mm__inode *inode = frames ? mm__allocate_zeroed(sizeof(*inode)) : NULL;

	if (!inode)
		return NULL;
	if (init_locks(inode)) {
		mm__free(inode);
		return NULL;
	}
	atomic_init(&inode->refs, 1);
	mm__page_cache_init(&inode->pages);
	inode->frames = frames;
	inode->nr_pages = nr_pages;
	inode->file.fd = -1;
	return inode;
}

/* No thread can find it any more. Its file is closed. */
static void free_inode(struct mm__inode *inode)
{
	mm__page_cache_destroy(&inode->pages);
	if (!is_file(inode))
		mm__frames_put(inode->frames);
	pthread_cond_destroy(&inode->read);
	pthread_mutex_destroy(&inode->sync_lock);
	pthread_mutex_destroy(&inode->lock);
	mm__free(inode);
}

int mm__inode_anonymous(struct mm__frames *frames, uint64_t pages, struct mm__inode **inode)
{
	struct mm__inode *made = new_inode(frames, pages);

	if (!made)
		return ENOMEM;
	mm__frames_get(frames);
	/* relaxed: who asks has used some of it */
	atomic_store_explicit(&frames->shared, true, memory_order_relaxed);
	*inode = made;
	return 0;
}

static struct mm__inode **bucket_of(dev_t device, ino_t number)
{
	uint64_t hash = ((uint64_t)number ^ (uint64_t)device << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return &files.buckets[hash >> 56 & (NR_BUCKETS - 1)];
}

/* With files.lock. */
static struct mm__inode *lookup_file(const struct stat *status)
{
	struct mm__inode *inode = *bucket_of(status->st_dev, status->st_ino);

	while (inode &&
	       (inode->file.device != status->st_dev || inode->file.number != status->st_ino))
		inode = inode->next;
	return inode;
}

/* With files.lock. */
static int add_file(int fd, int flags, const struct stat *status, struct mm__inode **inode)
{
	struct mm__inode **bucket = bucket_of(status->st_dev, status->st_ino);
	struct mm__inode *made = new_inode(mm__frames_page_cache(), 0);
	int error;

	if (!made)
		return ENOMEM;
	error = mm__file_open(&made->file, fd, flags, status);
	if (error) {
		free_inode(made);
		return error;
	}
	made->next = *bucket;
	*bucket = made;
	*inode = made;
	return 0;
}

int mm__inode_open(int fd, int prot, int flags, struct mm__inode **inode)
{
	struct mm__inode *found;
	struct stat status;
	int error = mm__file_check(fd, prot, flags, &status);

	if (error)
		return error;
	pthread_mutex_lock(&files.lock);
	while ((found = lookup_file(&status)) && !atomic_load(&found->refs))
		wait_for(&files.gone, &files.lock);
	if (!found) {
		error = add_file(fd, flags, &status, inode);
	} else {
		error = mm__file_open_again(&found->file, fd, flags);
		if (!error) {
			mm__inode_get(found);
			*inode = found;
		}
	}
	pthread_mutex_unlock(&files.lock);
	return error;
}

bool mm__inode_may_write(int fd, int flags)
{
	struct stat status;

	return !(flags & MM_MAP_SHARED) || !mm__file_check(fd, MM_PROT_WRITE, flags, &status);
}

void mm__inode_get(struct mm__inode *inode)
{
	/* relaxed: the caller's own reference keeps it */
	atomic_fetch_add_explicit(&inode->refs, 1, memory_order_relaxed);
}

/* Gives back a reference unless it is the last. */
static bool put_unless_last(struct mm__inode *inode)
{
	uint64_t refs = atomic_load_explicit(&inode->refs, memory_order_relaxed);

	/* release: pairs with the acquire in put_last(): uses come before the end */
	while (refs > 1)
		if (atomic_compare_exchange_weak_explicit(&inode->refs, &refs, refs - 1,
							  memory_order_release,
							  memory_order_relaxed))
			return true;
	return false;
}

/* Gives back a reference, and returns whether it was the last. Nobody opens the file meanwhile. */
static bool put_last(struct mm__inode *inode)
{
	bool last;

	pthread_mutex_lock(&files.lock);
	/* release and acquire: see put_unless_last() */
	last = atomic_fetch_sub_explicit(&inode->refs, 1, memory_order_acq_rel) == 1;
	pthread_mutex_unlock(&files.lock);
	return last;
}

static void remove_file(struct mm__inode *inode)
{
	struct mm__inode **link = bucket_of(inode->file.device, inode->file.number);

	pthread_mutex_lock(&files.lock);
	while (*link != inode)
		link = &(*link)->next;
	*link = inode->next;
	pthread_cond_broadcast(&files.gone);
	pthread_mutex_unlock(&files.lock);
}

static void free_garbage(struct mm__garbage *garbage)
{
	free_inode((struct mm__inode *)garbage);
}

void mm__inode_put_unshared(struct mm__inode *inode)
{
	if (is_file(inode))
		mm__inode_put(inode);
	else if (!put_unless_last(inode) && put_last(inode))
		free_inode(inode);
}

void mm__inode_put(struct mm__inode *inode)
{
	if (put_unless_last(inode) || !put_last(inode))
		return;
	if (is_file(inode)) {
		mm__inode_sync(inode, 0, UINT64_MAX);
		remove_file(inode);
		/* Who finds it in a read section only looks for pages in the cache. */
		mm__file_close(&inode->file);
	}
	inode->garbage.free = free_garbage;
	mm__rcu_defer(&inode->garbage, 1 + MM__RCU_PAGE * inode->nr_cached);
}

void mm__inodes_before_fork(void)
{
	pthread_mutex_lock(&files.lock);
}

void mm__inodes_after_fork(bool child)
{
	if (child) {
		/* The parent's: threads that are gone may hold their locks, or be reading their pages. */
		memset(files.buckets, 0, sizeof(files.buckets));
		pthread_cond_init(&files.gone, NULL);
	}
	pthread_mutex_unlock(&files.lock);
}

struct mm__frame *mm__inode_find(struct mm__inode *inode, uint64_t index)
{
	return mm__page_cache_find(&inode->pages, index);
}

static int count_pages(const struct mm__inode *inode, uint64_t *pages)
{
	uint64_t size;

	if (!is_file(inode)) {
		*pages = inode->nr_pages;
		return 0;
	}
	if (mm__file_size(&inode->file, &size))
		return EIO;
	*pages = (size + MM_PAGE_SIZE - 1) / MM_PAGE_SIZE;
	return 0;
}

/* With inode->lock. */
static void outdate(struct mm__inode *inode, uint64_t first)
{
	mm__page_cache_outdate(&inode->pages, first);
	for (struct reading *reading = inode->readings; reading; reading = reading->next)
		if (reading->index >= first)
			reading->outdated = true;
}

/* 0, EFAULT or EIO. */
static int check_within(struct mm__inode *inode, uint64_t index)
{
	uint64_t pages;
	int error = count_pages(inode, &pages);

	if (error || index < pages)
		return error;
	/*
	 * Asked again under the lock: what has been read into the cache after the file grew again
	 * may have been written to since, and must not be read once more.
	 */
	pthread_mutex_lock(&inode->lock);
	error = count_pages(inode, &pages);
	if (!error)
		outdate(inode, pages);
	pthread_mutex_unlock(&inode->lock);
	return error ? error : EFAULT;
}

bool mm__inode_within(struct mm__inode *inode, uint64_t index)
{
	return !check_within(inode, index);
}

/* With inode->lock. */
static bool is_being_read(const struct mm__inode *inode, uint64_t index)
{
	const struct reading *reading = inode->readings;

	while (reading && reading->index != index)
		reading = reading->next;
	return reading != NULL;
}

/*
 * The page, if somebody else has read it by now; otherwise it is the caller's to read, until
 * end_reading().
 */
static struct mm__frame *begin_reading(struct mm__inode *inode, struct reading *mine)
{
	struct mm__frame *frame;

	pthread_mutex_lock(&inode->lock);
	while (!(frame = mm__inode_find(inode, mine->index)) && is_being_read(inode, mine->index))
		wait_for(&inode->read, &inode->lock);
	if (!frame) {
		mine->next = inode->readings;
		inode->readings = mine;
	}
	pthread_mutex_unlock(&inode->lock);
	return frame;
}

/* Puts the page into the cache, unless there was an error. 0 or an errno value. */
static int end_reading(struct mm__inode *inode, struct reading *mine, struct mm__frame *frame,
		       int error)
{
	struct reading **link = &inode->readings;

	pthread_mutex_lock(&inode->lock);
	if (!error && mine->outdated)
		error = EFAULT;
	if (!error)
		error = mm__page_cache_insert(&inode->pages, mine->index, frame);
	if (!error)
		inode->nr_cached++;
	while (*link != mine)
		link = &(*link)->next;
	*link = mine->next;
	pthread_cond_broadcast(&inode->read);
	pthread_mutex_unlock(&inode->lock);
	return error;
}

static int read_page(struct mm__inode *inode, uint64_t index, struct mm__frame *frame)
{
	/* By way of the stack, as an outdated page may be mapped, and written to meanwhile. */
	_Alignas(uint64_t) char bytes[MM_PAGE_SIZE];
	int error = mm__file_read(&inode->file, bytes, index);

	if (error)
		return error;
	mm__bytes_copy(mm__frame_bytes(frame), bytes, sizeof(bytes));
	mm__frame_dirtied(frame, 0, sizeof(bytes));
	return 0;
}

/* A page that is the caller's to read. */
static int make_page(struct mm__inode *inode, struct reading *mine, struct mm__frame **frame)
{
	struct mm__frame *old = mm__page_cache_find_outdated(&inode->pages, mine->index);
	struct mm__frame *made = old ? old : mm__cpus_take_frame(inode->frames);
	int error = 0;

	if (!made)
		error = ENOMEM;
	else if (is_file(inode))
		error = read_page(inode, mine->index, made);
	error = end_reading(inode, mine, made, error);
	if (!error)
		*frame = made;
	else if (made && !old)
		mm__frame_put(made);
	return error;
}

int mm__inode_read(struct mm__inode *inode, uint64_t index, struct mm__frame **frame)
{
	struct reading mine = { .index = index };
	struct mm__frame *found;
	int error = check_within(inode, index);

	if (error)
		return error;
	found = begin_reading(inode, &mine);
	if (!found)
		return make_page(inode, &mine, frame);
	*frame = found;
	return 0;
}

void mm__inode_set_dirty(struct mm__inode *inode, uint64_t index)
{
	mm__page_cache_set_dirty(&inode->pages, index);
}

int mm__inode_sync(struct mm__inode *inode, uint64_t first, uint64_t end)
{
	_Alignas(uint64_t) char bytes[MM_PAGE_SIZE];
	struct mm__frame *frame;
	uint64_t index = first;
	int result = 0;

	if (!is_file(inode))
		return 0;
	pthread_mutex_lock(&inode->sync_lock);
	while ((frame = mm__page_cache_next_dirty(&inode->pages, &index, end))) {
		int error;

		mm__bytes_copy(bytes, mm__frame_bytes(frame), sizeof(bytes));
		error = mm__file_write(&inode->file, bytes, index);
		if (!result)
			result = error;
		index++;
	}
	pthread_mutex_unlock(&inode->sync_lock);
	return result;
}
