#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cycles.py SOURCE_DIR OBJECT_DIR [FOLDER...] - whether the modules of the library, or of some of its folders, form layers.

A module is a .c file and the .h file of the same name. It depends on the modules whose headers it includes, and, by the object files
in OBJECT_DIR (nm), on those whose functions and variables it uses. No module may depend on itself through others: then each file
includes only files of lower layers. Prints the cycles, and fails if there are any; -v prints the layers.
"""
import pathlib
import re
import subprocess
import sys
from collections import defaultdict


def module_of(path: pathlib.PurePath) -> str:
    return str(path.with_suffix(""))


def included(src: pathlib.Path, file: pathlib.Path) -> set[str]:
    names = re.findall(r'^#include "([^"]+)"', file.read_text(), re.M)
    found = [p for name in names for p in (file.parent / name, src / name) if p.exists()]
    return {module_of(p.resolve().relative_to(src)) for p in found}


def symbols(objects: pathlib.Path) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Which module defines a symbol, and which symbols a module uses."""
    defined: dict[str, str] = {}
    used: dict[str, set[str]] = defaultdict(set)
    for file in objects.rglob("*.c.o"):
        module = module_of(pathlib.PurePath(str(file.relative_to(objects))[: -len(".c.o")]))
        for line in subprocess.run(["nm", file], check=True, capture_output=True, text=True).stdout.splitlines():
            *_, kind, name = line.split()
            if kind == "U":
                used[module].add(name)
            elif kind in "TDBRVWC":
                defined[name] = module
    return defined, used


def dependencies(src: pathlib.Path, objects: pathlib.Path | None) -> dict[str, set[str]]:
    graph: dict[str, set[str]] = defaultdict(set)
    for file in sorted([*src.rglob("*.c"), *src.rglob("*.h")]):
        graph[module_of(file.relative_to(src))] |= included(src, file)
    if objects:
        defined, used = symbols(objects)
        for module, names in used.items():
            graph[module] |= {defined[name] for name in names if name in defined}
    return {module: others - {module} for module, others in graph.items()}


def layers(graph: dict[str, set[str]]) -> tuple[list[list[str]], set[str]]:
    """Modules in layers, each of which depends only on those before; and the modules of cycles, or above one."""
    result: list[list[str]] = []
    left = set(graph)
    while ready := sorted(m for m in left if not graph[m] & left):
        result.append(ready)
        left -= set(ready)
    return result, left


def only_cycles(graph: dict[str, set[str]], left: set[str]) -> set[str]:
    """Takes away the modules that are only above a cycle."""
    while top := {m for m in left if not any(m in graph[other] for other in left)}:
        left = left - top
    return left


def main() -> int:
    arguments = [a for a in sys.argv[1:] if a != "-v"]
    src = pathlib.Path(arguments[0]).resolve()
    graph = dependencies(src, pathlib.Path(arguments[1]) if len(arguments) > 1 else None)
    if folders := tuple(f + "/" for f in arguments[2:]):
        graph = {m: {o for o in others if o.startswith(folders)} for m, others in graph.items() if m.startswith(folders)}
    found, left = layers(graph)
    if "-v" in sys.argv:
        for number, modules in enumerate(found):
            print(number, *modules)
    left = only_cycles(graph, left)
    for module in sorted(left):
        print(f"{module} depends on {' '.join(sorted(graph[module] & left))}, and they on it")
    print(f"{len(graph)} modules, {len(found)} layers, {len(left)} modules in cycles")
    return 1 if left else 0


sys.exit(main())
