"""`auricle fleet train`, `export` and `leave`, with the devices in this process in place of
Flower's engine: the bits are the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from edge.federation import InProcessExchange, InProcessFleet, TrainedFleet, TrainingOrder
from edge.federation.devices import FederatedDevice, open_home_device, open_recording_device
from edge.federation.fleet_training import train_fleet
from edge.federation.return_path import leave_fleet
from edge.federation.strategies.kinds import FEDERATED_STRATEGIES
from tests.federations import DOMAIN, teach_homes
from tests.homes import new_home, run


def train_here(
    paths: Sequence[Path], order: TrainingOrder, cpus: int = 1, address: str = ""
) -> TrainedFleet:
    """In place of `simulate_fleet`."""
    del cpus, address

    def opened(path: Path) -> FederatedDevice:
        if order.subject.forecaster:
            return open_recording_device(path)
        return open_home_device(path, order.subject)

    return train_fleet(InProcessFleet([opened(path) for path in paths]), order)


@pytest.fixture(autouse=True)
def _in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.federation.simulate_fleet", train_here)
    leave = partial(leave_fleet, train=train_here)
    monkeypatch.setattr("edge.federation.leave_fleet", leave)


def recording(path: Path, pace: float) -> Path:
    """A CSV of one channel."""
    rows = (f"{n * 300},{10 * np.sin(n / pace):.3f}" for n in range(90))
    path.write_text("time,a\n" + "\n".join(rows))
    return path


def test_every_strategy_that_trains_can_be_chosen(tmp_path: Path):
    """The verb names them without loading the table."""
    from edge.cli.verbs.fleet_train import STRATEGIES

    assert set(STRATEGIES) == set(FEDERATED_STRATEGIES) - {"sums"}
    homes = teach_homes(tmp_path, ("north", "south"))
    for strategy in ("fedmedian", "fedtrimmed"):
        words = (*homes, "--domain", DOMAIN, "--rounds", 2, "--out", tmp_path / strategy)
        shown = run("fleet", "train", *words, "--strategy", strategy, "--json")
        assert shown.exit_code == 0, shown.output
        assert json.loads(shown.stdout)["members"] == {"north": 24, "south": 24}


def test_a_member_that_lies_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The table counts who was bounded and refused in each round; below it stands why."""
    work = InProcessExchange.work

    def lying(self, devices, plan, arrays, direction):
        """The west sends what no training gives."""
        made = work(self, devices, plan, arrays, direction)
        return [
            type(one)(
                device=one.device,
                examples=one.examples,
                arrays={k: np.full_like(v, np.nan) for k, v in one.arrays.items()},
            )
            if one.device == "west"
            else one
            for one in made
        ]

    monkeypatch.setattr(InProcessExchange, "work", lying)
    homes = teach_homes(tmp_path)
    shown = run(
        "fleet", "train", *homes, "--domain", DOMAIN, "--rounds", 2, "--out", tmp_path / "out"
    )
    assert shown.exit_code == 0, shown.output
    assert "2\t2\t0\t1\t" in shown.stdout
    assert "refused: west: its model holds numbers that are not finite" in shown.stdout
    assert "48 facts of 2 devices" in shown.stdout


def test_a_forecaster_is_trained_exported_and_left(tmp_path: Path):
    """From recordings to a bundle, and again without one of them."""
    paths = [recording(tmp_path / f"{name}.csv", 5.0 + at) for at, name in enumerate("abc")]
    out, key = tmp_path / "out", tmp_path / "maker.key"
    words = ("--forecaster", "cfc", "--rounds", 1, "--steps", 2, "--out", out)
    assert run("fleet", "train", *paths, *words).exit_code == 0
    assert run("keygen", key).exit_code == 0
    home = new_home(tmp_path / "home")
    shown = run("fleet", "export", out, tmp_path / "net.bundle", "--key", key, "--home", home)
    assert shown.exit_code == 0, shown.output
    left = run("fleet", "leave", out, "b", "--out", tmp_path / "fresh")
    assert "still with its influence: bundle" in left.stdout
