// SPDX-License-Identifier: MIT
//
// mmrange-bench - registers every workload with every lock, as lock/WORKLOAD/LOCK and as
// latency/WORKLOAD/LOCK, and every workload on address spaces in every mode, as mm/WORKLOAD/MODE.
// See README.md.
#include "mm/bench.h"
#include "baselines/locks.h"
#include "harness.h"
#include "latency.h"
#include "mm/ops.h"
#include "mm/workload.h"

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace
{

const unsigned int thread_counts[] = { 1, 2, 4, 8, 16, 32, 64 };
const unsigned int mm_thread_counts[] = { 1, 2, 4, 16, 64 };

std::atomic<bool> failed{ false };

// Options.
uint64_t latency_ns = 500000000;
bool latency_threads = false;
const char *mm_before = nullptr; // the file of an earlier version of the library

benchmark::Counter rate(uint64_t count)
{
	return benchmark::Counter(static_cast<double>(count), benchmark::Counter::kIsRate);
}

// The other threads cannot go on without this one.
void enter(bench *bench, unsigned int thread)
{
	if (bench_enter(bench, thread))
		return;
	std::fprintf(stderr, "mmrange-bench: %s: no memory, or a lock that cannot be had\n",
		     bench_name(bench));
	std::_Exit(1);
}

void report(benchmark::State &state, const pairs &done)
{
	state.SetItemsProcessed(static_cast<int64_t>(done.all));
	state.counters["reads_per_second"] = rate(done.all - done.writes);
	state.counters["writes_per_second"] = rate(done.writes);
}

// By one thread: Google Benchmark adds up what the threads say.
void report_changes(benchmark::State &state, uint64_t changes, uint64_t pairs)
{
	state.counters["changes_per_pair"] =
		static_cast<double>(changes) / static_cast<double>(pairs);
}

void check(benchmark::State &state, const bench *bench)
{
	if (const char *error = bench_check(bench)) {
		failed = true;
		state.SkipWithError(error);
	}
}

// Called by every thread, as the next. The lock lives across iterations and repetitions, the
// threads do not.
void measure_rate(benchmark::State &state, bench *bench)
{
	auto thread = static_cast<unsigned int>(state.thread_index());
	auto iterations = static_cast<uint64_t>(state.max_iterations);
	uint64_t work = iterations * static_cast<uint64_t>(state.threads());
	uint64_t changes = 0;
	uint64_t waits = 0;
	pairs done = {};

	enter(bench, thread);
	if (thread == 0)
		bench_set_work(bench, work);
	bench_warm_up(bench, thread);
	// One batch is all iterations: the loop over them is in C. The threads leave Google
	// Benchmark's own barrier one by one, which would be measured.
	while (state.KeepRunningBatch(state.max_iterations)) {
		state.PauseTiming();
		bench_meet(bench);
		if (thread == 0) {
			changes = bench_changes(bench);
			waits = bench_waits(bench);
		}
		state.ResumeTiming();
		done = bench_run(bench, thread);
	}
	bench_leave(bench, thread);
	report(state, done);
	if (thread != 0)
		return;
	report_changes(state, bench_changes(bench) - changes, work);
	state.counters["waits_per_second"] = rate(bench_waits(bench) - waits);
	check(state, bench);
}

void report_waits(benchmark::State &state, const std::string &prefix, const waits &waits)
{
	state.counters[prefix + "p50_ns"] = static_cast<double>(waits.p50);
	state.counters[prefix + "p99_ns"] = static_cast<double>(waits.p99);
	state.counters[prefix + "p999_ns"] = static_cast<double>(waits.p999);
	state.counters[prefix + "max_ns"] = static_cast<double>(waits.max);
}

void report_thread(benchmark::State &state, unsigned int thread, const latency *latency)
{
	char prefix[32];

	std::snprintf(prefix, sizeof(prefix), "thread%02u_", thread);
	report_waits(state, prefix, latency_waits(latency, LATENCY_BOTH));
	state.counters[std::string(prefix) + "pairs"] = static_cast<double>(latency_count(latency));
}

void report_latency(benchmark::State &state, const bench *bench)
{
	std::vector<uint64_t> pairs;
	latency all = {};

	for (unsigned int i = 0; i < static_cast<unsigned int>(state.threads()); i++) {
		const latency *one = bench_latency(bench, i);

		latency_merge(&all, one);
		pairs.push_back(latency_count(one));
		if (latency_threads)
			report_thread(state, i, one);
	}
	report_waits(state, "", latency_waits(&all, LATENCY_BOTH));
	report_waits(state, "read_", latency_waits(&all, LATENCY_READS));
	report_waits(state, "write_", latency_waits(&all, LATENCY_WRITES));

	fairness fairness = latency_fairness(pairs.data(), static_cast<unsigned int>(pairs.size()));
	adapted adapted = bench_adapted(bench, 0);
	if (adapted.leaves > 0) {
		state.counters["leaves_per_write"] = adapted.leaves;
		state.counters["biased_per_write"] = adapted.biased;
	}

	state.counters["slowest_to_fastest"] = fairness.slowest_to_fastest;
	state.counters["variation"] = fairness.variation;
}

// One iteration is one run, however much is done in it.
void measure_latency(benchmark::State &state, bench *bench)
{
	auto thread = static_cast<unsigned int>(state.thread_index());
	pairs done = {};

	enter(bench, thread);
	bench_warm_up(bench, thread);
	while (state.KeepRunning()) {
		state.PauseTiming();
		bench_meet(bench);
		state.ResumeTiming();
		done = bench_run_for(bench, thread, latency_ns);
	}
	bench_leave(bench, thread);
	report(state, done);
	if (thread != 0)
		return;
	report_latency(state, bench);
	check(state, bench);
}

void report_mm(benchmark::State &state, const mm_result &result)
{
	if (result.others)
		state.counters["others_per_second"] = rate(result.others);
	if (result.aborted_per_fault >= 0)
		state.counters["aborted_per_fault"] = result.aborted_per_fault;
	if (result.hold_p99_ns) {
		state.counters["hold_p50_ns"] = static_cast<double>(result.hold_p50_ns);
		state.counters["hold_p99_ns"] = static_cast<double>(result.hold_p99_ns);
	}
	if (result.error) {
		failed = true;
		state.SkipWithError(result.error);
	}
}

// As measure_rate(), but that some workloads have to prepare each round.
void measure_mm(benchmark::State &state, mm_bench *bench)
{
	auto thread = static_cast<unsigned int>(state.thread_index());
	auto iterations = static_cast<uint64_t>(state.max_iterations);
	uint64_t rounds = mm_bench_by_rounds(bench) ? 1 : iterations;
	uint64_t items = 0;

	mm_bench_enter(bench, thread);
	if (thread == 0)
		mm_bench_set_work(bench, iterations * static_cast<uint64_t>(state.threads()));
	while (state.KeepRunningBatch(state.max_iterations)) {
		for (uint64_t done = 0; done < iterations; done += rounds) {
			state.PauseTiming();
			mm_bench_prepare(bench, thread);
			state.ResumeTiming();
			items += mm_bench_run(bench, thread, rounds);
		}
	}
	mm_result result = mm_bench_leave(bench, thread);
	state.SetItemsProcessed(static_cast<int64_t>(items));
	if (thread == 0)
		report_mm(state, result);
}

bench *add(bench_kind kind, const workload &workload, const lock_ops *ops, unsigned int threads)
{
	bench *bench = bench_new(kind, &workload, ops, threads);

	if (!bench) {
		std::fprintf(stderr, "mmrange-bench: no memory\n");
		std::exit(1);
	}
	auto measure = kind == BENCH_LATENCY ? measure_latency : measure_rate;
	auto *registered = benchmark::RegisterBenchmark(bench_name(bench), measure, bench)
				   ->UseRealTime()
				   ->Threads(static_cast<int>(threads));

	if (kind == BENCH_LATENCY)
		registered->Iterations(1);
	return bench;
}

mm_bench *add_mm(const mm_workload &workload, const mm_mode &mode, unsigned int threads)
{
	mm_bench *bench = mm_bench_new(&workload, &mode, threads);

	if (!bench) {
		std::fprintf(stderr, "mmrange-bench: no memory\n");
		std::exit(1);
	}
	benchmark::RegisterBenchmark(mm_bench_name(bench), measure_mm, bench)
		->UseRealTime()
		->Threads(static_cast<int>(threads));
	return bench;
}

std::vector<mm_bench *> add_all_mm()
{
	std::vector<mm_bench *> benches;

	for (size_t i = 0; i < nr_mm_workloads; i++)
		for (size_t j = 0; j < nr_mm_modes; j++)
			for (unsigned int threads : mm_thread_counts)
				if (mm_bench_makes_sense(&mm_workloads[i], &mm_modes[j], threads))
					benches.push_back(
						add_mm(mm_workloads[i], mm_modes[j], threads));
	return benches;
}

std::vector<bench *> add_all()
{
	std::vector<bench *> benches;

	for (bench_kind kind : { BENCH_RATE, BENCH_LATENCY })
		for (size_t i = 0; i < nr_workloads; i++)
			for (size_t j = 0; j < nr_locks; j++)
				for (unsigned int threads : thread_counts)
					if (bench_makes_sense(kind, &workloads[i], locks[j],
							      threads))
						benches.push_back(
							add(kind, workloads[i], locks[j], threads));
	return benches;
}

// Whether the argument is NAME=N, with N from 1 to a million.
bool is_number(const char *argument, const char *name, uint64_t *number)
{
	size_t length = std::strlen(name);
	char *end;

	if (std::strncmp(argument, name, length) != 0 || argument[length] != '=')
		return false;
	const char *digits = argument + length + 1;

	*number = std::strtoull(digits, &end, 10);
	return *digits >= '1' && *digits <= '9' && *end == '\0' && *number <= 1000000;
}

// What Google Benchmark leaves of the arguments.
bool parse_options(int argc, char **argv)
{
	uint64_t number;

	const size_t before = std::strlen("--mm_before=");

	for (int i = 1; i < argc; i++) {
		if (std::strcmp(argv[i], "--latency_threads") == 0) {
			latency_threads = true;
		} else if (std::strncmp(argv[i], "--mm_before=", before) == 0) {
			mm_before = argv[i] + before;
		} else if (is_number(argv[i], "--latency_ms", &number)) {
			latency_ns = number * 1000000;
		} else if (is_number(argv[i], "--settle_ms", &number)) {
			bench_settle_ns = number * 1000000;
		} else if (is_number(argv[i], "--mm_mib", &number)) {
			mm_bench_set_size(number << 20);
		} else {
			std::fprintf(stderr,
				     "mmrange-bench: bad argument %s (its own are --latency_ms=N, "
				     "--latency_threads, --settle_ms=N, --mm_mib=N and "
				     "--mm_before=LIBRARY, see --help for the rest)\n",
				     argv[i]);
			return false;
		}
	}
	return true;
}

} // namespace

int main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (!parse_options(argc, argv) || !mm_ops_load(mm_before))
		return 1;

	std::vector<bench *> benches = add_all();
	std::vector<mm_bench *> mm_benches = add_all_mm();
	// Locks are for programs with threads: while there is none, the C library's locks do
	// without atomic operations.
	std::promise<void> end;
	std::thread second([&end] { end.get_future().wait(); });
	size_t run = benchmark::RunSpecifiedBenchmarks();

	end.set_value();
	second.join();
	for (bench *bench : benches) {
		if (bench_delete(bench) != 0) {
			std::fprintf(stderr, "mmrange-bench: a lock is in use after the run\n");
			failed = true;
		}
	}
	for (mm_bench *bench : mm_benches)
		mm_bench_delete(bench);
	benchmark::Shutdown();
	return run == 0 || failed;
}
