/* SPDX-License-Identifier: MIT */
/*
 * The lost copy-on-write. A fault copies a page without a lock. Meanwhile the other owner of the
 * frame drops its share, another thread writes to the frame in place, and the entry that the fault
 * has seen gets its old value again. If the fault then installs its copy, the write is lost. Only a
 * count that grows shows that something happened.
 *
 * An entry contains the number of the thread that may have it in its TLB, so an entry seldom gets
 * its old value again. But the entry of a page that was moved away and back contains no number, and
 * neither does one in a child of mm_fork().
 */
#include "files.h"
#include "stepper.h"

static void write_fault_and_read(struct stepper *self)
{
	step_ready(self);
	CHECK_EQ(touch(self->mm, AT(0), W), 0);
	self->result = peek(self->mm, AT(0));
}

/* The VMA and its count stay as they are: only the entry shows the change. */
TEST(mm_lost_copy, a_page_of_zeroes_does_not_replace_one_that_was_written_to)
{
	struct mm *mm = new_space();
	struct stepper thread;

	map(mm, 0, 2, RW);
	CHECK_EQ(poke(mm, AT(1), 9), 0);
	step_start(&thread, write_fault_and_read, mm);
	CHECK_EQ(step_to(&thread, AT_ENTRY), AT_ENTRY);
	CHECK_EQ(poke(mm, AT(0), 2), 0);
	step_to_end(&thread);
	CHECK_EQ(thread.result, 2);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_ENTRY), 1);
	end_space(mm);
}

TEST(mm_lost_copy, a_copy_does_not_replace_a_copy_that_was_written_to)
{
	struct mm *parent = new_space();
	struct stepper thread;
	struct mm *mm;

	map(parent, 0, 1, RW);
	CHECK_EQ(poke(parent, AT(0), 1), 0);
	mm = fork_of(parent);
	step_start(&thread, write_fault_and_read, mm);
	CHECK_EQ(step_to(&thread, AT_ENTRY), AT_ENTRY);
	CHECK_EQ(poke(mm, AT(0), 2), 0);
	step_to_end(&thread);
	CHECK_EQ(thread.result, 2);
	CHECK_EQ(peek(parent, AT(0)), 1);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_ENTRY), 1);
	end_space(mm);
	end_space(parent);
}

TEST(mm_lost_copy, a_copy_is_not_installed_when_another_wrote_in_place)
{
	struct mm *parent = new_space();
	struct stepper thread;
	struct mm *mm;
	struct mm *other;
	uint64_t seen;

	map(parent, 0, 1, RW);
	CHECK_EQ(poke(parent, AT(0), 1), 0);
	mm = fork_of(parent);
	seen = entry_at(mm, AT(0));
	start_write_fault(&thread, mm, AT_ENTRY);

	unmap(parent, 0, 1);
	CHECK_EQ(poke(mm, AT(0), 2), 0);
	/* The entry becomes read-only, and then this space is the only owner of the frame again. */
	other = fork_of(mm);
	unmap(other, 0, 1);
	move(mm, 0, 8);
	move(mm, 8, 0);
	CHECK_EQ(entry_at(mm, AT(0)), seen);
	CHECK_VMAS(mm, "0-1:rw-p");

	step_to_end(&thread);
	CHECK_EQ(thread.result, 0);
	CHECK_EQ(peek(mm, AT(0)), 2);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_CHANGED), 1);
	end_space(other);
	end_space(mm);
	end_space(parent);
}

/*
 * Private copies of pages of a file, which are dropped when the file becomes too short
 */

static void read_twice(struct stepper *self)
{
	CHECK_EQ(peek(self->mm, AT(0)), 1);
	step_pause(self);
	self->result = peek(self->mm, AT(0));
}

/*
 * A reader finds the end of the file, and stops. Then the file grows, and a thread writes to the
 * copy.
 */
static void write_while_a_reader_is(enum point where)
{
	struct mm *mm = new_space();
	struct stepper reader;
	int fd = new_file(PAGES(1));

	map_file_at(mm, 0, 1, RW, MM_MAP_PRIVATE, fd, 0);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	step_start(&reader, read_twice, mm);
	CHECK_EQ(peek(mm, AT(0)), 1);
	CHECK_EQ(ftruncate(fd, 0), 0);
	CHECK_EQ(step_to(&reader, where), where);
	CHECK_EQ(ftruncate(fd, (off_t)PAGES(1)), 0);
	CHECK_EQ(poke(mm, AT(0), 2), 0);
	step_to_end(&reader);
	CHECK_EQ(reader.result, -MM_BUS_ADRERR);
	CHECK_EQ(peek(mm, AT(0)), 2);
	CHECK_EQ(stats_of(mm).pages, 1);
	/* The copy is dropped like any other. */
	CHECK_EQ(ftruncate(fd, 0), 0);
	CHECK_EQ(peek(mm, AT(0)), -MM_BUS_ADRERR);
	CHECK_EQ(stats_of(mm).frames, 0);
	end_space(mm);
	close(fd);
}

TEST(mm_lost_copy, a_copy_that_was_written_to_after_the_file_had_grown_is_not_dropped)
{
	write_while_a_reader_is(AT_RANGE_LOCK);
}

TEST(mm_lost_copy, a_copy_that_is_written_to_until_the_flush_is_not_dropped)
{
	write_while_a_reader_is(AT_FLUSH);
}
