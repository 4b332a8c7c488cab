/* SPDX-License-Identifier: MIT */
/* A reader waits to become a writer. */
#include "actors.h"

#include <errno.h>

/* A thread that holds a range for reading, and makes it a writer's. */
struct upgrader {
	struct range_lock *lock;
	struct range_hold range;
	struct timespec time;
	const struct timespec *deadline;
	pthread_t thread;
	atomic_bool done;
	int result;
};

static void *run_upgrade(void *arg)
{
	struct upgrader *u = arg;

	u->result = range_timedupgrade(u->lock, &u->range, CLOCK_MONOTONIC, u->deadline);
	atomic_store(&u->done, true);
	return NULL;
}

/* Returns when the upgrade waits. */
static void start_upgrade(struct upgrader *u, struct range_lock *lock, const uint64_t *ns)
{
	uint64_t waits = lock_stats(lock).waits;

	u->lock = lock;
	atomic_init(&u->done, false);
	if (ns)
		u->time = time_after(CLOCK_MONOTONIC, *ns);
	u->deadline = ns ? &u->time : NULL;
	u->thread = thread_start(run_upgrade, u);
	AWAIT(lock_stats(lock).waits > waits || atomic_load(&u->done));
}

static void start_upgrade_of(struct upgrader *u, struct range_lock *lock, uint64_t start,
			     uint64_t end)
{
	take(lock, &u->range, start, end, RANGE_READ);
	start_upgrade(u, lock, NULL);
	CHECK(!atomic_load(&u->done));
}

static int finish_upgrade(struct upgrader *u)
{
	thread_join(u->thread);
	return u->result;
}

/* With one leaf and with several, each that the range may span. */
static void begin(struct range_lock *lock, int how)
{
	init_lock(lock, fairnesses[how % 2], 64);
	if (how >= 2)
		make_leaves(lock, 4);
}

TEST(upgrade, a_reader_becomes_a_writer_when_the_last_other_reader_has_gone)
{
	for (int how = 0; how < 4; how++) {
		struct range_lock lock;
		struct range_hold low, high;
		struct upgrader u;

		begin(&lock, how);
		take(&lock, &low, 0, 15, RANGE_READ);
		take(&lock, &high, 25, 26, RANGE_READ);
		start_upgrade_of(&u, &lock, 5, 30);
		check_valid(&lock);
		CHECK_EQ(u.range.mode, RANGE_READ);
		range_unlock(&lock, &high);
		check_valid(&lock);
		CHECK(!atomic_load(&u.done));
		range_unlock(&lock, &low);
		CHECK_EQ(finish_upgrade(&u), 0);
		CHECK_EQ(u.range.mode, RANGE_WRITE);
		CHECK(!is_free(&lock, 29, 30, RANGE_READ));
		CHECK(is_free(&lock, 0, 5, RANGE_WRITE) && is_free(&lock, 30, 40, RANGE_WRITE));
		range_unlock(&lock, &u.range);
		check_quiet_and_destroy(&lock);
	}
}

TEST(upgrade, a_reader_that_is_alone_becomes_a_writer_at_once)
{
	for (int how = 0; how < 4; how++) {
		struct range_lock lock;
		struct range_hold range;

		begin(&lock, how);
		take(&lock, &range, 5, 30, RANGE_READ);
		CHECK_EQ(range_upgrade(&lock, &range), 0);
		CHECK_EQ(range.mode, RANGE_WRITE);
		CHECK_EQ(range_upgrade(&lock, &range), 0);
		CHECK_EQ(lock_stats(&lock).waits, 0);
		range_unlock(&lock, &range);
		check_quiet_and_destroy(&lock);
	}
}

TEST(upgrade, the_second_of_two_readers_gets_edeadlk_at_once_and_stays_a_reader)
{
	for (int how = 0; how < 4; how++) {
		struct range_lock lock;
		struct range_hold second, beside;
		struct upgrader first;

		begin(&lock, how);
		take(&lock, &second, 12, 50, RANGE_READ);
		take(&lock, &beside, 60, 70, RANGE_READ);
		start_upgrade_of(&first, &lock, 5, 13);
		CHECK_EQ(range_upgrade(&lock, &second), EDEADLK);
		CHECK_EQ(second.mode, RANGE_READ);
		CHECK_EQ(range_upgrade(&lock, &beside), 0);
		CHECK(!atomic_load(&first.done));
		check_valid(&lock);
		range_unlock(&lock, &second);
		CHECK_EQ(finish_upgrade(&first), 0);
		range_unlock(&lock, &first.range);
		range_unlock(&lock, &beside);
		check_quiet_and_destroy(&lock);
	}
}

