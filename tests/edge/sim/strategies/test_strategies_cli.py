"""`auricle simulate` on strategies, as a user runs it: another process, a terminal, a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from tests.daemons import DIE_WITH_PARENT
from tests.edge.sim.strategies.strategy_scenarios import write_scenario
from tests.homes import command
from tests.terminals import Terminal

NAMES = 'names = ["ncm", "slda", "ridge", "naive", "replay"]'
WAIT_S = 120
"""A busy machine takes ten seconds to start a verb."""


def simulate(*words: object, **options) -> subprocess.CompletedProcess[str]:
    """Run the verb to its end."""
    return subprocess.run(
        command("simulate", *words),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        **options,
    )


def outcomes(out: Path) -> dict[str, int]:
    """The finished outcomes, by file, with the time at which each was written."""
    return {path.name: path.stat().st_mtime_ns for path in out.glob("outcomes/*.json")}


def test_a_comparison_that_is_killed_goes_on_where_it_stopped(tmp_path) -> None:
    """Kill -9 in the middle, and the same command again: what was finished is not run again, a
    damaged outcome is, and the figures are those of a run that nobody killed."""
    path, out = write_scenario(tmp_path, NAMES, 'stream = "classes"'), tmp_path / "out"
    seeds = [word for seed in range(1, 25) for word in ("--seed", seed)]
    running = subprocess.Popen(
        command("simulate", path, "--out", out, *seeds),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=DIE_WITH_PARENT,  # noqa: PLW1509 - a call of C alone
    )
    end = time.monotonic() + WAIT_S
    while len(outcomes(out)) < 10:
        assert running.poll() is None
        assert time.monotonic() < end
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=WAIT_S)
    finished = outcomes(out)
    assert 10 <= len(finished) < 120
    assert not (out / "strategies.json").exists()
    damaged = min(finished)
    (out / "outcomes" / damaged).write_bytes(b'{"strategy": "nc')
    again = simulate(path, "--out", out, "--json", *seeds)
    assert again.returncode == 0, again.stderr
    shown = json.loads(again.stdout)
    assert shown["resumed"] == len(finished) - 1
    assert [damaged in remark for remark in shown["remarks"]] == [True]
    after = outcomes(out)
    assert len(after) == 120
    kept = {name: at for name, at in finished.items() if name != damaged}
    assert kept.items() <= after.items()
    whole = simulate(path, "--out", tmp_path / "whole", "--json", "--jobs", 2, *seeds)
    assert _figures(json.loads(whole.stdout)) == _figures(shown)


def _figures(shown) -> list[tuple[str, float, float, float]]:
    """The figures of a printed comparison that do not depend on time."""
    return [
        (name, line["final"], line["sd"], line["error"])
        for stream in shown["streams"]
        for name, line in stream["strategies"].items()
    ]


def test_the_terminal_shows_two_tables_in_a_hundred_columns(tmp_path) -> None:
    """Each strategy has its figures and its rank; no line of a table is cut or wrapped."""
    path = write_scenario(tmp_path, NAMES)
    words = ("simulate", path, "--out", tmp_path / "out", "--seed", 1, "--seed", 2)
    with Terminal(*words, columns=100) as terminal:
        screen = terminal.until("report ")
    tables = [line for line in screen.splitlines() if "│" in line or "┃" in line]
    assert sum("ncm" in line for line in tables) == 2
    assert sum("±" in line for line in tables) == 5
    assert any("frontier" in line for line in tables)
    assert max(map(len, tables)) <= 100
    assert "Own features, order 1: 2 tasks, 2 seeds" in screen
    assert "first > second" in screen


@pytest.mark.parametrize("columns", [60, 100])
def test_every_strategy_of_the_table_fits_the_terminal(tmp_path, columns) -> None:
    """With all names the tables still fit, or turn into lists on a narrow terminal."""
    path = write_scenario(tmp_path, 'names = ["naive, refresh", "replay, selected", "ncm"]')
    with Terminal("simulate", path, "--out", tmp_path / "out", columns=columns) as terminal:
        screen = terminal.until("report ")
    tables = [line for line in screen.splitlines() if "│" in line or "┃" in line]
    assert all(len(line) <= columns for line in tables)
    assert "replay, selected" in screen


def test_a_misspelt_strategy_names_its_nearest_in_two_lines(tmp_path) -> None:
    """The verb ends with an error and a hint, and writes nothing."""
    path = write_scenario(tmp_path, 'names = ["sldaa"]')
    found = simulate(path, "--out", tmp_path / "out")
    assert found.returncode == 1
    assert "names is 'sldaa'" in found.stderr
    assert "did you mean 'slda'?" in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "out").exists()


def test_the_folder_of_data_is_an_option(tmp_path) -> None:
    """A relative source is found in the folder that --data names, and not without it."""
    path = write_scenario(tmp_path, 'names = ["ncm"]')
    (tmp_path / "data").mkdir()
    (tmp_path / "own.npz").rename(tmp_path / "data" / "own.npz")
    out = ("--out", tmp_path / "out")
    lacking = simulate(path, *out)
    assert lacking.returncode == 1
    assert "expected a folder" in lacking.stderr
    found = simulate(path, *out, "--data", tmp_path / "data")
    assert found.returncode == 0, found.stderr
    assert "ncm" in found.stdout
