// SPDX-License-Identifier: MIT
//
// mmrange-bench - registers every workload with every lock, as lock/WORKLOAD/LOCK and as
// latency/WORKLOAD/LOCK. See README.md.
#include "baselines/locks.h"
#include "harness.h"
#include "latency.h"

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

const unsigned int thread_counts[] = { 1, 2, 4, 16, 64 };

std::atomic<bool> failed{ false };

// Options.
uint64_t latency_ns = 500000000;
bool latency_threads = false;

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
	pairs done = {};

	enter(bench, thread);
	if (thread == 0)
		bench_set_work(bench, iterations * static_cast<uint64_t>(state.threads()));
	bench_warm_up(bench, thread);
	// One batch is all iterations: the loop over them is in C. The threads leave Google
	// Benchmark's own barrier one by one, which would be measured.
	while (state.KeepRunningBatch(state.max_iterations)) {
		state.PauseTiming();
		bench_meet(bench);
		state.ResumeTiming();
		done = bench_run(bench, thread);
	}
	bench_leave(bench, thread);
	report(state, done);
	if (thread == 0)
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

// What Google Benchmark leaves of the arguments.
bool parse_options(int argc, char **argv)
{
	static const char milliseconds[] = "--latency_ms=";

	for (int i = 1; i < argc; i++) {
		char *end;

		if (std::strcmp(argv[i], "--latency_threads") == 0) {
			latency_threads = true;
			continue;
		}
		if (std::strncmp(argv[i], milliseconds, sizeof(milliseconds) - 1) == 0) {
			const char *number = argv[i] + sizeof(milliseconds) - 1;

			latency_ns = std::strtoull(number, &end, 10) * 1000000;
			if (*number >= '1' && *number <= '9' && *end == '\0')
				continue;
		}
		std::fprintf(stderr,
			     "mmrange-bench: bad argument %s (its own are --latency_ms=N "
			     "and --latency_threads, see --help for the rest)\n",
			     argv[i]);
		return false;
	}
	return true;
}

} // namespace

int main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (!parse_options(argc, argv))
		return 1;

	std::vector<bench *> benches = add_all();
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
	benchmark::Shutdown();
	return run == 0 || failed;
}
