# SPDX-License-Identifier: MIT
"""How bench/measure.py judges results and what it prints and draws of them, on results that are made up.

$MMRANGE_BENCH, if it is set, is mmrange-bench, which must have the benchmarks that bounds.csv names.
"""
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))
import measure

# What the bounds of a suite need: a counter, workloads, lock, numbers of threads, a value with which each bound is
# just met, and one with which each is missed.
LOCK = """
items_per_second uncontended_write,uncontended_read mmrange 1 1000 999
items_per_second uncontended_write,uncontended_read pthread_rwlock 1 900 900
items_per_second uncontended_async mmrange 1 910 908
items_per_second async_count/32 mmrange,mmrange_fifo 1 200 199
items_per_second async_parked mmrange_fifo 32 100 100
items_per_second held/10,held/1000 mmrange 1 12000 11999
items_per_second held/10,held/1000 tree_spinlock 1 15600 15600
items_per_second held/1000000 mmrange 1 1000 999
items_per_second own_w100 mmrange 1 600 600
items_per_second own_w100 mmrange 2 1020 1019
items_per_second own_w100 mmrange 16 1000 1000
items_per_second own_w100 mmrange 64 816 815
items_per_second own_w100 tree_spinlock 2 170 170
items_per_second own1full_w100 mmrange 2 714 713
items_per_second own1full_w100 mmrange 16 85 84
items_per_second own1full_w100 mmrange 64 65.28 65
items_per_second short_w100,short_w50,short_w10 mmrange 2 160 159
items_per_second short_w100 pthread_mutex 2 100 100
items_per_second short_w100 pthread_rwlock,tree_spinlock 2 90 90
items_per_second short_w50 pthread_rwlock 2 100 100
items_per_second short_w50 pthread_mutex,tree_spinlock 2 90 90
items_per_second short_w10 tree_spinlock 2 100 100
items_per_second short_w10 pthread_rwlock,pthread_mutex 2 90 90
items_per_second short_w100 mmrange 8,32 150 149
items_per_second short_w50 mmrange 8,32 50 49
items_per_second short_w10 mmrange 8,32 70 69
items_per_second short_w100 pthread_mutex 8,32 100 100
items_per_second short_w50 pthread_rwlock 8 100 100
items_per_second short_w50 pthread_rwlock 32 90 90
items_per_second short_w50 pthread_mutex 8 90 90
items_per_second short_w50 pthread_mutex 32 100 100
items_per_second short_w10 pthread_rwlock 8 90 90
items_per_second short_w10 pthread_rwlock 32 100 100
items_per_second short_w10 pthread_mutex 8 100 100
items_per_second short_w10 pthread_mutex 32 90 90
items_per_second slot_w100,share_w100 mmrange 2,64 200 199
items_per_second slot_w100,share_w100 pthread_rwlock 2 100 100
items_per_second slot_w100,share_w100 pthread_rwlock 64 90 90
items_per_second slot_w100,share_w100 pthread_mutex 2 90 90
items_per_second slot_w100,share_w100 pthread_mutex 64 100 100
items_per_second full_w100 mmrange 2,4,16,64 80 79
items_per_second full_w100 pthread_rwlock 2,4,16,64 100 100
items_per_second random_w100 mmrange 2,16,64 80 79
items_per_second random_w100 pthread_rwlock 2,16,64 100 100
items_per_second full_w40,random_w40 mmrange 2,16,64 80 79
items_per_second full_w40,random_w40 pthread_rwlock 2 100 100
items_per_second full_w40,random_w40 pthread_mutex 16,64 100 100
items_per_second shared_read mmrange 2,64 150 149
items_per_second shared_read pthread_rwlock 2,64 100 100
changes_per_pair short_w100 mmrange 2 1e-05 1e-04
changes_per_pair short_w100 mmrange 8 0 2e-04
changes_per_pair short_w100 mmrange 32 1e-04 0
changes_per_pair short_w50 mmrange 2 1e-04 1.01e-04
changes_per_pair short_w10 mmrange 8 1e-04 1
changes_per_pair short_w50 mmrange 8,32 0 0
changes_per_pair short_w10 mmrange 2,32 0 0
write_p50_ns full_over_leaves mmrange 1 1000 1000
write_p50_ns full_over_biased mmrange 1 3000 3001
biased_per_write full_over_biased mmrange 1 1000 1024"""

