#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Which changes of the library do its tests not see? By hand, not in CI:

    python3 tests/mutants/sweep.py --work DIR --seed 1 --count 300
    python3 tests/mutants/sweep.py --work DIR --files 'src/range_lock/*.c' --only 'many.c:5'
    python3 tests/mutants/sweep.py --work DIR --self-check

Each mutant (mutations.py) is built in a copy of the tree under DIR, and the unit and property tests
run against it, those of the changed module first, until one fails. A test that takes many times as
long as usual has failed, too. A mutant that survives in the release build is shown to the checked
build. The random tests are a tenth as long as in CI (see test_scale()); with --full, mutants that
are still alive, also from a sweep before, see them as long as in CI. What every sweep prints, and
keeps in DIR/results:

    killed      MUTANT  by BUILD:TEST, and what that test said
    survived    MUTANT
    equivalent  MUTANT  the compiler makes the same object of it in both builds
    stillborn   MUTANT  it does not compile

A sweep that was interrupted goes on where it was, with the same arguments. Mutants of the lock are
not shown to the tests of the address space. RESULTS.md has the sweeps so far, and their survivors.
"""
import argparse
import collections
import fnmatch
import glob
import hashlib
import json
import os
import queue
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
import mutations

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
SOURCES = [d + "*." + e for d in ("src/range_lock/", "src/mm/") for e in "ch"]
COPIED = ["CMakeLists.txt", "cmake", "include", "src", "tests", "examples"]
BUILDS = {"release": [], "checked": ["-DMMRANGE_CHECKED=ON"]}
# The file that the tests of a module are named for, where it is not named as they are.
TESTS_OF = {
    "adapt": "adaptation forest", "leaf": "leaf_schedule leaf_fairness waiting passing",
    "wait": "waiting cancel leaf_fairness", "index": "forest", "reader": "slots", "child": "fork",
    "deadlock": "deadlock range_lock_checked", "checked": "range_lock_checked fork", "attr": "range_lock",
    "resize": "resize resize_random many", "vma_gap": "mm_vma_tree mm_mmap", "vma_check": "mm_vma_tree mm_space",
    "vma_node": "mm_vma_tree mm_vma_tree_random", "vma_border": "mm_vma_tree mm_vma_tree_random",
    "vma_erase": "mm_vma_tree mm_vma_tree_random", "vmas": "mm_mprotect mm_mmap mm_mremap",
    "vmas_change": "mm_mprotect mm_mlock", "interrupt": "mm_tlb", "attach": "mm_threads",
    "pages": "mm_fork mm_mremap mm_munmap", "page_cache": "mm_inode mm_file",
    "locking": "mm_hold", "order": "mm_checked", "table_lock": "mm_fault", "entry_lock": "mm_fault", "mm": "mm_space",
    "validate": "mm_space", "stats": "mm_space mm_fault mm_hold_times", "page_table": "mm_space mm_fault",
}


class Timeout(Exception):
    pass


# The sources as they were at the start: a sweep does not see what is edited meanwhile.
TEXTS = {file: open(os.path.join(TREE, file)).read()
         for pattern in SOURCES for file in glob.glob(pattern, root_dir=TREE)}


def limits():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command, cwd, env=None, seconds=None):
    """The exit status of a command and what it printed. Nothing that it started outlives it."""
    with subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, preexec_fn=limits, start_new_session=True) as process:
        timer = threading.Timer(seconds, os.killpg, (process.pid, signal.SIGKILL)) if seconds else None
        late = False
        if timer:
            timer.start()
        try:
            output = process.stdout.read().decode(errors="replace")
            status = process.wait()
            late = timer is not None and not timer.is_alive()
        finally:
            if timer:
                timer.cancel()
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    if late:
        raise Timeout
    return status, output


class Test:
    def __init__(self, name, path, environment):
        self.name, self.path, self.environment = name, path, environment
        self.quick = self.full = 0.0 # seconds, unchanged


class Build:
    """One configuration of one copy of the tree."""

    def __init__(self, copy, name):
        self.name, self.copy, self.dir = name, copy, os.path.join(copy, "build-" + name)
        self.objects = {}

    def configure(self):
        args = ["cmake", "-S", self.copy, "-B", self.dir, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                "-DMMRANGE_TOOLS=OFF", "-DMMRANGE_BENCH=OFF", "-DMMRANGE_WERROR=OFF", "-DCMAKE_C_FLAGS=-w",
                "-DCRITERION_LIBRARY=OFF", "-DCRITERION_INCLUDE_DIR=OFF"] + BUILDS[self.name]
        if shutil.which("ccache"):
            args += ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"]
        status, output = run(args, self.copy)
        if status:
            sys.exit(output)

    def ninja(self, target):
        return run(["ninja", "-j1", "-C", self.dir, target], self.copy, seconds=300)

    def hashes(self):
        pattern = os.path.join(self.dir, "src/CMakeFiles/mmrange_objects.dir/**/*.o")
        return {f: hashlib.sha1(open(f, "rb").read()).digest() for f in glob.glob(pattern, recursive=True)}

    def find_tests(self):
        """The programs with the label unit or property, by name."""
        self.ninja("watchdog") # ctest tells the commands of programs that exist only
        status, output = run(["ctest", "--show-only=json-v1", "-L", "unit|property"], self.dir)
        self.tests = {}
        for test in json.loads(output)["tests"]:
            path = test["command"][-1]
            if not path.startswith((self.dir + "/tests/unit/", self.dir + "/tests/property/")):
                continue # a script
            environment = [p["value"] for p in test["properties"] if p["name"] == "ENVIRONMENT"]
            self.tests[test["name"]] = Test(test["name"], path, sum(environment, []))

    def run_test(self, test, quick, seconds=None):
        env = dict(os.environ, TMPDIR=self.copy + "/tmp", **dict(e.split("=", 1) for e in test.environment))
        if quick:
            env["MMRANGE_TEST_SLOW"] = "1"
        return run([test.path], self.copy + "/tmp", env, seconds)

    def measure(self, times, save):
        """Builds all and takes the times of the tests, unchanged, or those taken before."""
        self.configure()
        self.find_tests()
        for test in self.tests.values():
            status, output = self.ninja(test.path[len(self.dir) + 1:])
            if status:
                sys.exit(output)
        self.objects = self.hashes()
        for test in list(self.tests.values()):
            key = self.name + ":" + test.name
            if key not in times:
                times[key] = [self.time(test, quick) for quick in (True, False)]
                save()
            if None in times[key]: # it would kill any mutant
                print(f"{key} is left out: it fails without a mutant", flush=True)
                del self.tests[test.name]
            else:
                test.quick, test.full = times[key]

    def time(self, test, quick):
        begin = time.monotonic()
        status, output = self.run_test(test, quick)
        return time.monotonic() - begin if status == 0 else None


class Worker:
    def __init__(self, number, args, sweep):
        self.copy = os.path.abspath(os.path.join(args.work, f"tree{number}"))
        self.sweep = sweep
        self.changed = None # the file that differs from the tree
        shutil.rmtree(self.copy + "/tmp", ignore_errors=True)
        os.makedirs(self.copy + "/tmp")
        for name in COPIED:
            self.copy_newer(os.path.join(TREE, name), os.path.join(self.copy, name))
        self.builds = [Build(self.copy, name) for name in BUILDS]
        for build in self.builds:
            build.measure(sweep.times, sweep.save_times)

    def copy_newer(self, source, target):
        """Makes target as source is, and leaves alone what is the same already."""
        if os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
            for name in set(os.listdir(target)) - set(os.listdir(source)):
                gone = os.path.join(target, name)
                shutil.rmtree(gone) if os.path.isdir(gone) else os.remove(gone)
            for name in os.listdir(source):
                self.copy_newer(os.path.join(source, name), os.path.join(target, name))
        elif not os.path.exists(target) or open(source, "rb").read() != open(target, "rb").read():
            shutil.copyfile(source, target)

    def write(self, file, text):
        with open(os.path.join(self.copy, file), "w") as f:
            f.write(text)

    def judge(self, file, text):
        """What becomes of the tree with this text in file."""
        if self.changed not in (None, file):
            self.write(self.changed, TEXTS[self.changed])
        self.changed = file
        self.write(file, text)
        differ = []
        for build in self.builds:
            status, output = build.ninja("mmrange_objects")
            if status:
                return "stillborn", ""
            if build.hashes() != build.objects:
                differ.append(build)
        if not differ:
            return "equivalent", ""
        for quick in (True, False) if self.sweep.args.full else (True,):
            for build in differ:
                killer = self.run_tests(build, file, quick)
                if killer:
                    return "killed", killer
        return "survived", ""

    def run_tests(self, build, file, quick):
        tests = [build.tests[name] for name in self.sweep.order(build.tests.values(), file)]
        for test in tests:
            usual = test.quick if quick else test.full
            if not quick and test.full < 1.5 * test.quick + 0.1:
                continue # the same again
            status, output = build.ninja(test.path[len(build.dir) + 1:])
            if status:
                return f"{build.name}:{test.name} link"
            try:
                status, output = build.run_test(test, quick, 15 + 15 * usual)
            except Timeout:
                return f"{build.name}:{test.name} timeout"
            if status:
                said = [line for line in output.splitlines() if "failed:" in line]
                return f"{build.name}:{test.name} {(said or output.splitlines() or [''])[-1].strip()[:160]}"
        return None


class Sweep:
    def __init__(self, args):
        self.args = args
        self.lock = threading.Lock()
        self.kills = collections.Counter() # by (file, test)
        self.done = {}
        self.results = os.path.join(args.work, "results")
        if os.path.exists(self.results):
            for line in open(self.results):
                verdict, mutant, detail = line.rstrip("\n").split("\t")
                self.done[mutant] = verdict, detail
        self.times_file = os.path.join(args.work, "times.json")
        self.times = json.load(open(self.times_file)) if os.path.exists(self.times_file) else {}
        self.workers = [Worker(i, args, self) for i in range(args.jobs)]

    def save_times(self):
        with open(self.times_file, "w") as f:
            json.dump(self.times, f)

    def order(self, tests, file):
        """The names of the tests for a file: its own, then those that killed before, then fast ones."""
        stem = os.path.splitext(os.path.basename(file))[0]
        mm = "/mm/" in file
        own = TESTS_OF.get(stem, "").split() + [("mm_" if mm else "") + stem]
        chosen = [t for t in tests if mm == t.name.startswith(("mm_", "inode"))]
        return [t.name for t in sorted(chosen, key=lambda t: (t.name not in own, -self.kills[file, t.name], t.quick))]

    def report(self, mutant, verdict, detail, seconds):
        name = mutations.name(mutant)
        with self.lock:
            if verdict == "killed":
                self.kills[mutant.file, detail.split()[0].split(":")[1]] += 1
            self.done[name] = verdict, detail
            with open(self.results, "a") as f:
                f.write(f"{verdict}\t{name}\t{detail}\n")
            print(f"{verdict:10} {name}  {detail} ({seconds:.1f} s)", flush=True)

    def work(self, worker, todo):
        while True:
            try:
                mutant = todo.get_nowait()
            except queue.Empty:
                return
            begin = time.monotonic()
            text = mutations.apply(TEXTS[mutant.file], mutant)
            self.report(mutant, *worker.judge(mutant.file, text), time.monotonic() - begin)

    def run(self, chosen):
        todo = queue.Queue()
        for mutant in chosen:
            verdict = self.done.get(mutations.name(mutant), ("",))[0]
            if not verdict or verdict == "survived" and self.args.full:
                todo.put(mutant)
        threads = [threading.Thread(target=self.work, args=(w, todo)) for w in self.workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        verdicts = [self.done[mutations.name(m)] for m in chosen]
        counts = collections.Counter(v for v, _ in verdicts)
        late = sum(d.endswith(" timeout") for v, d in verdicts if v == "killed")
        print(f"{len(chosen)} mutants: {counts['killed']} killed ({late} of them by a time limit), "
              f"{counts['survived']} survived, {counts['equivalent']} equivalent by their objects, "
              f"{counts['stillborn']} do not compile")


def choose(args):
    chosen = []
    for file, text in sorted(TEXTS.items()):
        if any(fnmatch.fnmatch(file, pattern) for pattern in args.files):
            chosen += mutations.mutants(file, text)
    if args.only:
        return [m for m in chosen if any(only in mutations.name(m) for only in args.only)]
    if args.count < len(chosen):
        chosen = random.Random(args.seed).sample(chosen, args.count)
    # File by file: then a mutant costs one compilation, not two.
    return sorted(chosen)


def self_check(sweep):
    """A mutant that must die, one that cannot, and one that does not compile get these verdicts."""
    file = "src/range_lock/interval_tree.c"
    text = TEXTS[file]
    condition = re.search(r"\n\tif \((.*)\)\n", text)
    for expected, changed in (
            ("equivalent", text[:condition.start(1)] + "!!(" + condition[1] + ")" + text[condition.end(1):]),
            ("killed", text[:condition.start(1)] + "!(" + condition[1] + ")" + text[condition.end(1):]),
            ("stillborn", text[:condition.start(1)] + "(" + text[condition.end(1):])):
        verdict, detail = sweep.workers[0].judge(file, changed)
        print(f"{verdict}: the one that should be {expected}  {detail}")
        if verdict != expected:
            sys.exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="a directory for the copies, the builds and the results")
    parser.add_argument("--files", nargs="+", default=["src/range_lock/*.c", "src/mm/*.c"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--only", nargs="+", help="the mutants whose lines contain one of these")
    parser.add_argument("-j", "--jobs", type=int, default=1)
    parser.add_argument("--full", action="store_true", help="random tests as long as in CI, too")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    parser.add_argument("--self-check", action="store_true")
    args = parser.parse_args()
    if args.list:
        for mutant in choose(args):
            print(mutations.name(mutant))
        return
    os.nice(19)
    os.makedirs(args.work, exist_ok=True)
    sweep = Sweep(args)
    if args.self_check:
        self_check(sweep)
    else:
        sweep.run(choose(args))


main()
