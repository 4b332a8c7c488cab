/* SPDX-License-Identifier: MIT */
#include "window.h"

#include "guard.h"
#include "memory.h"

#include <mmrange/mm.h>

#include <errno.h>

/*
 * Windows begin and end at multiples of this many pages, and such multiples are also multiples of
 * the system's pages.
 */
#define STEP 64u
/* A file has no page from this index on: its size is less than 2^63. */
#define LAST_END ((UINT64_C(1) << (63 - MM_PAGE_SHIFT)) - 1)
/* After this many windows of a size, the next ones are twice as large, up to a GiB. */
#define WINDOWS_OF_A_SIZE 4u
#define MAX_DOUBLINGS     12u

struct mm__window {
	struct mm__window *next;
	uint64_t first;
	uint64_t end;
	char *bytes;
	_Atomic(uint64_t) ready[]; /* a bit for each page */
};

void mm__windows_init(struct mm__windows *windows, enum mm__file_kind kind)
{
	atomic_init(&windows->newest, NULL);
	windows->count = 0;
	windows->kind = kind;
}

static struct mm__window *newest(const struct mm__windows *windows)
{
	/* acquire: [WINDOW-W2] */
	return atomic_load_explicit(&windows->newest, memory_order_acquire);
}

/* The newest window that covers [first, end). NULL: no window does. */
static struct mm__window *find_window(const struct mm__windows *windows, uint64_t first,
				      uint64_t end)
{
	struct mm__window *window = newest(windows);

	while (window && (first < window->first || end > window->end))
		window = window->next;
	return window;
}

static char *bytes_of(const struct mm__window *window, uint64_t index)
{
	return window->bytes + ((index - window->first) << MM_PAGE_SHIFT);
}

/* NULL: no memory. */
static struct mm__window *new_window(uint64_t first, uint64_t end)
{
	uint64_t words = (end - first + 63) / 64;
	struct mm__window *window;

	if (words > SIZE_MAX / sizeof(uint64_t) - sizeof(*window))
		return NULL;
	window = mm__allocate_zeroed(sizeof(*window) + (size_t)words * sizeof(uint64_t));
	if (window) {
		window->first = first;
		window->end = end;
	}
	return window;
}

static void add_window(struct mm__windows *windows, struct mm__window *window)
{
	/* relaxed: the caller is the only thread that stores it */
	window->next = atomic_load_explicit(&windows->newest, memory_order_relaxed);
	windows->count++;
	/* release: [WINDOW-W1] */
	atomic_store_explicit(&windows->newest, window, memory_order_release);
}

static uint64_t round_down(uint64_t index)
{
	return index & ~(uint64_t)(STEP - 1);
}

static uint64_t round_up(uint64_t index)
{
	uint64_t rounded = round_down(index + STEP - 1);

	return rounded < LAST_END ? rounded : LAST_END;
}

/* The least number of pages of a new window. */
static uint64_t usual_size(const struct mm__windows *windows)
{
	unsigned int doublings = windows->count / WINDOWS_OF_A_SIZE;

	return (uint64_t)STEP << (doublings < MAX_DOUBLINGS ? doublings : MAX_DOUBLINGS);
}

/* Another thread may have closed fd meanwhile, and opened another file under the same number. */
static bool is_same_file(int fd, const struct stat *status)
{
	struct stat now;

	return !mm__file_status(fd, &now) && now.st_dev == status->st_dev &&
	       now.st_ino == status->st_ino;
}

static int map_window(struct mm__windows *windows, int fd, const struct stat *status,
		      uint64_t first, uint64_t end)
{
	struct mm__window *window = new_window(first, end);
	int error = window ? mm__file_map(fd, windows->kind, first, end, &window->bytes) : ENOMEM;

	if (!error && !is_same_file(fd, status)) {
		mm__file_unmap(window->bytes, end - first);
		error = EBADF;
	}
	if (!error)
		add_window(windows, window);
	else
		mm__free(window);
	/*
	 * The system has mapped a page of the file before, so the only other cause is a lack of
	 * room.
	 */
	return error && error != EBADF ? ENOMEM : error;
}

