"""The rules of the house that look at a whole tree of files, by name.

`tests/test_house.py` enforces them; `scripts/house_report.py` counts their findings by folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from tests import house, house_cycles
from tests.house import File, Finding

Findings = Iterator[tuple[File, Finding]]
TreeRule = Callable[[list[File]], Findings]


def each(rule: Callable[[File], Iterator[Finding]], files: list[File]) -> Findings:
    """Run a rule for single files on each file."""
    for file in files:
        for finding in rule(file):
            yield file, finding


TREE_RULES: Final[dict[str, TreeRule]] = {
    "class_names": house.class_names,
    "positional_calls": partial(each, house.positional_calls),
    "keyword_only": partial(each, house.keyword_only),
    "no_format_skips": partial(each, house.no_format_skips),
    "constants_with_reasons": partial(each, house.constants_with_reasons),
    "folder_cycles": house_cycles.folder_cycles,
    "file_cycles": house_cycles.file_cycles,
}
