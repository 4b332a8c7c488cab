/* SPDX-License-Identifier: MIT */
#include "space_model.h"

#define FIXED (MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED)
/* The model cannot predict the operation's result, so the driver skips the operation. */
#define SKIP (-1)

static unsigned int below(struct model *m, unsigned int limit)
{
	return (unsigned int)test_random_below(&m->seed, limit);
}

static uint64_t addr_of(const struct model *m, unsigned int page)
{
	return m->base + PAGES(page);
}

bool model_same_vma(const struct model_page *left, const struct model_page *right)
{
	return left->mapped && right->mapped && left->prot == right->prot &&
	       left->flags == right->flags &&
	       (left->flags & MM_MAP_PRIVATE ||
		(left->object == right->object && left->offset + 1 == right->offset));
}

static bool vma_ends_before(const struct model *m, unsigned int page)
{
	return page == 0 || page == MODEL_PAGES ||
	       !model_same_vma(&m->page[page - 1], &m->page[page]);
}

static unsigned int count_vmas(const struct model *m)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < MODEL_PAGES; i++)
		count += m->page[i].mapped && vma_ends_before(m, i);
	return count;
}

static unsigned int count_present(const struct model *m)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < MODEL_PAGES; i++)
		count += m->page[i].present;
	return count;
}

static bool is_mapped(const struct model *m, uint64_t object)
{
	for (unsigned int i = 0; i < MODEL_PAGES; i++)
		if (m->page[i].object == object)
			return true;
	return false;
}

/* Counts frames: of private pages, and of touched pages of shared memory, present or not. */
static unsigned int count_frames(const struct model *m)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < MODEL_PAGES; i++) {
		const struct model_object *object = &m->object[i];

		count += m->page[i].present && !m->page[i].object;
		if (is_mapped(m, i + 1))
			for (unsigned int page = 0; page < object->size; page++)
				count += object->touched[page];
	}
	return count;
}

/* The number of a new object, which replaces one that is not mapped. */
static uint64_t new_object(struct model *m, unsigned int size)
{
	uint64_t number = 1;

	CHECK(size <= MODEL_OBJECT_PAGES);
	while (is_mapped(m, number))
		number++;
	m->object[number - 1] = (struct model_object){ .size = size };
	return number;
}

/* The bytes of a page. */
static unsigned char *value_of(struct model *m, unsigned int i)
{
	struct model_page *page = &m->page[i];

	return page->object ? &m->object[page->object - 1].value[page->offset] : &page->value;
}

/* Where the VMA of a page ends. */
static unsigned int vma_end(const struct model *m, unsigned int page)
{
	do
		page++;
	while (!vma_ends_before(m, page));
	return page;
}

static bool all_free(const struct model *m, unsigned int first, unsigned int end)
{
	for (; first < end && first < MODEL_PAGES; first++)
		if (m->page[first].mapped)
			return false;
	return true;
}

/* Whether cutting [first, end) out would make too many VMAs. */
static bool cannot_cut(const struct model *m, unsigned int first, unsigned int end)
{
	for (unsigned int i = first; i <= end; i++)
		if (vma_ends_before(m, i))
			return false;
	return count_vmas(m) >= m->max_areas;
}

static void clear(struct model *m, unsigned int first, unsigned int end)
{
	memset(&m->page[first], 0, (end - first) * sizeof(m->page[0]));
}

/* The first page of the highest gap; SKIP if the window may not contain the whole gap. */
static int highest_gap(const struct model *m, unsigned int n)
{
	for (unsigned int i = MODEL_PAGES - n; i > 0; i--)
		if (all_free(m, i, i + n))
			return (int)i;
	return SKIP;
}

/*
 * Operations on the model: 0, an error, or SKIP.
 */

static int model_map(struct model *m, unsigned int first, unsigned int n, int prot, int flags,
		     unsigned int *where)
{
	uint64_t object;

	*where = first;
	if (count_vmas(m) > m->max_areas)
		return ENOMEM;
	if (flags & MM_MAP_FIXED_NOREPLACE && !all_free(m, first, first + n))
		return EEXIST;
	if (flags & (MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE)) {
		if (cannot_cut(m, first, first + n))
			return ENOMEM;
	} else if (!all_free(m, first, first + n) || first + n > MODEL_PAGES) {
		int gap = highest_gap(m, n);

		if (gap == SKIP)
			return SKIP;
		*where = (unsigned int)gap;
	}
	clear(m, *where, *where + n);
	object = flags & MM_MAP_SHARED ? new_object(m, n) : 0;
	for (unsigned int i = 0; i < n; i++)
		m->page[*where + i] = (struct model_page){
			true,   false, 0, prot, flags & ~(MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE),
			object, i
		};
	return 0;
}

