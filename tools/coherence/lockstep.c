/* SPDX-License-Identifier: MIT */
#include "lockstep.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* How long the host may take until a thread that should fall asleep or come back does so. */
enum { PATIENCE_SECONDS = 5 };

struct core cores[MAX_CORES];
unsigned int nr_cores;
unsigned int meetings;
unsigned int escapes;
uint64_t lockstep_window = WINDOW;
_Atomic(uint64_t) lockstep_others;

/*
 * gate protects the following variables and the states of the cores, because threads that come back
 * from sleep do not have the baton.
 */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static struct core *holder; /* of the baton; NULL: all cores sleep, meet, or are outside */
static struct core
	*falling_asleep; /* or NULL; the next core to get the baton waits until this one sleeps */
static int missing; /* threads woken but not back; negative: back before the waker counted them */
static uint64_t wake_clock; /* the clock at which they were woken */
static pthread_cond_t back = PTHREAD_COND_INITIALIZER;
static atomic_bool over;

void lockstep_init(void)
{
	unsigned int i;

	for (i = 0; i < MAX_CORES; i++) {
		cores[i].id = i;
		sem_init(&cores[i].turn, 0, 0);
	}
}

bool lockstep_over(void)
{
	/* relaxed: a thread that runs on for a moment only wastes time */
	return atomic_load_explicit(&over, memory_order_relaxed);
}

static struct timespec patience(void)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += PATIENCE_SECONDS;
	return deadline;
}

static bool passed(const struct timespec *deadline)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec > deadline->tv_sec ||
	       (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

/* Under the gate: of the cores that are ready, without except, the slowest. */
static struct core *slowest(const struct core *except)
{
	struct core *found = NULL;
	unsigned int i;

	for (i = 0; i < nr_cores; i++)
		if (cores[i].state == CORE_READY && &cores[i] != except &&
		    (!found || cores[i].clock < found->clock))
			found = &cores[i];
	return found;
}

/* Under the gate. */
static void set_holder(struct core *core)
{
	struct core *other = slowest(core);

	holder = core;
	/* relaxed: a semaphore hands the baton over */
	atomic_store_explicit(&lockstep_others, other ? other->clock : UINT64_MAX - lockstep_window,
			      memory_order_relaxed);
}

/* Whether the kernel has put a thread to sleep: its stat file has the state S. */
static bool sleeps(pid_t thread)
{
	char path[64], stat[256];
	const char *state;
	ssize_t length;
	int file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	length = read(file, stat, sizeof(stat) - 1);
	close(file);
	stat[length > 0 ? length : 0] = '\0';
	/* "number (name) state ..": the name may contain any characters. */
	state = strrchr(stat, ')');
	return state && strncmp(state, ") S", 3) == 0;
}

static enum core_state state_of(const struct core *core)
{
	enum core_state state;

	pthread_mutex_lock(&gate);
	state = core->state;
	pthread_mutex_unlock(&gate);
	return state;
}

/* With the baton: waits until the core that had it before sleeps, if that was about to sleep. */
static void see_asleep(void)
{
	const struct core *core = falling_asleep;
	struct timespec deadline = patience();

	falling_asleep = NULL;
	while (core && state_of(core) == CORE_ASLEEP && !sleeps(core->thread)) {
		if (passed(&deadline)) {
			escapes++;
			return;
		}
		sched_yield();
	}
}

static void await_turn(struct core *core)
{
	while (sem_wait(&core->turn) != 0 && errno == EINTR)
		;
	if (!lockstep_over() && falling_asleep)
		see_asleep();
}

/* Under the gate, which it opens: hands the baton to next, and waits until the baton is back. */
static void hand_over(struct core *core, struct core *next)
{
	set_holder(next);
	pthread_mutex_unlock(&gate);
	if (next == core)
		return;
	if (next)
		sem_post(&next->turn);
	await_turn(core);
}

void lockstep_switch(struct core *core)
{
	pthread_mutex_lock(&gate);
	hand_over(core, slowest(NULL));
}

/* Under the gate, when all cores have come. */
static void end_meeting(void)
{
	uint64_t latest = 0;
	unsigned int i;

	for (i = 0; i < nr_cores; i++)
		if (cores[i].clock > latest)
			latest = cores[i].clock;
	for (i = 0; i < nr_cores; i++) {
		cores[i].clock = latest;
		cores[i].state = CORE_READY;
	}
	meetings++;
}

static bool all_meet(void)
{
	unsigned int i;

	for (i = 0; i < nr_cores; i++)
		if (cores[i].state != CORE_MEETING)
			return false;
	return true;
}

void lockstep_meet(struct core *core)
{
	pthread_mutex_lock(&gate);
	core->state = CORE_MEETING;
	if (all_meet())
		end_meeting();
	hand_over(core, slowest(NULL));
}

void lockstep_enter(unsigned int id, unsigned int n)
{
	pthread_mutex_lock(&gate);
	nr_cores = n;
	cores[id].thread = (pid_t)syscall(SYS_gettid);
	pthread_mutex_unlock(&gate);
	lockstep_meet(&cores[id]);
}

void lockstep_sleep(struct core *core)
{
	struct core *next;

	pthread_mutex_lock(&gate);
	core->state = CORE_ASLEEP;
	next = slowest(NULL);
	falling_asleep = next ? core : NULL;
	set_holder(next);
	pthread_mutex_unlock(&gate);
	if (next)
		sem_post(&next->turn);
}

void lockstep_back(struct core *core, bool woken)
{
	const struct core *other;

	pthread_mutex_lock(&gate);
	other = slowest(NULL);
	if (woken) {
		missing--;
		if (core->clock < wake_clock)
			core->clock = wake_clock;
		core->clock += WAKE_CYCLES;
		pthread_cond_signal(&back);
	} else {
		escapes++;
		if (other && core->clock < other->clock)
			core->clock = other->clock;
	}
	core->state = CORE_READY;
	if (!holder) {
		set_holder(core);
		pthread_mutex_unlock(&gate);
		return;
	}
	/* relaxed: the holder of the baton may see it late; 0 makes it look for the slowest core */
	atomic_store_explicit(&lockstep_others, 0, memory_order_relaxed);
	pthread_mutex_unlock(&gate);
	await_turn(core);
}

void lockstep_wake(struct core *core)
{
	pthread_mutex_lock(&gate);
	wake_clock = core->clock;
	pthread_mutex_unlock(&gate);
}

void lockstep_woke(struct core *core, unsigned int cores_woken)
{
	struct timespec deadline = patience();

	pthread_mutex_lock(&gate);
	missing += (int)cores_woken;
	while (missing > 0 && pthread_cond_timedwait(&back, &gate, &deadline) == 0)
		;
	if (missing != 0)
		escapes++;
	missing = 0;
	set_holder(core);
	pthread_mutex_unlock(&gate);
}

void lockstep_end(void)
{
	unsigned int i;

	/* relaxed: the semaphores publish it */
	atomic_store_explicit(&over, true, memory_order_relaxed);
	for (i = 0; i < nr_cores; i++)
		sem_post(&cores[i].turn);
}
