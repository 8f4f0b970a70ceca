from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.cli.verbs import train as cli_train
from edge.core.forecasting.training_job import ForecasterTrainingResult
from edge.growth import NETWORK_RECIPES
from edge.storage.network_weights import read_weights, shipped_weights
from tests.homes import run, run_json

RESULT = ForecasterTrainingResult(
    shipped_weights("cfc"), "better", (0.5, 0.4, 0.3), (0.9, 0.8, 0.7)
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A recording."""
    path = tmp_path / "loads.csv"
    path.write_text("time,a\n" + "".join(f"{300 * n},{n % 7}\n" for n in range(400)), "utf-8")
    return path


@pytest.fixture
def studied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Training that ends at once, and its arguments."""
    calls: list[tuple[Any, ...]] = []

    def study(values, elapsed_s, period, **options):
        calls.append((values.shape, elapsed_s[1], period, options["seed"], options["recipe"]))
        options["beat"]()
        return RESULT

    monkeypatch.setattr(cli_train, "train_on_recording", study)
    return calls


def test_a_network_that_beats_the_shipped_one_is_written(tmp_path, table, studied):
    """The weights are written and readable; the errors are shown with those of the shipped
    network."""
    out = tmp_path / "own.safetensors"
    result = run("train", table, "--out", out, "--period", "7", "--seed", "3")
    assert result.exit_code == 0, result.output
    assert "0.300\t0.700" in result.stdout
    assert read_weights(out).keys() == RESULT.arrays.keys()
    assert studied == [((400, 1), 300.0, 7, 3, "plain")]
    errors = run_json("train", table, "--out", out)
    assert (errors["horizons"], errors["own"]) == ([1, 6, 12], [0.5, 0.4, 0.3])
    onnx = tmp_path / "own.onnx"
    assert run("train", table, "--out", out, "--onnx", onnx).exit_code == 0
    assert onnx.stat().st_size > 10_000


def test_nothing_is_written_where_nothing_is_gained(tmp_path, table, monkeypatch):
    """Training without improvement is an error that says so; so is a recording without numbers."""
    none = ForecasterTrainingResult({}, "it does no better than the network it started from")
    monkeypatch.setattr(cli_train, "train_on_recording", lambda *_, **__: none)
    result = run("train", table, "--out", tmp_path / "own.safetensors")
    assert result.exit_code == 1
    assert "no better" in result.output
    assert not (tmp_path / "own.safetensors").exists()
    table.write_text("words\n", "utf-8")
    assert run("train", table, "--out", tmp_path / "own.safetensors").exit_code == 1


def test_a_recipe_is_chosen_by_name(tmp_path, table, studied):
    """`--recipe` takes each name of the table; an unknown one is refused with those that exist."""
    assert tuple(NETWORK_RECIPES) == cli_train.NETWORK_RECIPES
    out = tmp_path / "own.safetensors"
    assert run("train", table, "--out", out, "--recipe", "warm-start").exit_code == 0
    assert [call[-1] for call in studied] == ["warm-start"]
    result = run("train", table, "--out", out, "--recipe", "warm")
    assert result.exit_code == 2
    for name in NETWORK_RECIPES:
        assert name in result.output
    assert len(studied) == 1