int mm__windows_cover(struct mm__windows *windows, int fd, const struct stat *status,
		      uint64_t first, uint64_t end)
{
	uint64_t start = round_down(first);
	uint64_t needed = round_up(end);
	uint64_t wanted = round_up(start + usual_size(windows));

	if (find_window(windows, first, end))
		return 0;
	if (wanted > needed && !map_window(windows, fd, status, start, wanted))
		return 0;
	return map_window(windows, fd, status, start, needed);
}

/* Of the windows that end at the page or before it, the one that ends last. */
static const struct mm__window *window_before(const struct mm__windows *windows, uint64_t index)
{
	const struct mm__window *found = NULL;

	for (const struct mm__window *window = newest(windows); window; window = window->next)
		if (window->end <= index && (!found || window->end > found->end))
			found = window;
	return found;
}

int mm__windows_extend(struct mm__windows *windows, uint64_t index)
{
	const struct mm__window *before = window_before(windows, index);
	struct mm__window *window;
	uint64_t size;
	uint64_t pages;
	int error;

	if (find_window(windows, index, index + 1))
		return 0;
	if (index >= LAST_END)
		return EFAULT;
	if (!before)
		return ENOMEM;
	/* The new window shows the last pages of that one, and the pages that follow them. */
	size = before->end - before->first < STEP ? before->end - before->first : STEP;
	pages = round_up(index + usual_size(windows)) - (before->end - size);
	window = new_window(before->end - size, before->end - size + pages);
	if (!window)
		return ENOMEM;
	window->bytes = bytes_of(before, window->first);
	error = mm__file_map_more(windows->kind, size, pages, &window->bytes);
	if (!error)
		add_window(windows, window);
	else
		mm__free(window);
	return error;
}

static bool is_ready(const struct mm__window *window, uint64_t index)
{
	uint64_t i = index - window->first;

	/* relaxed: the bit is a hint, and the system orders the page's contents */
	return atomic_load_explicit(&window->ready[i / 64], memory_order_relaxed) >> i % 64 & 1;
}

static void set_ready(struct mm__window *window, uint64_t index)
{
	uint64_t i = index - window->first;

	if (!is_ready(window, index))
		atomic_fetch_or_explicit(&window->ready[i / 64], UINT64_C(1) << i % 64,
					 memory_order_relaxed);
}

void *mm__windows_find(const struct mm__windows *windows, uint64_t index)
{
	const struct mm__window *window = find_window(windows, index, index + 1);

	return window && is_ready(window, index) ? bytes_of(window, index) : NULL;
}

int mm__windows_make_ready(const struct mm__windows *windows, uint64_t index, bool write)
{
	struct mm__window *window = find_window(windows, index, index + 1);

	if (!window)
		return ENOENT;
	if (!mm__guard_probe(bytes_of(window, index), write))
		return EFAULT;
	set_ready(window, index);
	return 0;
}

/* Of the windows that cover the page, the one that reaches furthest; or the next one behind it. */
static const struct mm__window *next_window(const struct mm__windows *windows, uint64_t index)
{
	const struct mm__window *found = NULL;

	for (const struct mm__window *window = newest(windows); window; window = window->next) {
		bool better = !found || window->first < found->first ||
			      (window->first <= index && window->end > found->end);

		if (window->end > index && better)
			found = window;
	}
	return found;
}

int mm__windows_sync(const struct mm__windows *windows, uint64_t first, uint64_t end)
{
	const struct mm__window *window;
	int result = 0;

	while (first < end && (window = next_window(windows, first)) && window->first < end) {
		uint64_t start = first > window->first ? first : window->first;
		uint64_t stop = end < window->end ? end : window->end;
		int error = mm__file_sync(bytes_of(window, start), stop - start);

		if (!result)
			result = error;
		first = stop;
	}
	return result;
}

void mm__windows_withdraw(struct mm__windows *windows)
{
	for (struct mm__window *window = newest(windows); window; window = window->next)
		mm__file_withdraw(window->bytes, window->end - window->first);
}

uint64_t mm__windows_weight(const struct mm__windows *windows)
{
	uint64_t weight = 0;

	for (struct mm__window *window = newest(windows); window; window = window->next)
		weight += 16 + ((window->end - window->first) >> 12);
	return weight;
}

void mm__windows_destroy(struct mm__windows *windows)
{
	struct mm__window *window = newest(windows);

	while (window) {
		struct mm__window *next = window->next;

		mm__file_unmap(window->bytes, window->end - window->first);
		mm__free(window);
		window = next;
	}
}
