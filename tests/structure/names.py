#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""names.py ROOT DOCUMENT... - whether the names in a document exist.

Looks at each `code span`: a path must be a file or folder of the tree, and each identifier with an underscore, or before (), must
occur in a source, a header, a build file or a script. Code blocks are not looked at. Prints what does not exist, and fails.
"""
import pathlib
import re
import sys

SUFFIXES = {".c", ".h", ".hpp", ".cc", ".py", ".sh", ".cmake", ".txt", ".pml", ".json", ".csv"}


def words_of(root: pathlib.Path) -> set[str]:
    words: set[str] = set()
    for folder in ("include", "src", "tests", "bench", "tools", "examples", "cmake"):
        for file in (root / folder).rglob("*"):
            if file.suffix in SUFFIXES and file.is_file():
                words |= set(re.findall(r"\w+", file.read_text(errors="replace")))
    for name in ("CMakeLists.txt", "CMakePresets.json"):
        words |= set(re.findall(r"\w+", (root / name).read_text()))
    return words


def missing_in(text: str, root: pathlib.Path, words: set[str]) -> list[str]:
    missing = []
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    for span in re.findall(r"`([^`\n]+)`", text):
        if re.fullmatch(r"[\w.-]+(/[\w.*-]*)+", span):
            if not any(root.glob(span.rstrip("/"))):
                missing.append(span)
            continue
        span = re.sub(r"(^|\s)-D(?=\w)", r"\1", span)  # cmake's
        names = re.findall(r"\b(?:\w+(?=\(\))|[A-Za-z]\w*_\w*)", span)
        missing += [name for name in names if name not in words and not any(w.startswith(name) for w in words if name.endswith("_"))]
    return missing


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    words = words_of(root)
    bad = 0
    for document in sys.argv[2:]:
        for name in missing_in((root / document).read_text(), root, words):
            print(f"{document}: {name} does not exist")
            bad += 1
    return 1 if bad else 0


sys.exit(main())
