"""Count the numeric constants of modules, and those without a reason.

    python scripts/count_constants.py               # a table, by folder
    python scripts/count_constants.py --list hdc    # those of a folder without a reason

A constant is a number, or a tuple of numbers, that a module names at its top level; arithmetic
counts.  Its reason is the comment right above it or on its line, or the docstring below.  The rule
is `constants_with_reasons` in tests/house.py.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE))

# Importable only with the path above.
from tests import house  # noqa: E402

FOLDERS = ("edge", "encoder", "hdc", "nas", "firmware_bridge", "benchmarks", "scripts")
BY_HAND = "chosen by hand"


def main(words: list[str] | None = None) -> int:
    """Print the table, or the list of a folder.  Returns the exit status."""
    parser = argparse.ArgumentParser(description="Count numeric constants without a reason.")
    parser.add_argument("--list", metavar="FOLDER", help="print FILE:LINE NAME of each in FOLDER")
    given = parser.parse_args(words)
    if given.list is None:
        print_table()
    else:
        print_list(given.list.rstrip("/"))
    return 0


def print_table() -> None:
    """Print how many there are in each folder, how many without a reason, how many by hand."""
    rows: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for file in house.files_of(SOURCE, FOLDERS):
        found = list(house.constants(file))
        for row in (rows[file.folder], rows["all"]):
            row[0] += len(found)
            row[1] += sum(not one.explained for one in found)
            row[2] += sum(BY_HAND in one.reason.lower() for one in found)
    print("| folder | constants | without a reason | chosen by hand |")
    print("| --- | --- | --- | --- |")
    for folder, counts in sorted(rows.items(), key=lambda row: (row[0] == "all", row[0])):
        print(f"| {folder} | {' | '.join(map(str, counts))} |")


def print_list(folder: str) -> None:
    """Print where each constant without a reason is."""
    for file in house.files_of(SOURCE, FOLDERS):
        if file.path == folder or file.path.startswith(f"{folder}/"):
            for one in house.constants(file):
                if not one.explained:
                    print(f"{file.path}:{one.line} {one.name}")


if __name__ == "__main__":
    raise SystemExit(main())