static int model_unmap(struct model *m, unsigned int first, unsigned int n)
{
	if (cannot_cut(m, first, first + n))
		return ENOMEM;
	clear(m, first, first + n);
	return 0;
}

static int model_protect(struct model *m, unsigned int first, unsigned int end, int prot)
{
	while (first < end) {
		struct model before = *m;
		unsigned int stop;

		if (!m->page[first].mapped)
			return ENOMEM;
		stop = vma_end(m, first);
		for (; first < stop && first < end; first++)
			m->page[first].prot = prot;
		if (count_vmas(m) > m->max_areas && count_vmas(m) > count_vmas(&before)) {
			*m = before;
			return ENOMEM;
		}
	}
	return 0;
}

static int model_dontneed(struct model *m, unsigned int first, unsigned int end)
{
	int error = 0;

	for (; first < end; first++) {
		if (!m->page[first].mapped) {
			error = ENOMEM;
		} else {
			m->page[first].present = false;
			m->page[first].value = 0;
		}
	}
	return error;
}

/* Adds n pages to the VMA that ends with last. */
static void continue_vma(struct model_page *last, unsigned int n)
{
	for (; n; n--, last++) {
		last[1] = *last;
		last[1].offset++;
		last[1].present = false;
		last[1].value = 0;
	}
}

static void move_pages(struct model *m, unsigned int old, unsigned int old_n, unsigned int new_n,
		       unsigned int to)
{
	unsigned int kept = old_n < new_n ? old_n : new_n;
	struct model_page pages[MODEL_PAGES];

	memcpy(pages, &m->page[old], kept * sizeof(pages[0]));
	clear(m, old, old + old_n);
	memcpy(&m->page[to], pages, kept * sizeof(pages[0]));
	continue_vma(&m->page[to + kept - 1], new_n - kept);
}

static int model_remap_fixed(struct model *m, unsigned int old, unsigned int old_n,
			     unsigned int new_n, unsigned int to)
{
	if (old < to + new_n && to < old + old_n)
		return EINVAL;
	if (count_vmas(m) + 5 >= m->max_areas)
		return ENOMEM;
	if (!m->page[old].mapped || (old_n < new_n ? old_n : new_n) > vma_end(m, old) - old)
		return EFAULT;
	move_pages(m, old, old_n, new_n, to);
	return 0;
}

static int model_remap(struct model *m, unsigned int old, unsigned int old_n, unsigned int new_n,
		       int flags, unsigned int to, unsigned int *where)
{
	int gap;

	*where = flags & MM_MREMAP_FIXED ? to : old;
	if (flags & MM_MREMAP_FIXED)
		return model_remap_fixed(m, old, old_n, new_n, to);
	if (!m->page[old].mapped)
		return EFAULT;
	if (new_n <= old_n)
		return new_n < old_n ? model_unmap(m, old + new_n, old_n - new_n) : 0;
	if (old_n > vma_end(m, old) - old)
		return EFAULT;
	if (old_n == vma_end(m, old) - old && all_free(m, old + old_n, old + new_n)) {
		if (old + new_n > MODEL_PAGES && !m->whole)
			return SKIP;
		if (old + new_n <= MODEL_PAGES) {
			continue_vma(&m->page[old + old_n - 1], new_n - old_n);
			return 0;
		}
	}
	if (!(flags & MM_MREMAP_MAYMOVE) || count_vmas(m) + 3 >= m->max_areas)
		return ENOMEM;
	gap = m->whole ? highest_gap(m, new_n) : SKIP;
	if (gap == SKIP)
		return SKIP;
	*where = (unsigned int)gap;
	move_pages(m, old, old_n, new_n, *where);
	return 0;
}

static void model_brk(struct model *m, uint64_t brk)
{
	unsigned int old_end = (unsigned int)((m->brk - m->base + PAGES(1) - 1) / PAGES(1));
	unsigned int new_end = (unsigned int)((brk - m->base + PAGES(1) - 1) / PAGES(1));

	if (brk < m->brk_start)
		return;
	if (new_end < old_end) {
		if (all_free(m, new_end, old_end) || cannot_cut(m, new_end, old_end))
			return;
		clear(m, new_end, old_end);
	}
	if (new_end > old_end) {
		if (!all_free(m, old_end, new_end + 1) || count_vmas(m) > m->max_areas)
			return;
		for (unsigned int i = old_end; i < new_end; i++)
			m->page[i] = (struct model_page){ true, false, 0, RW, PRIVATE, 0, 0 };
	}
	m->brk = brk;
}

