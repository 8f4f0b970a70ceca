"""Print the findings of the house rules, by rule and folder.

    python scripts/house_report.py                           # how many, a table
    python scripts/house_report.py keyword_only              # each finding of a rule
    python scripts/house_report.py keyword_only edge/core    # ... in a folder
    python scripts/house_report.py --arrows edge             # the imports that form cycles

The rules are those of tests/house_tree.py.  `type_cycles` is not enforced: it lists the cycles that
imports under `if TYPE_CHECKING` close.
"""

import argparse
import sys
from collections import Counter
from functools import partial
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE))

# Importable only with the path above.
from tests import house, house_cycles  # noqa: E402
from tests.house import File  # noqa: E402
from tests.house_tree import TREE_RULES, Findings, TreeRule, each  # noqa: E402

FOLDERS = ("edge", "encoder", "hdc", "nas", "firmware_bridge", "benchmarks")


def type_cycles(files: list[File]) -> Findings:
    """Yield cycles of folders and of files, imports for type checkers included."""
    kinds = frozenset(house_cycles.When)
    yield from house_cycles.folder_cycles(files, kinds)
    yield from house_cycles.file_cycles(files, kinds)


RULES: dict[str, TreeRule] = {
    "sizes": partial(each, house.sizes),
    **TREE_RULES,
    "type_cycles": type_cycles,
}


def main(words: list[str] | None = None) -> int:
    """Print the table, the findings of a rule, or arrows.  Returns the exit status."""
    parser = argparse.ArgumentParser(description="Print the findings of the house rules.")
    parser.add_argument("rule", nargs="?", choices=sorted(RULES), help="print each finding of it")
    parser.add_argument("folder", nargs="?", default="", help="only in this folder or file")
    parser.add_argument("--arrows", metavar="UNIT", help="imports between the parts of a folder")
    given = parser.parse_args(words)
    files = house.files_of(SOURCE, FOLDERS)
    if given.arrows:
        print_arrows(files, given.arrows.rstrip("/").replace("/", "."))
    elif given.rule:
        print_findings(files, given.rule, given.folder.rstrip("/"))
    else:
        print_table(files)
    return 0


def print_table(files: list[File]) -> None:
    """Print how many findings each rule has in each folder."""
    counts = {name: Counter(file.folder for file, _ in rule(files)) for name, rule in RULES.items()}
    folders = sorted({folder for counter in counts.values() for folder in counter})
    print(f"| rule | all | {' | '.join(folders)} |")
    print("| --- " * (len(folders) + 2) + "|")
    for name, counter in counts.items():
        cells = [counter.total(), *(counter[folder] for folder in folders)]
        print(f"| {name} | {' | '.join(map(str, cells))} |")


def print_findings(files: list[File], name: str, folder: str) -> None:
    """Print each finding of a rule, in the format of compilers."""
    for file, finding in RULES[name](files):
        if not folder or file.path == folder or file.path.startswith(f"{folder}/"):
            print(finding.message(file.path))


def print_arrows(files: list[File], unit: str) -> None:
    """Print the imports inside a package that are part of a cycle: each pair once, with their
    number and the place of the first."""
    inside = [
        one
        for one in house_cycles.arrows(files)
        if one.when in house_cycles.RUN_TIME
        and all(f"{name}.".startswith(f"{unit}.") for name in (one.source, one.target))
    ]
    depth = len(unit.split(".")) + 1
    pairs: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for one in inside:
        source, target = (".".join(name.split(".")[:depth]) for name in (one.source, one.target))
        if source != target:
            pairs[source, target] += 1
            first.setdefault((source, target), f"{one.file.path}:{one.line}")
    graph: dict[str, set[str]] = {}
    for source, target in pairs:
        graph.setdefault(source, set()).add(target)
    for knot in house_cycles.knots(graph):
        print(f"{len(knot)} units that reach each other: {', '.join(sorted(knot))}")
        for (source, target), count in sorted(pairs.items()):
            if source in knot and target in knot:
                print(f"  {first[source, target]}: {source} -> {target} ({count})")


if __name__ == "__main__":
    raise SystemExit(main())
