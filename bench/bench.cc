// SPDX-License-Identifier: MIT
//
// mmrange-bench - registers every workload with every lock as lock/WORKLOAD/LOCK. See README.md.
#include "baselines/locks.h"
#include "harness.h"

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <thread>
#include <vector>

namespace
{

const unsigned int thread_counts[] = { 1, 2, 4, 16, 64 };

std::atomic<bool> failed{ false };

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

// Called by every thread. The lock lives across iterations and repetitions, the threads do not.
void measure(benchmark::State &state, bench *bench)
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
	state.SetItemsProcessed(static_cast<int64_t>(done.all));
	state.counters["reads_per_second"] = rate(done.all - done.writes);
	state.counters["writes_per_second"] = rate(done.writes);
	if (thread != 0)
		return;
	if (const char *error = bench_check(bench)) {
		failed = true;
		state.SkipWithError(error);
	}
}

bench *add(const workload &workload, const lock_ops *ops, unsigned int threads)
{
	bench *bench = bench_new(&workload, ops, threads);

	if (!bench) {
		std::fprintf(stderr, "mmrange-bench: no memory\n");
		std::exit(1);
	}
	benchmark::RegisterBenchmark(bench_name(bench), measure, bench)
		->UseRealTime()
		->Threads(static_cast<int>(threads));
	return bench;
}

std::vector<bench *> add_all()
{
	std::vector<bench *> benches;

	for (size_t i = 0; i < nr_workloads; i++)
		for (size_t j = 0; j < nr_locks; j++)
			for (unsigned int threads : thread_counts)
				if (bench_makes_sense(&workloads[i], locks[j], threads))
					benches.push_back(add(workloads[i], locks[j], threads));
	return benches;
}

} // namespace

int main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
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