/* The first spans all leaves of the second, and stands in the queue of another one. */
TEST(upgrade, the_second_gets_edeadlk_wherever_the_first_is_queued)
{
	struct range_lock lock;
	struct range_hold low, second;
	struct upgrader first;

	begin(&lock, 2);
	take(&lock, &low, 0, 1, RANGE_READ);
	take(&lock, &second, 24, 25, RANGE_READ);
	start_upgrade_of(&first, &lock, 0, 50);
	CHECK_EQ(range_upgrade(&lock, &second), EDEADLK);
	range_unlock(&lock, &second);
	range_unlock(&lock, &low);
	CHECK_EQ(finish_upgrade(&first), 0);
	range_unlock(&lock, &first.range);
	check_quiet_and_destroy(&lock);
}

TEST(upgrade, no_newcomer_passes_it_and_it_passes_the_waiters)
{
	for (int how = 0; how < 4; how++) {
		struct range_lock lock;
		struct range_hold other;
		struct actor writer, reader;
		struct upgrader u;

		begin(&lock, how);
		take(&lock, &other, 5, 30, RANGE_READ);
		take(&lock, &u.range, 8, 30, RANGE_READ);
		actor_queue(&writer, &lock, 0, 40, RANGE_WRITE);
		start_upgrade(&u, &lock, NULL);
		actor_queue(&reader, &lock, 28, 29, RANGE_READ);
		check_valid(&lock);
		range_unlock(&lock, &other);
		CHECK_EQ(finish_upgrade(&u), 0);
		CHECK(!actor_holds(&writer) && !actor_holds(&reader));
		range_unlock(&lock, &u.range);
		actor_let_go(&writer);
		actor_let_go(&reader);
		CHECK_EQ(actor_finish(&writer), 0);
		CHECK_EQ(actor_finish(&reader), 0);
		check_quiet_and_destroy(&lock);
	}
}

TEST(upgrade, a_deadline_that_passes_leaves_a_reader_and_lets_newcomers_in)
{
	for (int how = 0; how < 4; how++) {
		static const uint64_t soon = 1000000;
		struct range_lock lock;
		struct range_hold other;
		struct actor reader;
		struct upgrader u;

		begin(&lock, how);
		take(&lock, &other, 5, 30, RANGE_READ);
		take(&lock, &u.range, 8, 30, RANGE_READ);
		start_upgrade(&u, &lock, &soon);
		actor_start(&reader, &lock, 12, 13, RANGE_READ);
		CHECK_EQ(finish_upgrade(&u), ETIMEDOUT);
		actor_await(&reader);
		CHECK_EQ(u.range.mode, RANGE_READ);
		check_valid(&lock);
		range_unlock(&lock, &u.range);
		range_unlock(&lock, &other);
		CHECK_EQ(actor_finish(&reader), 0);
		check_quiet_and_destroy(&lock);
	}
}

TEST(upgrade, bad_arguments_change_nothing)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	const struct timespec bad = { .tv_nsec = 1000000000 }, good = { .tv_sec = 0 };
	struct range_hold range;

	take(&lock, &range, 0, 10, RANGE_READ);
	CHECK_EQ(range_timedupgrade(&lock, &range, CLOCK_MONOTONIC, &bad), EINVAL);
	CHECK_EQ(range_timedupgrade(&lock, &range, CLOCK_PROCESS_CPUTIME_ID, &good), EINVAL);
	CHECK_EQ(range.mode, RANGE_READ);
	CHECK_EQ(range_timedupgrade(&lock, &range, CLOCK_MONOTONIC, &good), 0);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

struct sightings {
	struct range_hold *range;
	unsigned int held, starving;
};

static int count_sightings(const struct range_info *info, void *arg)
{
	struct sightings *s = arg;

	if (info->range == s->range) {
		s->held += info->state == RANGE_STATE_HELD && info->mode == RANGE_READ;
		s->starving += info->state == RANGE_STATE_STARVING && info->mode == RANGE_WRITE;
	}
	return 0;
}

/* The function of the walk starts an upgrade, at the first range that it is told of. */
struct late {
	struct upgrader *u;
	struct sightings s;
};