MM = """
items_per_second page_fault1 floor 1 125 126
items_per_second page_fault1 speculative 1 100 100
items_per_second page_fault1 speculative 2 180 179
items_per_second page_fault1 speculative 64 162 161
items_per_second page_fault1 rwlock 2 72 72
items_per_second page_fault2,page_fault3 speculative 1 100 100
items_per_second page_fault2 speculative 2 170 169
items_per_second page_fault3 speculative 2 150 149
items_per_second mapbench_local,corten_mmap_low,corten_munmap_low,corten_mmap_pf_low speculative 1 150 149
items_per_second mapbench_local,corten_mmap_low,corten_munmap_low,corten_mmap_pf_low speculative 2 255 253
items_per_second mapbench_local,corten_mmap_low,corten_munmap_low,corten_mmap_pf_low before 1 100 100
items_per_second mmap1_own,mmap2_own,malloc1_own speculative 1 100 100
items_per_second mmap1_own,mmap2_own,malloc1_own speculative 2 160 159
items_per_second mapbench_pipeline speculative 1 100 100
items_per_second mapbench_pipeline speculative 2 50 49
items_per_second storm_none speculative 1 100 100
items_per_second storm speculative 1 90 89
aborted_per_fault storm speculative 1 0.001 0.0011
items_per_second mapbench_local rwlock 2 100 100
items_per_second mapbench_local range 2 140 139
hold_p99_ns churn/10000 speculative 2 1000 1001
items_per_second areas/10 speculative 1 600 601
items_per_second areas/10 before 1 600 602
items_per_second areas/10000 speculative 1 100 99
items_per_second areas/10000 before 1 100 100
items_per_second areas/1000000 speculative 1 100 100"""

TRANSFERS = """
own mmrange 2 0.01 0.01
own mmrange 8 0.05 0.051
own mmrange 64 0.02 0.02
own pthread_rwlock 2 4 4
shared_read mmrange 2 0.05 0.05
shared_read mmrange 64 0.01 0.0501
share mmrange 2 0.2 0.201
share mmrange 64 0.1 0.1
short_w10 mmrange 2 3 3.01
short_w10 mmrange 64 2 3
own1full mmrange 2 0.05 0.06
own1full mmrange 8 0.2 0.2
own1full mmrange 64 1.6 1.6
own mmrange 1024 0.05 0.051
share mmrange 1024 0.05 0.06
shared_read mmrange 1024 0.05 1
fault_own rwlock 2 9 9
fault_own speculative 2 0.01 0.01
fault_own speculative 8 0.1 0.101
fault_own speculative 32 0.02 0.02
fault_own speculative 64 9 9
map_own range 2 9 9
map_own speculative 2 0.02 0.02
map_own speculative 64 0.1 0.101
protect_own speculative 2 0.02 0.02
protect_own speculative 64 0.1 0.101
map_fault_unmap_own speculative 2 0.02 0.02
map_fault_unmap_own speculative 64 0.1 0.101
own own 2  """


def values(text, column):
    """{(kind, workload, lock, threads): {counter: value}}"""
    runs = {}
    for line in text.split("\n")[1:]:
        counter, workloads, locks, threads, *columns = line.split()
        for workload in workloads.split(","):
            kind = "mm" if text is MM else "latency" if "full_over" in workload else "lock"
            for lock in locks.split(","):
                for n in threads.split(","):
                    runs.setdefault((kind, workload, lock, int(n)), {})[counter] = float(columns[column])
    return runs


