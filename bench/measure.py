#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs mmrange-bench and mmrange-replay, judges the results by bounds.csv, and makes tables and plots.

The results stay in BUILD_DIR/report. README.md documents what they mean.
"""
from __future__ import annotations

import argparse
import csv
import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
SUITES = ("lock", "mm", "coherence", "replay")

# What the quick report measures of rates and of waits.
LOCKS = "(mmrange|tree_spinlock|pthread_rwlock|pthread_mutex)"
QUICK_RATES = (
    "^(lock/(uncontended_[a-z]+/.*|held/[0-9]+/(mmrange|tree_spinlock|fcntl_ofd)/.*"
    f"|((own|own1full|slot|share|full|random)_w100|(full|random)_[wt]40|shared_read)/{LOCKS}/.*:(1|2|4|16|64)"
    f"|short_w(10|50|100)/{LOCKS}/.*:(2|8|32)"
    "|async_(count/32|short/[0-9]+|parked)/(mmrange|mmrange_fifo|callback_list|callback_ranges)/.*:(1|2|32)"
    "|(own_w100|shared_read)/(ck_rwlock|ck_brlock|fcntl_ofd)/.*:(1|2|4))"
    "|latency/full_over_(leaves|biased)/mmrange/.*)$")
QUICK_WAITS = f"^latency/((own|full|random)_w100|(full|random)_w40|full_t40)/{LOCKS}/.*:(2|16|64)$"


class Name(NamedTuple):
    """What was run: KIND/WORKLOAD/LOCK:THREADS, where a workload may contain a slash."""
    kind: str
    workload: str
    lock: str
    threads: int

    @classmethod
    def parse(cls, text: str) -> Name:
        run, _, threads = text.partition(":")
        kind, _, rest = run.partition("/")
        workload, _, lock = rest.rpartition("/")
        return cls(kind, workload, lock, int(threads or 0))


def read(file: Path) -> Iterator[tuple[Name, dict[str, float]]]:
    """What coherence/run.sh, mmrange-replay or Google Benchmark wrote: the runs, and the counters of each."""
    if file.suffix == ".csv":
        for row in csv.DictReader(file.read_text().splitlines()):
            if row["transfers_per_op"]:
                yield (Name("coherence", row["workload"], row["lock"], int(row["cores"])),
                       {"transfers_per_op": float(row["transfers_per_op"])})
        return
    content = json.loads(file.read_text())
    for replay in content.get("replays", []):
        for row in replay["locks"]:
            yield (Name("replay", replay["trace"], row["lock"], 0),
                   {"items_per_second": 1 / row["seconds"], "speculative_share": row["speculative_share"]})
    # In the order in which they were registered, not that in which they ran.
    for row in sorted(content.get("benchmarks", []), key=lambda row: row["family_index"]):
        name = Name.parse(re.sub("(/iterations:1)?/real_time/threads", "", row["run_name"]))
        if row.get("error_occurred") or row.get("skipped"):
            yield name, {"error": math.nan}
        elif row["run_type"] == "iteration":
            yield name, {key: value for key, value in row.items() if isinstance(value, (int, float))}


class Results:
    """The values of each counter of each run, one for each repetition."""

    def __init__(self, files: Iterable[Path]) -> None:
        self.runs: dict[Name, dict[str, list[float]]] = {}
        self.failed: set[Name] = set()
        for name, counters in (run for file in files for run in read(file)):
            run = self.runs.setdefault(name, {})
            for counter, value in counters.items():
                run.setdefault(counter, []).append(value)
                if not 0 <= value < math.inf:
                    self.failed.add(name)

    def median(self, name: Name, counter: str = "items_per_second") -> float | None:
        values = self.runs.get(name, {}).get(counter)
        return statistics.median(values) if values and name not in self.failed else None

    def names(self, kind: str) -> list[Name]:
        return [name for name in self.runs if name.kind == kind]

    def named(self, text: str) -> list[Name]:
        """Of NAME:2-64, both ends, and what was measured between them."""
        text, _, most = text.partition("-")
        first = Name.parse(text)
        last = first._replace(threads=int(most or first.threads))
        return [first] + [name for name in self.runs if name[:3] == first[:3]
                          and first.threads < name.threads < last.threads] + ([last] if most else [])


class Bound(NamedTuple):
    """A row of bounds.csv, which documents the columns."""
    suite: str
    what: str
    counter: str
    measured: str
    over: str
    scale: str
    requires: str
    comparison: str
    bound: str
    possible: str

    def value(self, results: Results, name: Name, over: Name | None) -> float | None:
        counter = "items_per_second" if self.counter in ("rate", "time") else self.counter
        value = results.median(name, counter)
        if over:
            base = results.median(over, counter)
            if self.counter == "time":
                value, base = base, value
            value = value / base if value and base else None
        required, _, least = self.requires.partition(">=")
        if required and (results.median(name, required) or 0) < float(least):
            return None
        if value is None or not self.scale:
            return value
        factor, _, per_core = self.scale.partition("/")
        return value * float(factor) / (name.threads if per_core else 1)

    def judge(self, results: Results) -> tuple[float | None, str]:
        """The worst value, and the outcome. One value is enough to miss a bound; all are needed to meet it."""
        bases = [Name.parse(text) for text in self.over.split()] or [None]
        values = [self.value(results, name, over) for text in self.measured.split()
                  for name in results.named(text) for over in bases]
        known = [value for value in values if value is not None]
        worst = (max if self.comparison == "<=" else min)(known, default=None)
        bound = float(self.bound)
        if worst is not None and (worst > bound if self.comparison == "<=" else worst < bound):
            return worst, "MISSED"
        return (worst, "met") if len(known) == len(values) else (None, "not measured")

    def beside(self, results: Results, value: float | None) -> str:
        """What the machine allowed, where that is known."""
        name, _, over = self.possible.partition(" ")
        possible = self.value(results, Name.parse(name), Name.parse(over or self.over)) if name else None
        return f"  of {possible:.3f} possible: {100 * value / possible:.0f} %" if value and possible else ""


def read_bounds(suites: Iterable[str]) -> list[Bound]:
    lines = (HERE / "bounds.csv").read_text().splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return [Bound(**row) for row in rows if row["suite"] in suites]


def bounds_table(results: Results, bounds: Iterable[Bound]) -> str:
    lines = [f"{'':62} {'measured':>10}   {'bound':>8}"]
    outcomes = {"met": 0, "MISSED": 0, "not measured": 0}
    for bound in bounds:
        value, outcome = bound.judge(results)
        outcomes[outcome] += 1
        measured = "-" if value is None else f"{value:.3f}"
        lines.append(f"{bound.what:62} {measured:>10}   {bound.comparison} {float(bound.bound):5.2f}   "
                     f"{outcome}{bound.beside(results, value)}")
    return "\n".join([*lines, "", ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())])


def lock_table(results: Results) -> str:
    """Millions of lock+unlock pairs per second, and how many of them are reads and writes."""
    names = results.names("lock")
    locks = dict.fromkeys(name.lock for name in names)

    def lines(title: str, pattern: str, *counters: str) -> list[str]:
        table = ["", title, "", f"{'workload':22} {'threads':>7}" + "".join(f" {lock:>15}" for lock in locks)]
        for workload, threads in dict.fromkeys((name.workload, name.threads) for name in names):
            if re.search(pattern, workload):
                cells = []
                for lock in locks:
                    rates = [results.median(Name("lock", workload, lock, threads), counter) for counter in counters]
                    cells.append("-" if None in rates else " ".join(f"{rate / 1e6:.3f}" for rate in rates))
                table.append(f"{workload:22} {threads:7}" + "".join(f" {cell:>15}" for cell in cells))
        return table

    return "\n".join(
        lines("millions of lock+unlock pairs per second", "", "items_per_second")
        + lines("of these, reads and writes where a thread does one or the other, and of short ranges",
                "(_t[0-9]+|^short_w[15]0)$", "reads_per_second", "writes_per_second"))


def mm_table(results: Results) -> str:
    """In Markdown: millions of items per second with the rwlock, and the rates of other modes over that."""
    names = results.names("mm")
    modes = list(dict.fromkeys(["rwlock", *(name.lock for name in names)]))
    columns = sorted({("rwlock", 1), ("rwlock", 2), *(name[2:] for name in names)},
                     key=lambda column: (column[1], modes.index(column[0])))
    lines = ["| workload | " + " | ".join(f"{mode}, {threads}" for mode, threads in columns) + " |",
             "|---|" + "---:|" * len(columns)]
    for workload in dict.fromkeys(name.workload for name in names):
        line = f"| `{workload}` |"
        for mode, threads in columns:
            rate = results.median(Name("mm", workload, mode, threads))
            base = 1e6 if mode == "rwlock" else results.median(Name("mm", workload, "rwlock", threads))
            line += f" {rate / base:.2f} |" if rate and base else " - |"
        lines.append(line)
    return "\n".join(lines)


def draw(file: Path, title: str, x_label: str, y_label: str,
         points: Iterable[tuple[str, float, float | None]], *settings: str) -> None:
    """Draws a line for each lock, of points (lock, x, y), with a logarithmic scale for y."""
    lines: dict[str, str] = {}
    for lock, x, y in points:
        if y:
            lines[lock] = lines.get(lock, f"{lock}\n") + f"{x} {y}\n"
    if lines:
        script = [
            "set terminal svg size 800,500 dynamic background 'white'", f"set output '{file}'",
            f"set title '{title}' noenhanced", f"set xlabel '{x_label}'", f"set ylabel '{y_label}'",
            "set logscale y", "set format y '%.0s%c'", "set grid", "set key outside right noenhanced", *settings,
            "$points << END", "\n\n".join(lines.values()) + "END",
            f"plot for [i=0:{len(lines) - 1}] $points index i with linespoints linewidth 2 title columnheader(1)\n"]
        subprocess.run(["gnuplot"], input="\n".join(script), text=True, check=True)


def draw_all(results: Results, report: Path) -> None:
    if not shutil.which("gnuplot"):
        print("gnuplot is not installed (Debian: gnuplot-nox): no plots are drawn")
        return
    locks, waits, transfers = (results.names(kind) for kind in ("lock", "latency", "coherence"))
    for workload in {name.workload for name in locks if not re.search("/|uncontended|async|_hold", name.workload)}:
        draw(report / f"rate-{workload}.svg", workload, "threads", "lock+unlock pairs per second",
             [(name.lock, name.threads, results.median(name)) for name in locks if name.workload == workload],
             "set logscale x 2")
    draw(report / "held.svg", "one thread among held ranges", "held ranges", "ns per lock+unlock pair",
         [(name.lock, max(1, int(name.workload[5:])), results.median(name, "real_time"))
          for name in locks if name.workload.startswith("held/")],
         "set logscale x 10", "set xrange [0.8:*]", "set xtics add ('0' 1)", "set format y '%g'")
    for workload, threads in {(name.workload, name.threads) for name in waits if "full_over" not in name.workload}:
        draw(report / f"latency-{workload}-{threads}.svg", f"{workload}, {threads} threads", "",
             "wait for the lock in ns",
             [(name.lock, x, results.median(name, counter)) for name in waits
              if (name.workload, name.threads) == (workload, threads)
              for x, counter in enumerate(("p50_ns", "p99_ns", "p999_ns", "max_ns"), 1)],
             "set xrange [0.5:4.5]", "set xtics ('50 %%' 1, '99 %%' 2, '99.9 %%' 3, 'longest' 4)")
    for workload in {name.workload for name in transfers}:
        draw(report / f"coherence-{workload}.svg", workload, "cores", "cache-line transfers per operation",
             [(name.lock, name.threads, results.median(name, "transfers_per_op")) for name in transfers
              if name.workload == workload],
             "set logscale x 2", "set format y '%g'")


def machine() -> str:
    model = platform.machine()
    with suppress(OSError):
        if found := re.search(r"^model name\s*: *(.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
            model = found[1]
    return f"machine: {model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


@contextmanager
def measuring(what: str) -> Iterator[None]:
    """Prints that, and afterwards how much of the processors other programs had, where there is /proc."""
    def seconds() -> tuple[float, float, float]:
        own = os.times().children_user + os.times().children_system
        with suppress(OSError):
            # user, nice, system, idle, iowait, irq, softirq, steal
            ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in Path("/proc/stat").read_text().split()[1:9]]
            return own, sum(ticks) - ticks[3] - ticks[4], sum(ticks)
        return own, 0, 0

    print(f"measuring {what} ..")
    before = seconds()
    yield
    own, busy, total = (now - then for now, then in zip(seconds(), before))
    if total > 0:
        share = max(0, 100 * (busy - own) / total)
        hint = ": measure again when it is quiet" if share > 5 else ""
        print(f"other programs had {share:.0f} % of the processors meanwhile{hint}\n")


def run_bench(out: Path, build: Path, repetitions: int, seconds: float, runs: str, *options: str) -> None:
    """Runs the benchmarks in turns. Shows why and exits if that failed, or a lock did not exclude."""
    with measuring(out.stem):
        run = subprocess.run(
            [build / "bench/mmrange-bench", f"--benchmark_filter={runs}", f"--benchmark_repetitions={repetitions}",
             f"--benchmark_min_time={seconds}", "--benchmark_enable_random_interleaving=true",
             f"--benchmark_out={out}", "--benchmark_out_format=json", *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if run.returncode:
        lines = [line for line in run.stdout.splitlines() if not re.search("_(mean|median|stddev|cv) ", line)]
        sys.exit("\n".join(lines[-20:]))


def benchmark_filter(bounds: Iterable[Bound]) -> str:
    """The benchmarks that the bounds need."""
    names = {name for bound in bounds for name in f"{bound.measured} {bound.over} {bound.possible}".split()}
    return "^(" + "|".join(sorted(name.replace(":", "/(iterations:1/)?real_time/threads:") for name in names)) + ")$"


def measure(suite: str, build: Path, options: list[str]) -> list[Path]:
    """Measures what the bounds of the suite need, but for transfers, and returns where the results are."""
    transfers, out = build / "report/coherence.csv", build / f"report/bounds-{suite}.json"
    if suite == "coherence":
        return [transfers] if transfers.exists() else []
    if suite == "replay":
        traces = sorted((HERE.parent / "tools/replay/traces").glob("*.mmtrace"))
        with measuring(out.stem), out.open("w") as file:
            subprocess.run([build / "tools/replay/mmrange-replay", "--repeat", "10", "--json", *traces],
                           stdout=file, check=True)
    else:
        run_bench(out, build, 7, 0.15, benchmark_filter(read_bounds([suite])), "--latency_ms=100", "--mm_mib=32",
                  *options)
    return [out]


def show_bounds(args: argparse.Namespace) -> None:
    suites = args.suites or SUITES
    files = args.recorded or [file for suite in suites for file in measure(suite, args.build, args.options)]
    print(bounds_table(Results(files), read_bounds(suites)))


def show_mm(args: argparse.Namespace) -> None:
    out = args.build / "report/mm.json"
    if not args.recorded:
        run_bench(out, args.build, 5, 0.1, "^mm/.*:(1|2)$", "--mm_mib=32", *args.options)
    print(mm_table(Results(args.recorded or [out])))


def report(args: argparse.Namespace) -> None:
    directory = args.build / "report"
    files = args.recorded or [directory / "rates.json", directory / "latency.json"]
    if not args.recorded:
        if args.full:
            run_bench(files[0], args.build, 7, 0.15, "^(lock/|latency/full_over_)", "--latency_ms=100")
            run_bench(files[1], args.build, 3, 0, "^latency/", "--latency_ms=1000", "--latency_threads")
        else:
            run_bench(files[0], args.build, 3, 0.05, QUICK_RATES, "--latency_ms=100")
            run_bench(files[1], args.build, 3, 0, QUICK_WAITS, "--latency_ms=300", "--latency_threads")
        files += measure("coherence", args.build, [])
    results = Results(files)
    tables = f"{lock_table(results)}\n\n{bounds_table(results, read_bounds(('lock', 'coherence')))}\n"
    print(tables)
    (directory / "tables.txt").write_text(tables)
    draw_all(results, directory)
    print(f"all of it, with {len(list(directory.glob('*.svg')))} plots, is in {directory}")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--build", type=Path, default=Path("build/release"), metavar="BUILD_DIR")
    common.add_argument("--from", dest="recorded", type=Path, nargs="+", metavar="FILE", help="measured before")
    common.add_argument("--before", dest="options", type=lambda library: [f"--mm_before={library}"], default=[],
                        metavar="LIBRARY", help="an earlier version of the library, measured in the same run")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("bounds", parents=[common], help="which bounds are met: five minutes")
    command.add_argument("suites", nargs="*", choices=SUITES, metavar="SUITE", help=", ".join(SUITES))
    command.set_defaults(run=show_bounds)
    command = commands.add_parser("mm", parents=[common], help="rates of address spaces, in Markdown: five minutes")
    command.set_defaults(run=show_mm)
    command = commands.add_parser("report", parents=[common], help="rates, waits, bounds and plots: five minutes")
    command.add_argument("--full", action="store_true", help="all workloads, locks and numbers of threads: hours")
    command.set_defaults(run=report)
    return parser.parse_args(arguments)


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)
    args = parse(sys.argv[1:])
    try:
        if not args.recorded:
            print(machine())
            (args.build / "report").mkdir(exist_ok=True)
        args.run(args)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"measure.py: {error}")


if __name__ == "__main__":
    main()