/* Makes a page of shared memory present, if the object has it: 0, EFAULT or ENOMEM. */
static int touch_object(struct model *m, const struct model_page *page, int *code)
{
	struct model_object *object = &m->object[page->object - 1];

	*code = MM_BUS_ADRERR;
	if (page->offset >= object->size)
		return EFAULT;
	if (!object->touched[page->offset] && count_frames(m) >= m->max_pages)
		return ENOMEM;
	object->touched[page->offset] = true;
	return 0;
}

/*
 * Makes n pages present, and fills them if value is not negative; *done is the number it reached.
 */
static int model_access(struct model *m, unsigned int first, unsigned int n, int value,
			unsigned int *done, int *code)
{
	for (*done = 0; *done < n; ++*done) {
		struct model_page *page = &m->page[first + *done];

		*code = page->mapped ? MM_SEGV_ACCERR : MM_SEGV_MAPERR;
		if (!page->mapped || !page->prot || (value >= 0 && !(page->prot & W)))
			return EFAULT;
		if (page->object) {
			int error = touch_object(m, page, code);

			if (error)
				return error;
		} else if (!page->present && count_frames(m) >= m->max_pages) {
			return ENOMEM;
		}
		page->present = true;
		if (value >= 0)
			*value_of(m, first + *done) = (unsigned char)value;
	}
	return 0;
}

/*
 * Steps: the same operation on both
 */

static int random_prot(struct model *m)
{
	static const int prots[] = { RW, RW, RW, R, NONE, R | X };

	return prots[below(m, 6)];
}

static int random_map_flags(struct model *m)
{
	static const int kinds[] = { PRIVATE, PRIVATE, PRIVATE, PRIVATE | MM_MAP_NORESERVE,
				     SHARED };
	static const int places[] = { MM_MAP_FIXED, MM_MAP_FIXED, MM_MAP_FIXED_NOREPLACE, 0 };
	int flags = kinds[below(m, 5)] | places[below(m, 4)];

	return m->whole || flags & (MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE) ? flags
									   : flags | MM_MAP_FIXED;
}

static void step_map(struct model *m, unsigned int first, unsigned int n)
{
	int flags = random_map_flags(m), prot = random_prot(m);
	bool nowhere =
		m->whole && !(flags & (MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE)) && below(m, 2);
	uint64_t result = 0;
	unsigned int where;
	int error;

	/* No hint: like a hint that does not fit. */
	error = model_map(m, nowhere ? MODEL_PAGES : first, n, prot, flags, &where);
	if (error == SKIP)
		return;
	CHECK_EQ(mm_mmap(m->mm, nowhere ? 0 : addr_of(m, first), PAGES(n), prot, flags, -1, 0,
			 &result),
		 error);
	if (!error)
		CHECK_EQ(result, addr_of(m, where));
}

static void step_remap(struct model *m, unsigned int first, unsigned int n)
{
	static const int kinds[] = { 0, MM_MREMAP_MAYMOVE, FIXED };
	unsigned int new_n = 1 + below(m, 16);
	unsigned int to = below(m, MODEL_PAGES - new_n);
	int flags = kinds[below(m, 3)];
	uint64_t result = 0;
	unsigned int where;
	int error = model_remap(m, first, n, new_n, flags, to, &where);

	if (error == SKIP)
		return;
	CHECK_EQ(mm_mremap(m->mm, addr_of(m, first), PAGES(n), PAGES(new_n), flags, addr_of(m, to),
			   &result),
		 error);
	if (!error)
		CHECK_EQ(result, addr_of(m, where));
}

static void step_brk(struct model *m)
{
	uint64_t brk = m->brk_start + test_random_below(&m->seed, PAGES(20)) - 10;
	uint64_t result;

	model_brk(m, brk);
	CHECK_EQ(mm_brk(m->mm, brk, &result), 0);
	CHECK_EQ(result, m->brk);
}

static void check_info(const struct model *m, int error, const struct mm_siginfo *info,
		       unsigned int page, int code)
{
	if (error != EFAULT)
		return;
	CHECK_EQ(info->addr, addr_of(m, page));
	CHECK_EQ(info->code, code);
}

