/* SPDX-License-Identifier: MIT */
/*
 * coherence-driver WORKLOAD WHAT CORES OPERATIONS - threads do operations on a lock or an address
 * space, while the plugin counts the transfers. They do next to nothing in between, so the
 * transfers are those of the operations.
 *
 * Data that the driver writes meanwhile is on lines of its own.
 */
#include "load.h"
#include "markers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum {
	MAX_THREADS = 1024,
	MIN_OWN_SLOTS = 4,
	MAX_PAUSE = 16, /* turns of an empty loop between operations: threads get out of step */
	/*
	 * A range lock adapts to the load. The warm-up has at least MIN_ROUNDS rounds, until the
	 * lock has not changed in one, and at most a limit. The limit is higher with more cores,
	 * where the first core that is done ends a round in which most cores did little.
	 */
	MIN_ROUNDS = 3,
	MAX_ROUNDS = 10,
	FEW_CORES = 64,
	MAX_ROUNDS_OF_MANY = 100,
	ARENAS_OF_A_CORE = 8,
	/* The time before each round, for a lock that bounds its changes per second. */
	LAPSE_US = 10000,
};

struct thread {
	struct worker worker;
	alignas(2 * CACHE_LINE) _Atomic(uint64_t) done;
	pthread_t thread;
	unsigned int id;
	bool failed;
};

static const struct load *const loads[] = { &lock_load, &mm_load };

/* Read only while the threads run; .. */
static alignas(2 * CACHE_LINE) struct {
	const struct load *load;
	struct thread *threads;
	unsigned int cores;
	unsigned long operations;
} run;

/* .. except for the plugin, see markers.h, .. */
static alignas(2 * CACHE_LINE) atomic_ulong over = MARKER_PROBE;

/* .. and for thread 0, which writes this when all threads have met. */
static alignas(2 * CACHE_LINE) struct {
	unsigned int rounds;
	bool restless; /* the lock still changed in the last round */
	atomic_bool over;
	uint64_t changes;
} warm_up;

static void operate(struct thread *thread)
{
	uint64_t random = worker_random(&thread->worker);
	uint64_t pause = (random >> 32) % MAX_PAUSE;

	if (!run.load->operate(&thread->worker, random & UINT32_MAX))
		thread->failed = true;
	while (pause--)
		atomic_signal_fence(memory_order_seq_cst);
}

static unsigned int max_rounds(void)
{
	return run.cores <= FEW_CORES ? MAX_ROUNDS : MAX_ROUNDS_OF_MANY;
}

/*
 * Thread 0 calls it, when no other thread works: whether the lock has changed since the last time.
 */
static void look(void)
{
	uint64_t changes = run.load->changes();

	warm_up.rounds++;
	warm_up.restless = changes != warm_up.changes;
	warm_up.changes = changes;
	/* release: pairs with the load in get_warm() */
	atomic_store_explicit(&warm_up.over,
			      (warm_up.rounds >= MIN_ROUNDS && !warm_up.restless) ||
				      warm_up.rounds == max_rounds(),
			      memory_order_release);
}

/* relaxed: only the plugin reads the stored value, and the loaded value orders no other data */
static void do_round(struct thread *thread)
{
	unsigned long i;

	for (i = 1; i <= run.operations && !atomic_load_explicit(&over, memory_order_relaxed);
	     i++) {
		operate(thread);
		atomic_store_explicit(&thread->done, i, memory_order_relaxed);
	}
	marker(MARKER_DONE, 0, 0, 0);
	if (run.load->after_round && !run.load->after_round(&thread->worker))
		thread->failed = true;
}

static void get_warm(struct thread *thread)
{
	do {
		marker(MARKER_LAPSE, LAPSE_US, 0, 0);
		marker(MARKER_MEET, 0, 0, 0);
		do_round(thread);
		marker(MARKER_MEET, 0, 0, 0);
		if (thread->id == 0)
			look();
		marker(MARKER_MEET, 0, 0, 0);
		/*
		 * acquire: pairs with the store in look(). Atomic, because the compiler assumes
		 * that a system call changes no variable.
		 */
	} while (!atomic_load_explicit(&warm_up.over, memory_order_acquire));
	/* One more round: reading the lock's counters has taken its lines away. */
	do_round(thread);
}

static void *body(void *argument)
{
	struct thread *thread = argument;

	marker(MARKER_ENTER, thread->id, run.cores, (uintptr_t)&over);
	get_warm(thread);
	atomic_store_explicit(&thread->done, 0, memory_order_relaxed);
	marker(MARKER_COUNT, (uintptr_t)&thread->done, 0, 0);
	do_round(thread);
	return NULL;
}

static bool parse(char **argv)
{
	size_t i;

	for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		if (loads[i]->choose(argv[1], argv[2]))
			run.load = loads[i];
	run.cores = (unsigned int)strtoul(argv[3], NULL, 10);
	run.operations = strtoul(argv[4], NULL, 10);
	return run.load && run.cores >= 1 && run.cores <= MAX_THREADS && run.operations > 0;
}

void *new_lines(size_t size)
{
	size_t alignment = 2 * CACHE_LINE;
	void *memory = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);

	if (memory)
		memset(memory, 0, size);
	return memory;
}

/* With more cores, some slots lie beyond NR_SLOTS. */
static unsigned int own_slots(void)
{
	unsigned int slots = NR_SLOTS / run.cores;

	return slots < MIN_OWN_SLOTS ? MIN_OWN_SLOTS : slots;
}

/*
 * glibc's malloc() has at most eight arenas per core of the machine, and threads share arenas if
 * there are too few. The machine here is the simulated one, not the host.
 */
static void set_arenas(void)
{
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, ARENAS_OF_A_CORE * (int)run.cores);
#endif
}

static bool prepare(void)
{
	unsigned int i;

	set_arenas();
	run.threads = new_lines(run.cores * sizeof(struct thread));
	if (!run.threads || !run.load->begin(run.operations))
		return false;
	for (i = 0; i < run.cores; i++) {
		struct worker *worker = &run.threads[i].worker;

		run.threads[i].id = i;
		worker->random = i;
		worker->own_slots = own_slots();
		worker->own_first = i * worker->own_slots;
		if (!run.load->begin_thread(worker))
			return false;
	}
	marker(MARKER_NAME, (uintptr_t)run.threads, run.cores * sizeof(struct thread),
	       (uintptr_t) "threads");
	return true;
}

static bool run_threads(void)
{
	bool failed = false;
	unsigned int i;

	for (i = 0; i < run.cores; i++)
		if (pthread_create(&run.threads[i].thread, NULL, body, &run.threads[i]) != 0)
			return false;
	for (i = 0; i < run.cores; i++) {
		pthread_join(run.threads[i].thread, NULL);
		failed |= run.threads[i].failed;
	}
	return !failed;
}

int main(int argc, char **argv)
{
	if (argc != 5 || !parse(argv)) {
		fprintf(stderr,
			"usage: coherence-driver own|own1full|share|shared_read|short_w10|slot "
			"mmrange|pthread_rwlock|pthread_mutex|tree_spinlock CORES OPERATIONS\n"
			"       coherence-driver fault_own|fault_zap|map_own|unmap_own|protect_own|"
			"map_fault_unmap_own rwlock|range|speculative CORES OPERATIONS\n");
		return 2;
	}
	if (!prepare() || !run_threads() || !run.load->end()) {
		fprintf(stderr, "coherence-driver: no memory, or an operation returned an error\n");
		return 1;
	}
	printf("warm_up_rounds=%u settled=%d\n", warm_up.rounds, !warm_up.restless);
	return 0;
}
