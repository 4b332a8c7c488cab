/* SPDX-License-Identifier: MIT */
/*
 * The plugin: passes QEMU's calls about the program on to lockstep.c and caches.c.
 *
 * QEMU calls it before every block of instructions and after every access, in the thread that is
 * the core. QEMU hands the threads' memory to the host's kernel as it is, so the program's
 * addresses are also the plugin's. The plugin checks this before it relies on it.
 */
#include "caches.h"
#include "conflicts.h"
#include "hottest.h"
#include "markers.h"
#include "qemu_plugin.h"

#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

enum {
	MAX_THREADS = MAX_CORES + 64, /* of the program, including those that are no cores */
	PAUSE_CYCLES = 40,            /* the cost of an instruction that marks a spinning loop */
	CYCLES_PER_US = 3000,
	ROUND_TRANSFERS = 200000, /* enough to know the number per operation */
};

/* A thread that is a core, and its current system call. */
struct thread {
	struct core *core;
	bool watched; /* see MARKER_WATCH */
	bool sleeping;
	bool waking;
	struct timespec *time; /* where the thread wants the time */
};

QEMU_EXPORT int qemu_plugin_version = 1;

static struct thread threads[MAX_THREADS];
static atomic_ulong *operations[MAX_CORES];
static atomic_ulong *round_over; /* in the program, which reads it; NULL before there are cores */
static uint64_t round_began;     /* the number of transfers when the round began */
static unsigned int hottest;     /* the number of lines to name */
static struct timespec start_time;

/* The core that runs in lock step, or NULL. */
static struct core *core_of(unsigned int vcpu)
{
	return vcpu < MAX_THREADS && !lockstep_over() ? threads[vcpu].core : NULL;
}

/* The cost of a block without its transfers. */
union block {
	struct {
		uint32_t instructions;
		uint32_t cycles;
	};
	void *data;
};

static void on_block(unsigned int vcpu, void *data)
{
	struct core *core = core_of(vcpu);
	union block block = { .data = data };

	if (!core)
		return;
	if (counting)
		counts[core->id].instructions += block.instructions;
	lockstep_advance(core, block.cycles);
}

/* Whether the program's addresses are also the plugin's. */
static bool memory_is_shared(uint64_t address)
{
	uint64_t found = 0;
	struct iovec here = { &found, sizeof(found) };
	struct iovec there = { (void *)(uintptr_t)address, sizeof(found) };

	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == sizeof(found) &&
	       found == MARKER_PROBE;
}

static void report(void)
{
	struct counts sum = { 0 };
	uint64_t done = 0;
	unsigned int i;

	for (i = 0; i < nr_cores; i++) {
		sum.instructions += counts[i].instructions;
		sum.transfers += counts[i].transfers;
		sum.invalidations += counts[i].invalidations;
		/* relaxed: the baton orders the accesses */
		done += atomic_load_explicit(operations[i], memory_order_relaxed);
	}
	printf("cores=%u operations=%" PRIu64 " transfers_per_op=%.4f invalidations_per_op=%.4f "
	       "instructions_per_op=%.1f escapes=%u\n",
	       nr_cores, done, (double)sum.transfers / (double)done,
	       (double)sum.invalidations / (double)done, (double)sum.instructions / (double)done,
	       escapes);
	hottest_print(hottest, done);
	fflush(stdout);
}

/* With the baton. The first core to run after a meeting begins the round for all cores. */
static void begin_round(bool counted)
{
	static unsigned int begun;

	if (begun == meetings)
		return;
	begun = meetings;
	/* relaxed: the baton orders the accesses */
	atomic_store_explicit(round_over, 0, memory_order_relaxed);
	round_began = caches_transfers;
	counting = counted;
}

static void end_round(void)
{
	/* relaxed: the baton orders the accesses */
	atomic_store_explicit(round_over, 1, memory_order_relaxed);
	if (counting) {
		report();
		lockstep_end();
	}
}

static void on_access(unsigned int vcpu, uint32_t access, uint64_t address, void *data)
{
	struct core *core = core_of(vcpu);
	unsigned int size = 1u << qemu_plugin_mem_size_shift(access);
	bool store = qemu_plugin_mem_is_store(access);

	if (!core)
		return;
	if (threads[vcpu].watched)
		conflicts_note(core->id, address, size, store, data);
	caches_access(core, address, size, store, hottest ? data : NULL);
	if (caches_transfers - round_began >= ROUND_TRANSFERS && !lockstep_over())
		end_round();
}

static bool is_pause(const struct qemu_instruction *instruction)
{
	return qemu_plugin_insn_size(instruction) == 2 &&
	       memcmp(qemu_plugin_insn_data(instruction), "\xf3\x90", 2) == 0;
}

/* Never freed, because QEMU may keep the block. */
static struct site *new_site(const struct qemu_instruction *instruction)
{
	struct site *site = malloc(sizeof(*site));
	const char *function = qemu_plugin_insn_symbol(instruction);

	if (!site)
		abort();
	site->address = qemu_plugin_insn_vaddr(instruction);
	site->function = function ? function : "";
	return site;
}

static void on_translated(uint64_t plugin, struct qemu_block *translated)
{
	size_t n = qemu_plugin_tb_n_insns(translated);
	union block block = { { (uint32_t)n, (uint32_t)n } };
	size_t i;

	(void)plugin;
	for (i = 0; i < n; i++) {
		struct qemu_instruction *instruction = qemu_plugin_tb_get_insn(translated, i);

		if (is_pause(instruction))
			block.cycles += PAUSE_CYCLES;
		qemu_plugin_register_vcpu_mem_cb(instruction, on_access, QEMU_NO_REGISTERS,
						 QEMU_LOADS_AND_STORES, new_site(instruction));
	}
	qemu_plugin_register_vcpu_tb_exec_cb(translated, on_block, QEMU_NO_REGISTERS, block.data);
}

