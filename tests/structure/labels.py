#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""labels.py ROOT - whether each label of an invariant or of an ordering pair is defined once.

A label is MODULE-LETTERS, with a number or without: LEAF-R2, SLOT-H, RCU-G3. A comment defines a label where the label begins a
line, or a column of a table, and stands apart: in brackets, or before a colon, a tab or two spaces, as in

 *	LEAF-R2  The bounds change only ..
 *	[SLOT-P] publish: ..            [SLOT-H] adopt: ..

Anywhere else the label is cited. Fails if a label is cited and not defined, is defined twice, or has no module: [R2].
"""
import pathlib
import re
import sys
from collections import defaultdict

LABEL = r"[A-Z][A-Z0-9]+-[A-Z]{1,2}[0-9]{0,2}[a-z]?|[A-Z][A-Z0-9]+-[0-9]{1,2}"
# Words of the same form that are no labels.
NO_LABEL = re.compile(r"(MIT|POSIX|UTF|SHA|ISO|GPL|ITU|CVE)-")
DEFINITION = re.compile(rf"(?:\[({LABEL})\]|({LABEL})(?::|$))")


def scan(file: pathlib.Path, root: pathlib.Path, defined: dict[str, list[str]], cited: dict[str, list[str]]) -> None:
    comment = False
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        place = f"{file.relative_to(root)}:{number}"
        comment = comment or "/*" in line
        if comment:
            columns = re.split(r"\t| {2,}", line[2:].removeprefix(" ")) if line.startswith(" *") else []
            begins = {m.group(1) or m.group(2) for c in columns if (m := DEFINITION.match(c))}
            for label in re.findall(rf"(?<![\w-])({LABEL})(?![\w-])", line):
                if not NO_LABEL.match(label):
                    (defined if label in begins else cited)[label].append(place)
            for label in re.findall(r"\[([A-Z]{1,2}[0-9]{0,2})\]", line):
                cited[label].append(place)
        comment = comment and "*/" not in line


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    defined: dict[str, list[str]] = defaultdict(list)
    cited: dict[str, list[str]] = defaultdict(list)
    for folder in ("include", "src"):
        for file in sorted((root / folder).rglob("*.[ch]")):
            scan(file, root, defined, cited)
    bad = 0
    for label, places in sorted(defined.items()):
        if len(places) > 1:
            print(f"{label} is defined more than once: {', '.join(places)}")
            bad += 1
    for label, places in sorted(cited.items()):
        if label not in defined:
            print(f"{label} is cited and not defined: {', '.join(places)}")
            bad += 1
    print(f"{len(defined)} labels, {sum(map(len, cited.values()))} citations, {bad} faults")
    return 1 if bad or not defined else 0


sys.exit(main())
