"""The command line of the benchmarks offers every count that a benchmark takes, and no other."""

from __future__ import annotations

import importlib
import inspect

import pytest

from benchmarks.__main__ import AGAINST, COUNTS, NAMES, QUICK, SETS, main


@pytest.mark.parametrize("name", sorted({*COUNTS, *QUICK, *SETS}))
def test_options_are_arguments_of_the_benchmark(name):
    """Command-line options arrive at `run`, and every size is an option."""
    taken = set(inspect.signature(importlib.import_module(NAMES[name]).run).parameters)
    offered = {count.replace("-", "_") for count in COUNTS.get(name, ())}
    offered |= {"quick"} if name in QUICK else set()
    offered |= {"sets"} if name in SETS else set()
    offered |= {"against"} if name in AGAINST else set()
    assert taken - {"_data", "data", "seed", "folder"} == offered


def test_an_unknown_benchmark_is_refused(capsys):
    """The error for a mistyped name lists the existing ones."""
    with pytest.raises(SystemExit):
        main(["fault"])
    assert "faults" in capsys.readouterr().err
