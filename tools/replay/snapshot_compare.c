/* SPDX-License-Identifier: MIT */
#include "snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void describe_vma(const struct mm_area *vma, char *text, size_t size)
{
	snprintf(text, size, "%#" PRIx64 "-%#" PRIx64 " %c%c%c%c", vma->start, vma->end,
		 vma->prot & MM_PROT_READ ? 'r' : '-', vma->prot & MM_PROT_WRITE ? 'w' : '-',
		 vma->prot & MM_PROT_EXEC ? 'x' : '-', vma->flags & MM_MAP_SHARED ? 's' : 'p');
}

static bool same_vma(const struct mm_area *a, const struct mm_area *b)
{
	return a->start == b->start && a->end == b->end && a->prot == b->prot &&
	       a->flags == b->flags;
}

static int compare_vmas(const struct snapshot *expected, const struct snapshot *actual,
			char *message, size_t size)
{
	const struct mm_area *want, *have;
	char wanted[64] = "none", had[64] = "none";
	size_t i = 0;

	while (i < expected->vma_count && i < actual->vma_count &&
	       same_vma(&expected->vmas[i], &actual->vmas[i]))
		i++;
	want = i < expected->vma_count ? &expected->vmas[i] : NULL;
	have = i < actual->vma_count ? &actual->vmas[i] : NULL;
	if (!want && !have)
		return 0;
	if (want)
		describe_vma(want, wanted, sizeof wanted);
	if (have)
		describe_vma(have, had, sizeof had);
	snprintf(message, size, "areas differ from the %zuth on: it should be %s, but is %s", i + 1,
		 wanted, had);
	return EINVAL;
}

static int compare_pages(const struct snapshot *expected, const struct snapshot *actual,
			 char *message, size_t size)
{
	uint64_t want, have;
	size_t i = 0;

	while (i < expected->page_count && i < actual->page_count &&
	       expected->pages[i] == actual->pages[i])
		i++;
	want = i < expected->page_count ? expected->pages[i] : UINT64_MAX;
	have = i < actual->page_count ? actual->pages[i] : UINT64_MAX;
	if (want == have)
		return 0;
	if (want < have)
		snprintf(message, size, "the page at %#" PRIx64 " should be present, but is not",
			 want);
	else
		snprintf(message, size, "the page at %#" PRIx64 " is present, but should not be",
			 have);
	return EINVAL;
}

static int compare_bytes(const struct snapshot *expected, const struct snapshot *actual,
			 char *message, size_t size)
{
	static const struct snapshot_word none = { .addr = UINT64_MAX };
	struct snapshot_word want, have;
	size_t i = 0;

	while (i < expected->word_count && i < actual->word_count &&
	       !memcmp(&expected->words[i], &actual->words[i], sizeof *expected->words))
		i++;
	want = i < expected->word_count ? expected->words[i] : none;
	have = i < actual->word_count ? actual->words[i] : none;
	/* A word that one snapshot does not list is zero there. */
	if (want.addr < have.addr)
		have = (struct snapshot_word){ .addr = want.addr };
	else if (have.addr < want.addr)
		want = (struct snapshot_word){ .addr = have.addr };
	for (unsigned int k = 0; k < sizeof want.bytes; k++) {
		if (want.bytes[k] != have.bytes[k]) {
			snprintf(message, size,
				 "the byte at %#" PRIx64 " should be %#x, but is %#x",
				 want.addr + k, (unsigned int)want.bytes[k],
				 (unsigned int)have.bytes[k]);
			return EINVAL;
		}
	}
	return 0;
}

int snapshot_compare(const struct snapshot *expected, const struct snapshot *actual, char *message,
		     size_t size)
{
	int error = compare_vmas(expected, actual, message, size);

	if (!error)
		error = compare_pages(expected, actual, message, size);
	if (!error)
		error = compare_bytes(expected, actual, message, size);
	return error;
}