static int start_upgrade_late(const struct range_info *info, void *arg)
{
	struct late *late = arg;

	if (late->s.held++ == 0)
		start_upgrade(late->u, late->u->lock, NULL);
	return count_sightings(info, &late->s);
}

TEST(upgrade, a_walk_does_not_report_a_wait_that_begins_during_the_walk)
{
	for (int how = 2; how < 4; how++) {
		struct range_lock lock;
		struct range_hold first, other;
		struct upgrader u = { .lock = &lock };
		struct late late = { .u = &u, .s = { .range = &u.range } };

		begin(&lock, how);
		take(&lock, &first, 0, 1, RANGE_READ);
		take(&lock, &other, 31, 35, RANGE_READ);
		take(&lock, &u.range, 32, 36, RANGE_READ);
		CHECK_EQ(range_lock_foreach(&lock, start_upgrade_late, &late), 0);
		CHECK_EQ(late.s.starving, 0);
		CHECK_EQ(range_lock_foreach(&lock, count_sightings, &late.s), 0);
		CHECK_EQ(late.s.starving, 1);
		range_unlock(&lock, &other);
		CHECK_EQ(finish_upgrade(&u), 0);
		range_unlock(&lock, &u.range);
		range_unlock(&lock, &first);
		check_quiet_and_destroy(&lock);
	}
}

TEST(upgrade, a_cancel_with_the_held_range_ends_the_wait)
{
	for (int how = 0; how < 4; how++) {
		struct range_lock lock;
		struct range_hold other;
		struct upgrader u;
		struct sightings s = { .range = &u.range };

		begin(&lock, how);
		take(&lock, &other, 5, 30, RANGE_READ);
		start_upgrade_of(&u, &lock, 8, 40);
		CHECK_EQ(range_lock_foreach(&lock, count_sightings, &s), 0);
		CHECK_EQ(s.held, 1);
		CHECK_EQ(s.starving, 1);
		CHECK_EQ(range_cancel(&lock, &other), ESRCH);
		CHECK_EQ(range_cancel(&lock, &u.range), 0);
		CHECK_EQ(range_cancel(&lock, &u.range), ESRCH);
		CHECK_EQ(finish_upgrade(&u), ECANCELED);
		CHECK_EQ(u.range.mode, RANGE_READ);
		check_valid(&lock);
		CHECK(is_free(&lock, 8, 40, RANGE_READ));
		range_unlock(&lock, &u.range);
		range_unlock(&lock, &other);
		check_quiet_and_destroy(&lock);
	}
}

/* A thread that holds what the upgrade needs, and waits for the range that is upgraded. */
TEST(upgrade, the_checked_build_finds_a_cycle_through_an_upgrade)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold held, wanted;
	struct upgrader u;

	if (!checked_build)
		return;
	take(&lock, &held, 0, 10, RANGE_READ);
	start_upgrade_of(&u, &lock, 5, 20);
	CHECK_EQ(range_lock(&lock, &wanted, 15, 16, RANGE_READ), EDEADLK);
	range_unlock(&lock, &held);
	CHECK_EQ(finish_upgrade(&u), 0);
	range_unlock(&lock, &u.range);
	check_quiet_and_destroy(&lock);
}

struct crossing {
	struct range_lock *upgraded, *other;
	struct range_hold held, wanted;
};

static void *hold_and_wait_in_the_other_lock(void *arg)
{
	struct crossing *c = arg;

	take(c->upgraded, &c->held, 0, 10, RANGE_READ);
	CHECK_EQ(range_lock(c->other, &c->wanted, 0, 1, RANGE_WRITE), 0);
	range_unlock(c->other, &c->wanted);
	range_unlock(c->upgraded, &c->held);
	return NULL;
}

TEST(upgrade, an_upgrade_that_closes_a_cycle_is_refused_in_the_checked_build)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER, other = RANGE_LOCK_INITIALIZER;
	struct crossing c = { .upgraded = &lock, .other = &other };
	struct range_hold held, beside;
	pthread_t thread;

	if (!checked_build)
		return;
	take(&lock, &held, 5, 20, RANGE_READ);
	take(&other, &beside, 0, 1, RANGE_WRITE);
	thread = thread_start(hold_and_wait_in_the_other_lock, &c);
	AWAIT(lock_stats(&other).waits == 1);
	CHECK_EQ(range_upgrade(&lock, &held), EDEADLK);
	CHECK_EQ(held.mode, RANGE_READ);
	range_unlock(&other, &beside);
	thread_join(thread);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
	check_quiet_and_destroy(&other);
}
