"""Cycles among imports: none between the folders of `edge`, none between the files of one folder.

Run-time imports count: those at the top level, and those inside a function, which only postpone a
cycle.  An import under `if TYPE_CHECKING` is not needed at run time: the rules ignore it, and
`scripts/house_report.py` lists it separately.  An import by a computed name is not found.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from tests.house import File, Finding


class When(Enum):
    """When an import is executed."""

    LOADED = "at the top level"
    CALLED = "inside a function"
    CHECKED = "for type checkers"


RUN_TIME = frozenset({When.LOADED, When.CALLED})


@dataclass(frozen=True)
class Arrow:
    """An import of one file by another, as modules; an `__init__` has the package's name."""

    file: File
    line: int
    source: str
    target: str
    when: When


def folder_cycles(
    files: list[File], kinds: frozenset[When] = RUN_TIME
) -> Iterator[tuple[File, Finding]]:
    """No cycle between the folders directly under `edge`; each folder or file there is one unit."""
    inside = [one for one in arrows(files) if one.when in kinds and one.source.startswith("edge")]
    yield from _found(inside, unit_of, "folders")


def file_cycles(
    files: list[File], kinds: frozenset[When] = RUN_TIME
) -> Iterator[tuple[File, Finding]]:
    """No cycle between the files of one unit, in any subfolder."""
    near = [
        one
        for one in arrows(files)
        if one.when in kinds and unit_of(one.source) == unit_of(one.target)
    ]
    yield from _found(near, str, "files")


def unit_of(module: str) -> str:
    """`edge.core.knowledge.memory_ledger` -> `edge.core`; any other package is one unit."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "edge" else parts[0]


def arrows(files: list[File]) -> list[Arrow]:
    """Every import of one of these files by another."""
    known = {_module(file) for file in files}
    return [
        Arrow(file, node.lineno, _module(file), target, when)
        for file in files
        for node, when in _imports(file.tree, When.LOADED)
        for target in sorted(_targets(file, node, known) - {_module(file)})
    ]


def _module(file: File) -> str:
    return file.module.removesuffix(".__init__")


def _imports(node: ast.AST, when: When) -> Iterator[tuple[ast.Import | ast.ImportFrom, When]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, when
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports(child, When.CALLED)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for one in child.body:
                yield from _imports(ast.Module([one], []), When.CHECKED)
            for one in child.orelse:
                yield from _imports(ast.Module([one], []), when)
        else:
            yield from _imports(child, when)


def _targets(file: File, node: ast.Import | ast.ImportFrom, known: set[str]) -> set[str]:
    """The modules that an import names: for `from a import b` the file a.b if it exists."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & known
    base = file.module.split(".")[: -node.level] if node.level else []
    name = ".".join([*base, node.module] if node.module else base)
    return {
        f"{name}.{alias.name}" if f"{name}.{alias.name}" in known else name for alias in node.names
    } & known


def _found(
    given: Iterable[Arrow], name_of: Callable[[str], str], noun: str
) -> Iterator[tuple[File, Finding]]:
    """One finding for each strongly connected set of units, with a shortest cycle in it."""
    out: dict[str, dict[str, Arrow]] = {}
    for arrow in given:
        source, target = name_of(arrow.source), name_of(arrow.target)
        if source != target:
            out.setdefault(source, {}).setdefault(target, arrow)
    graph = {source: set(targets) for source, targets in out.items()}
    for knot in knots(graph):
        way = shortest_cycle(graph, knot)
        arrow = out[way[0]][way[1]]
        what = f"a cycle of {len(knot)} {noun} ({' -> '.join(way)})"
        yield arrow.file, Finding(arrow.line, what, "move the shared part below both")


def knots(graph: dict[str, set[str]]) -> list[frozenset[str]]:
    """The strongly connected sets of two nodes or more, ordered by name."""
    reached = {node: _reached(graph, node) for node in graph}
    found = {
        frozenset({node} | {other for other in ends if node in reached.get(other, set())})
        for node, ends in reached.items()
        if node in ends
    }
    return sorted(found, key=sorted)


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = graph.get(waiting.pop(), set()) - found
        found |= fresh
        waiting += fresh
    return found


def shortest_cycle(graph: dict[str, set[str]], knot: frozenset[str]) -> list[str]:
    """A shortest cycle in a strongly connected set, its first node repeated at the end."""
    ways = [way for start in sorted(knot) if (way := _way_back(graph, start))]
    return min(ways, key=len)


def _way_back(graph: dict[str, set[str]], start: str) -> list[str]:
    seen: set[str] = set()
    ways = [[start]]
    while ways:
        longer = []
        for way in ways:
            for target in sorted(graph.get(way[-1], set()) - seen):
                if target == start:
                    return [*way, start]
                seen.add(target)
                longer.append([*way, target])
        ways = longer
    return []
