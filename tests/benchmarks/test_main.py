"""The command line of the benchmarks offers every count that a benchmark takes, and no other."""

from __future__ import annotations

import importlib
import inspect
import json

import pytest

from benchmarks.__main__ import AGAINST, BACKENDS, COUNTS, NAMES, QUICK, SETS, main
from benchmarks.report import BenchmarkReport


@pytest.mark.parametrize("name", sorted({*COUNTS, *QUICK, *SETS}))
def test_options_are_arguments_of_the_benchmark(name):
    """Command-line options arrive at `run`, and every size is an option."""
    taken = set(inspect.signature(importlib.import_module(NAMES[name]).run).parameters)
    offered = {count.replace("-", "_") for count in COUNTS.get(name, ())}
    offered |= {"quick"} if name in QUICK else set()
    offered |= {"sets"} if name in SETS else set()
    offered |= {"against"} if name in AGAINST else set()
    offered |= {"backend"} if name in BACKENDS else set()
    assert taken - {"_data", "data", "seed", "folder"} == offered


def test_an_unknown_benchmark_is_refused(capsys):
    """The error for a mistyped name lists the existing ones."""
    with pytest.raises(SystemExit):
        main(["fault"])
    assert "faults" in capsys.readouterr().err


def test_a_report_names_the_command_that_gives_it_again(tmp_path, monkeypatch):
    """The file has the command with its options, and DIR for the folder of data."""
    module = importlib.import_module(NAMES["select"])
    empty = BenchmarkReport("select", (), {})
    monkeypatch.setattr(module, "run", lambda _data, **_options: empty)
    path = tmp_path / "report.json"
    given = ["select", "--quick", "--data", str(tmp_path), "--sets", "wine", "breast cancer"]
    assert main([*given, "--json", str(path)]) == 0
    command = json.loads(path.read_text("utf-8"))["command"]
    assert command == "python -m benchmarks select --data DIR --quick --sets wine 'breast cancer'"
