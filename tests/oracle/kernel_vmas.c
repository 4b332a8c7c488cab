/* SPDX-License-Identifier: MIT */
/* Reads the VMAs from /proc/self. */
#include "kernel.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct walk {
	uint64_t window;
	uint64_t window_end;
	struct vmas *vmas;
	bool inside; /* the last VMA read is in the window */
};

/* The flags for a list of two-letter names. */
static uint64_t vm_flags(const char *names)
{
	static const char known[] = "lo lf nr nh sh mr mw me ms gd hg ";
	uint64_t flags = 0;

	for (; names[0] && names[1]; names += names[2] ? 3 : 2) {
		char name[4] = { names[0], names[1], ' ', '\0' };
		const char *place = strstr(known, name);

		if (place)
			flags |= UINT64_C(1) << ((place - known) / 3);
	}
	return flags;
}

/* "start-end rwxp offset device inode name". Returns whether more VMAs of the window may follow. */
static bool vma_line(struct walk *walk, char *line)
{
	char *rest;
	uint64_t start = strtoull(line, &rest, 16);
	uint64_t end = strtoull(rest + 1, &rest, 16);
	struct vma *vma = &walk->vmas->vma[walk->vmas->count];

	if (start >= walk->window_end)
		return false;
	walk->inside = end > walk->window;
	if (!walk->inside)
		return true;
	vma->anonymous = strstr(rest, "/memfd:oracle") == NULL;
	if (start < walk->window)
		start = walk->window;
	if (end > walk->window_end)
		end = walk->window_end;
	vma->start = (uint16_t)((start - walk->window) / MM_PAGE_SIZE);
	vma->end = (uint16_t)((end - walk->window) / MM_PAGE_SIZE);
	vma->prot = (uint8_t)((rest[1] == 'r' ? MM_PROT_READ : 0) |
			      (rest[2] == 'w' ? MM_PROT_WRITE : 0) |
			      (rest[3] == 'x' ? MM_PROT_EXEC : 0));
	vma->shared = rest[4] == 's';
	vma->offset = strtoull(rest + 5, &rest, 16);
	vma->inode = strtoull(rest + 7, NULL, 10);
	vma->vm_flags = 0;
	walk->vmas->count++;
	return true;
}

/* In smaps, lines with details of a VMA begin with a capital letter. */
static bool any_line(struct walk *walk, char *line)
{
	static const char flags[] = "VmFlags: ";

	if (line[0] < 'A' || line[0] > 'Z')
		return vma_line(walk, line);
	if (walk->inside && strncmp(line, flags, sizeof(flags) - 1) == 0)
		walk->vmas->vma[walk->vmas->count - 1].vm_flags =
			vm_flags(line + sizeof(flags) - 1);
	return true;
}

/* Passes the whole lines of text to any_line(), and moves the rest to its start. */
static bool lines(struct walk *walk, char *text, size_t *length)
{
	char *line = text;
	char *end;

	text[*length] = '\0';
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		if (!any_line(walk, line))
			return false;
		line = end + 1;
	}
	*length -= (size_t)(line - text);
	memmove(text, line, *length);
	return true;
}

void kernel_vmas(const struct kernel *kernel, struct vmas *vmas, bool with_vm_flags)
{
	struct walk walk = { kernel->window, kernel->window + window_size(kernel->sequence), vmas,
			     false };
	static char text[16384];
	size_t length = 0;
	ssize_t got;
	int fd = open(with_vm_flags ? "/proc/self/smaps" : "/proc/self/maps", O_RDONLY);

	vmas->count = 0;
	vmas->vm_flags_known = with_vm_flags;
	vmas->at_limit = kernel->sequence->limit != NO_LIMIT;
	while ((got = read(fd, text + length, sizeof(text) - 1 - length)) > 0) {
		length += (size_t)got;
		if (!lines(&walk, text, &length))
			break;
	}
	close(fd);
}

uint32_t kernel_count_vmas(void)
{
	static char text[16384];
	uint32_t count = 0;
	ssize_t got;
	int fd = open("/proc/self/maps", O_RDONLY);

	while ((got = read(fd, text, sizeof(text) - 1)) > 0) {
		text[got] = '\0';
		for (const char *line = text; (line = strchr(line, '\n')); line++)
			count++;
		/* The last one does not belong to the process. */
		count -= strstr(text, "[vsyscall]") != NULL;
	}
	close(fd);
	return count;
}

uint32_t kernel_max_vmas(void)
{
	return (uint32_t)kernel_number("/proc/sys/vm/max_map_count", 0);
}

uint64_t kernel_number(const char *path, unsigned int skip)
{
	char text[1024] = "";
	char *word;
	int fd = open(path, O_RDONLY);
	ssize_t got = read(fd, text, sizeof(text) - 1);

	close(fd);
	if (got <= 0)
		return 0;
	text[got] = '\0';
	word = strrchr(text, ')');
	word = word ? word : text;
	while (skip-- && word) {
		word = strchr(word, ' ');
		word = word ? word + 1 : NULL;
	}
	return word ? strtoull(word, NULL, 10) : 0;
}
