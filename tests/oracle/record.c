/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <stddef.h>
#include <string.h>

void side_clear(struct side *side)
{
	for (unsigned int i = 0; i < MAX_OPS; i++)
		memset(&side->records[i], 0, offsetof(struct record, vmas.vma));
	side->reached = 0;
	side->finished = false;
	side->unable = NULL;
	side->errors[0] = '\0';
}

unsigned int vmas_find(const struct vmas *vmas, uint64_t page)
{
	unsigned int i = 0;

	while (i < vmas->count && (vmas->vma[i].end <= page || vmas->vma[i].start > page))
		i++;
	return i;
}

bool vmas_look_the_same(const struct vma *a, const struct vma *b)
{
	return a->prot == b->prot && a->shared == b->shared && a->anonymous == b->anonymous;
}

/* Whether right shows the part of the file that follows the part in left. */
static bool same_file(const struct vma *left, const struct vma *right)
{
	return left->inode == right->inode &&
	       left->offset + (left->end - left->start) * MM_PAGE_SIZE == right->offset;
}

bool vma_continues(const struct vmas *kernel, const struct vma *left, const struct vma *right)
{
	if (left->end != right->start || !vmas_look_the_same(left, right))
		return false;
	if (left->anonymous && !left->shared)
		return !kernel->vm_flags_known || left->vm_flags == right->vm_flags;
	if (!same_file(left, right) || (left->anonymous && !kernel->at_limit))
		return false;
	return !kernel->vm_flags_known || left->vm_flags == right->vm_flags;
}