static void step_write(struct model *m, unsigned int first, unsigned int n)
{
	unsigned char bytes[4 * 4096];
	int value = (int)below(m, 256), code, error;
	struct mm_siginfo info;
	unsigned int done;

	memset(bytes, value, sizeof(bytes));
	error = model_access(m, first, n, value, &done, &code);
	CHECK_EQ(mm_write(m->mm, addr_of(m, first), bytes, (size_t)PAGES(n), &info), error);
	check_info(m, error, &info, first + done, code);
}

static void step_read(struct model *m, unsigned int first, unsigned int n)
{
	unsigned char bytes[4 * 4096];
	struct mm_siginfo info;
	unsigned int done;
	int code, error;

	error = model_access(m, first, n, -1, &done, &code);
	CHECK_EQ(mm_read(m->mm, addr_of(m, first), bytes, (size_t)PAGES(n), &info), error);
	check_info(m, error, &info, first + done, code);
	for (size_t i = 0; i < (size_t)PAGES(done); i++)
		if (bytes[i] != *value_of(m, first + (unsigned int)(i / 4096)))
			CHECK_EQ(bytes[i], *value_of(m, first + (unsigned int)(i / 4096)));
}

static void step_fault(struct model *m, unsigned int first)
{
	int access = below(m, 2) ? W : R, code, error;
	struct mm_siginfo info;
	unsigned int done;
	int value = 0;

	if (m->page[first].mapped &&
	    (!m->page[first].object ||
	     m->page[first].offset < m->object[m->page[first].object - 1].size))
		value = *value_of(m, first);
	error = model_access(m, first, 1, access == W ? value : -1, &done, &code);
	CHECK_EQ(mm_fault(m->mm, addr_of(m, first), access, &info), error);
	check_info(m, error, &info, first, code);
}

void model_step(struct model *m)
{
	unsigned int n = 1 + below(m, below(m, 8) ? 6 : 40);
	unsigned int first = below(m, MODEL_PAGES - n + 1);
	unsigned int few = n < 4 ? n : 4;
	uint64_t addr = addr_of(m, first);
	int prot;

	switch (below(m, m->whole ? 17 : 16)) {
	case 0:
	case 1:
	case 2:
		step_map(m, first, n);
		break;
	case 3:
		CHECK_EQ(mm_munmap(m->mm, addr, PAGES(n)), model_unmap(m, first, n));
		break;
	case 4:
	case 5:
		prot = random_prot(m);
		CHECK_EQ(mm_mprotect(m->mm, addr, PAGES(n), prot),
			 model_protect(m, first, first + n, prot));
		break;
	case 6:
		CHECK_EQ(mm_madvise(m->mm, addr, PAGES(n), MM_MADV_DONTNEED),
			 model_dontneed(m, first, first + n));
		break;
	case 7:
	case 8:
		step_remap(m, first, n);
		break;
	case 9:
	case 10:
	case 11:
		step_write(m, first, few);
		break;
	case 12:
	case 13:
		step_read(m, first, few);
		break;
	case 14:
	case 15:
		step_fault(m, first);
		break;
	default:
		step_brk(m);
	}
}

struct walk {
	const struct model *model;
	unsigned int page; /* the page to visit next */
};

static int check_vma(const struct mm_area *vma, void *arg)
{
	struct walk *walk = arg;
	const struct model *m = walk->model;
	const struct model_page *page;
	unsigned int first;

	if (vma->end <= m->base || vma->start >= addr_of(m, MODEL_PAGES))
		return 0;
	while (walk->page < MODEL_PAGES && !m->page[walk->page].mapped)
		walk->page++;
	first = walk->page;
	CHECK(first < MODEL_PAGES);
	page = &m->page[first];
	CHECK_EQ(vma->start, addr_of(m, first));
	CHECK_EQ(vma->prot, page->prot);
	CHECK_EQ(vma->flags, page->flags & (PRIVATE | SHARED));
	walk->page = vma_end(m, first);
	CHECK_EQ(vma->end, addr_of(m, walk->page));
	return 0;
}

void model_check(struct model *m)
{
	struct walk walk = { m, 0 };
	struct mm_stats stats;

	CHECK_EQ(mm_for_each_area(m->mm, check_vma, &walk), 0);
	CHECK(all_free(m, walk.page, MODEL_PAGES));
	if (m->whole) {
		mm_get_stats(m->mm, &stats, sizeof(stats));
		CHECK_EQ(stats.areas, count_vmas(m));
		CHECK_EQ(stats.pages, count_present(m));
	}
	for (unsigned int i = 0; i < MODEL_PAGES; i++)
		if (m->page[i].present && m->page[i].prot)
			step_read(m, i, 1);
}