def benchmarks(runs):
    """What Google Benchmark writes: the last family first, and the median of the repetitions is the value."""
    rows = []
    for family, ((kind, workload, lock, threads), counters) in enumerate(runs.items()):
        iterations = "iterations:1/" if kind == "latency" else ""
        run = {"run_name": f"{kind}/{workload}/{lock}/{iterations}real_time/threads:{threads}", "family_index": family}
        for type, factor in (("iteration", 9), ("iteration", 1), ("iteration", 0.5), ("aggregate", 7)):
            rows.insert(0, {"name": run["run_name"], **run, "run_type": type, "threads": threads,
                            **{counter: value * factor for counter, value in counters.items()}})
    return {"context": {"num_cpus": 2}, "benchmarks": rows}


def transfers(column, without="-"):
    lines = [line.split(" ") for line in TRANSFERS.split("\n")[1:]]
    return "\n".join(["workload,lock,cores,transfers_per_op,note"] + [
        f"{','.join(line[:3])},{line[3 + column]},x" for line in lines if without not in ",".join(line)]) + "\n"


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = Path(directory.name)

    def results(self, *contents):
        files = []
        for content in contents:
            files.append(self.dir / f"{len(files)}.{'csv' if isinstance(content, str) else 'json'}")
            files[-1].write_text(content if isinstance(content, str) else json.dumps(content))
        return measure.Results(files)

    def judge(self, suites, *contents):
        self.table = measure.bounds_table(self.results(*contents), measure.read_bounds(suites))
        return tuple(map(int, re.findall("[0-9]+", self.table.split("\n")[-1])))

    def check_each_missing(self, suite, text, dependent):
        """Whatever is missing, what needs it is not measured, and nothing else changes."""
        met = self.judge([suite], benchmarks(values(text, 0)))[0]
        for name in values(text, 0):
            runs = values(text, 0)
            del runs[name]
            less, missed, missing = self.judge([suite], benchmarks(runs))
            self.assertEqual((less + missing, missed), (met, 0), name)
            self.assertIn(missing, range(1, dependent + 1), name)