static void enter(struct thread *thread, uint64_t core, uint64_t all, uint64_t over)
{
	if (core >= all || all > MAX_CORES || !memory_is_shared(over)) {
		fprintf(stderr,
			"coherence: more than %d cores, or the memory of the program cannot be "
			"read here\n",
			MAX_CORES);
		_exit(1);
	}
	thread->core = &cores[core];
	round_over = (atomic_ulong *)(uintptr_t)over;
	lockstep_enter((unsigned int)core, (unsigned int)all);
}

static void on_marker(struct thread *thread, const uint64_t *a)
{
	struct core *core = thread->core;

	if (a[0] == MARKER_NAME) {
		hottest_name(a[1], a[2], (const char *)(uintptr_t)a[3]);
		return;
	}
	if (lockstep_over())
		return;
	switch (a[0]) {
	case MARKER_ENTER:
		enter(thread, a[1], a[2], a[3]);
		break;
	case MARKER_MEET:
		lockstep_meet(core);
		begin_round(false);
		break;
	case MARKER_COUNT:
		operations[core->id] = (atomic_ulong *)(uintptr_t)a[1];
		lockstep_meet(core);
		begin_round(true);
		break;
	case MARKER_DONE:
		end_round();
		break;
	case MARKER_WATCH:
		thread->watched = a[1];
		break;
	case MARKER_CONFLICTS:
		conflicts_take((struct marker_conflicts *)(uintptr_t)a[1]);
		break;
	case MARKER_LAPSE:
		core->clock += a[1] * CYCLES_PER_US;
		break;
	case MARKER_FORGET:
		caches_forget();
		break;
	case MARKER_END:
		lockstep_end();
		break;
	}
}

/* Whether a call of futex(2) is going to sleep. No other thread changes the word meanwhile. */
static bool will_sleep(const uint64_t *a)
{
	int op = (int)a[1] & FUTEX_CMD_MASK;

	return (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET) &&
	       *(const uint32_t *)(uintptr_t)a[0] == (uint32_t)a[2];
}

static bool wakes(const uint64_t *a)
{
	int op = (int)a[1] & FUTEX_CMD_MASK;

	return op == FUTEX_WAKE || op == FUTEX_WAKE_BITSET;
}

static void on_syscall(uint64_t plugin, unsigned int vcpu, int64_t number, uint64_t a1, uint64_t a2,
		       uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
	struct thread *thread = &threads[vcpu % MAX_THREADS];
	struct core *core = core_of(vcpu);
	const uint64_t a[] = { a1, a2, a3, a4 };

	(void)plugin, (void)a5, (void)a6, (void)a7, (void)a8;
	if (number == MARKER_SYSCALL) {
		on_marker(thread, a);
		return;
	}
	if (!core)
		return;
	lockstep_advance(core, SYSCALL_CYCLES);
	if (number == SYS_clock_gettime && a1 == CLOCK_MONOTONIC)
		thread->time = (struct timespec *)(uintptr_t)a2;
	if (number != SYS_futex || lockstep_over())
		return;
	thread->sleeping = will_sleep(a);
	thread->waking = wakes(a);
	if (thread->sleeping)
		lockstep_sleep(core);
	else if (thread->waking)
		lockstep_wake(core);
}

/*
 * The program's time is the cores' time. Otherwise its timeouts would be those of a program that is
 * a thousand times slower.
 */
static void tell_time(const struct core *core, struct timespec *time)
{
	static uint64_t latest;
	uint64_t ns;

	if (core->clock > latest)
		latest = core->clock;
	ns = latest * 1000 / CYCLES_PER_US + (uint64_t)start_time.tv_nsec;
	time->tv_sec = start_time.tv_sec + (time_t)(ns / 1000000000);
	time->tv_nsec = (long)(ns % 1000000000);
}

static void on_syscall_return(uint64_t plugin, unsigned int vcpu, int64_t number, int64_t result)
{
	struct thread *thread = &threads[vcpu % MAX_THREADS];
	struct core *core = core_of(vcpu);

	(void)plugin;
	if (!core)
		return;
	if (number == SYS_futex && thread->sleeping)
		lockstep_back(core, result == 0);
	else if (number == SYS_futex && thread->waking && result >= 0)
		lockstep_woke(core, (unsigned int)result);
	else if (number == SYS_clock_gettime && thread->time && result == 0)
		tell_time(core, thread->time);
	thread->sleeping = thread->waking = false;
	thread->time = NULL;
}

/* Arguments: hottest=N, the number of lines to name; window=CYCLES, see lockstep_window. */
QEMU_EXPORT int qemu_plugin_install(uint64_t plugin, const struct qemu_info *info, int argc,
				    char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (sscanf(argv[i], "hottest=%u", &hottest) != 1 &&
		    sscanf(argv[i], "window=%" SCNu64, &lockstep_window) != 1) {
			fprintf(stderr, "coherence: what is %s?\n", argv[i]);
			return 1;
		}
	}
	if (!caches_init() || !conflicts_init())
		return 1;
	lockstep_init();
	clock_gettime(CLOCK_MONOTONIC, &start_time);
	qemu_plugin_register_vcpu_tb_trans_cb(plugin, on_translated);
	qemu_plugin_register_vcpu_syscall_cb(plugin, on_syscall);
	qemu_plugin_register_vcpu_syscall_ret_cb(plugin, on_syscall_return);
	return 0;
}
