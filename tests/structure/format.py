#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""format.py ROOT [CLANG_FORMAT] - whether clang-format 14 would change a source. Other versions lay code out in other ways."""
import pathlib
import re
import subprocess
import sys


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    version = subprocess.run([sys.argv[2], "--version"], capture_output=True, text=True).stdout if len(sys.argv) > 2 else ""
    if not re.search(r"version 14\.", version):
        print("skipped: there is no clang-format 14")
        return 77
    files = [f for d in ("include", "src", "tests", "bench", "tools", "examples") for f in sorted((root / d).rglob("*"))
             if f.suffix in {".c", ".h", ".cc", ".hpp"}]
    run = subprocess.run([sys.argv[2], "--dry-run", "--Werror", *files], capture_output=True, text=True)
    changed = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", run.stderr, re.M)))
    for name in changed:
        print(f"{pathlib.Path(name).relative_to(root)} is not formatted")
    print(f"{len(files)} files, {len(changed)} not formatted")
    return 1 if run.returncode else 0


sys.exit(main())