class BenchBounds(Case):
    def test_what_is_just_met_and_just_missed(self):
        self.assertEqual(self.judge(["lock"], benchmarks(values(LOCK, 0))), (45, 0, 0))
        self.assertRegex(self.table, r"\nown_w100: rate of 2 threads / 1 thread  *1\.700   >=  1\.70   met\n")
        self.assertRegex(self.table, r"\nheld/1000: time / tree_spinlock's  *1\.300   <=  1\.30   met\n")
        self.assertEqual(self.judge(["lock"], benchmarks(values(LOCK, 1))), (0, 45, 0))

    def test_what_is_missing_is_not_measured(self):
        self.assertEqual(self.judge(["lock", "coherence"], {}), (0, 0, 57))
        self.check_each_missing("lock", LOCK, 4)

    def test_a_failed_run_or_a_number_that_is_none_is_not_measured(self):
        for counters in ({"error_occurred": True}, {"skipped": True}, {"items_per_second": math.nan},
                         {"items_per_second": math.inf}, {"items_per_second": -1}):
            content = benchmarks(values(LOCK, 0))
            run = next(row for row in content["benchmarks"] if "full_w100/mmrange/real_time/threads:4" in row["name"]
                       and row["run_type"] == "iteration")
            run.update(counters)
            self.assertEqual(self.judge(["lock"], content), (44, 0, 1), counters)
            self.assertRegex(self.table, "\nfull_w100, 4 threads: .* not measured\n")

    def test_the_time_over_few_biased_leaves_is_that_of_something_else(self):
        runs = values(LOCK, 0)
        runs["latency", "full_over_biased", "mmrange", 1]["biased_per_write"] = 999
        self.assertEqual(self.judge(["lock"], benchmarks(runs)), (44, 0, 1))
        self.assertRegex(self.table, "\nfull range over 1,024 leaves: .* not measured\n")

    def test_any_number_of_cores_misses_a_bound_but_the_fewest_and_the_most_meet_it(self):
        self.assertEqual(self.judge(["coherence"], transfers(0)), (12, 0, 0))
        self.assertEqual(self.judge(["coherence"], transfers(1)), (0, 12, 0))
        self.assertEqual(self.judge(["coherence"], transfers(0, "own,mmrange,64")), (11, 0, 1))
        self.assertEqual(self.judge(["coherence"], transfers(0, "fault_own,speculative,32")), (11, 0, 1))
        self.assertEqual(self.judge(["coherence"], transfers(1, "own,mmrange,64")), (0, 12, 0))
        self.assertEqual(self.judge(["coherence"], transfers(1, "protect_own,speculative,64")), (0, 11, 1))

    def test_what_the_machine_allowed_stands_beside_a_bound(self):
        runs = {("lock", "a", lock, threads): {"items_per_second": rate} for lock, threads, rate in
                (("b", 1, 2), ("b", 2, 3), ("apart", 2, 4), ("apart", 64, 8))}
        for possible, beside in (("lock/a/apart:2", "  of 2.000 possible: 75 %"),
                                 ("lock/a/apart:64 lock/a/apart:2", "  of 2.000 possible: 75 %"),
                                 ("lock/a/none:2", ""), ("", "")):
            bound = measure.Bound("lock", "what", "rate", "lock/a/b:2", "lock/a/b:1", "", "", ">=", "1.5", possible)
            table = measure.bounds_table(self.results(benchmarks(runs)), [bound])
            self.assertRegex(table, f"\nwhat  *1\\.500   >=  1\\.50   met{beside}\n\n1 met, 0 MISSED, 0 not measured$")

    def test_the_command_prints_the_same(self):
        self.judge(["lock"], benchmarks(values(LOCK, 0)))
        command = [sys.executable, BENCH / "measure.py", "bounds", "lock", "--from"]
        done = subprocess.run([*command, self.dir / "0.json"], stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(done.stdout, self.table + "\n")
        done = subprocess.run([*command, self.dir / "none.json"], stderr=subprocess.PIPE, check=False)
        self.assertNotEqual(done.returncode, 0)

    def test_the_table_of_rates(self):
        runs = {("lock", "full_t40", lock, 16): {"items_per_second": rate, "reads_per_second": rate - 1e5,
                                                 "writes_per_second": 1e5}
                for lock, rate in (("mmrange", 5e6), ("pthread_rwlock", 4e6))}
        runs["lock", "held/10", "mmrange", 1] = {"items_per_second": 9e6}
        self.assertEqual(measure.lock_table(self.results(benchmarks(runs))), """
millions of lock+unlock pairs per second

workload               threads         mmrange  pthread_rwlock
full_t40                    16           5.000           4.000
held/10                      1           9.000               -

of these, reads and writes where a thread does one or the other, and of short ranges

workload               threads         mmrange  pthread_rwlock
full_t40                    16     4.900 0.100     3.900 0.100""")

    def test_plots_have_a_line_for_each_lock(self):
        results = self.results(benchmarks(values(LOCK, 0)), transfers(0))
        with mock.patch("subprocess.run") as run, mock.patch("shutil.which"):
            measure.draw_all(results, self.dir)
        scripts = [call.kwargs["input"] for call in run.call_args_list]
        plots = {re.search("set output '.*/(.*)'", script)[1]: script for script in scripts}
        self.assertEqual(len(plots), 11 + 1 + 9)
        self.assertIn("<< END\nmmrange\n1 600.0\n2 1020.0\n16 1000.0\n64 816.0\n\n\ntree_spinlock\n2 170.0\nEND\n",
                      plots["rate-own_w100.svg"])
        self.assertIn("mmrange\n2 0.01\n8 0.05\n64 0.02\n1024 0.05\n", plots["coherence-own.svg"])

    @unittest.skipUnless("MMRANGE_BENCH" in os.environ, "there is no mmrange-bench")
    def test_the_benchmarks_that_bounds_name_exist(self):
        bounds = measure.read_bounds(["lock", "mm"])
        names = {name for bound in bounds for name in f"{bound.measured} {bound.over} {bound.possible}".split()
                 if "before" not in name}
        listed = subprocess.run([os.environ["MMRANGE_BENCH"], "--benchmark_list_tests",
                                 f"--benchmark_filter={measure.benchmark_filter(bounds)}"],
                                stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        self.assertEqual({re.sub("(/iterations:1)?/real_time/threads", "", name) for name in listed}, names)


class MmBounds(Case):
    def test_what_is_just_met_and_just_missed(self):
        self.assertEqual(self.judge(["mm"], benchmarks(values(MM, 0))), (25, 0, 0))
        self.assertEqual(self.judge(["mm"], benchmarks(values(MM, 1))), (0, 25, 0))

    def test_what_is_missing_is_not_measured(self):
        self.check_each_missing("mm", MM, 3)
        runs = {name: counters for name, counters in values(MM, 0).items() if "before" not in name}
        self.assertEqual(self.judge(["mm"], benchmarks(runs)), (19, 0, 6))

    def test_a_fault_that_was_never_aborted_has_been_measured(self):
        runs = values(MM, 0)
        runs["mm", "storm", "speculative", 1]["aborted_per_fault"] = 0
        self.assertEqual(self.judge(["mm"], benchmarks(runs)), (25, 0, 0))

    def test_threads_with_a_space_each_show_what_is_possible(self):
        runs = values(MM, 0)
        for name, rate in {("mapbench_local", "apart", 2): 300, ("page_fault1", "apart", 2): 200,
                           ("page_fault1", "apart", 64): 180, ("storm_busy", "speculative", 1): 95}.items():
            runs["mm", *name] = {"items_per_second": rate}
        self.assertEqual(self.judge(["mm"], benchmarks(runs)), (25, 0, 0))
        for beside in ("mapbench_local.* met  of 2.000 possible: 85 %", "of 64 threads.* met  of 0.900 possible: 100 %",
                       "storm_none's .* met  of 0.950 possible: 95 %"):
            self.assertRegex(self.table, f"{beside}\n")
        self.assertEqual(self.table.count("possible"), 4)

    def test_the_table_has_the_modes_in_their_order_relative_to_the_rwlock(self):
        runs = {("mm", workload, mode, threads): {"items_per_second": rate} for workload, mode, threads, rate in (
            ("mmap1", "coarse", 1, 3e6), ("mmap1", "rwlock", 1, 4e6), ("mmap1", "rwlock", 2, 2e6),
            ("mmap1", "speculative", 2, 5e6), ("areas/10", "rwlock", 1, 1e6))}
        runs["mm", "areas/10", "coarse", 1] = {"aborted_per_fault": 1}
        self.assertEqual(measure.mm_table(self.results(benchmarks(runs))), """\
| workload | rwlock, 1 | coarse, 1 | rwlock, 2 | speculative, 2 |
|---|---:|---:|---:|---:|
| `mmap1` | 4.00 | 0.75 | 2.00 | 2.50 |
| `areas/10` | 1.00 | - | - | - |""")


class ReplayBounds(Case):
    def replay(self, trace, rwlock, speculative, share):
        return {"trace": trace, "threads": 9, "locks": [
            {"lock": "rwlock", "seconds": rwlock, "speculative_share": 0},
            {"lock": "speculative", "seconds": speculative, "speculative_share": share}]}

    def test_both_programs_are_judged(self):
        for javac, node, expected in (((0.02, 0.02, 0.99), (0.03, 0.01, 1), (4, 0, 0)),
                                      ((0.02, 0.0201, 0.989999), (0.03, 0.01, 1), (2, 2, 0)),
                                      ((0.02, 0.01, 1), (0.01, 0.03, 0.5), (2, 2, 0))):
            content = {"replays": [self.replay("javac", *javac), self.replay("node", *node)]}
            self.assertEqual(self.judge(["replay"], content), expected)

    def test_what_is_missing_is_not_measured(self):
        node = self.replay("node", 0.03, 0.01, 1)
        self.assertEqual(self.judge(["replay"], {"replays": [node]}), (2, 0, 2))
        del node["locks"][0]
        self.assertEqual(self.judge(["replay"], {"replays": [node]}), (1, 0, 3))
        self.assertEqual(self.judge(["replay"], {"replays": []}), (0, 0, 4))


if __name__ == "__main__":
    unittest.main()
