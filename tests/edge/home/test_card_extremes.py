"""A receipt says where the card gives a forgotten extreme away, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import encoder
from tests.homes import run_json

PEAK = 777.25


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose card was calibrated on a table of three columns with one outlier in the second,
    of the subject `peak`."""
    rows = np.round(np.random.default_rng(5).uniform(1, 9, (40, 3)), 3)
    rows[:, 0] -= 5
    rows[7, 1] = PEAK
    lines = ["label,subject,x,load,y"]
    for number, row in enumerate(rows):
        subject = "peak" if number == 7 else f"other-{number % 2}"
        lines.append(",".join(["ab"[number % 2], subject, *map(str, row.tolist())]))
    table = tmp_path / "table.csv"
    table.write_text("\n".join(lines) + "\n", "utf-8")
    run_json("init", tmp_path / "home", "--vectors", table)
    run_json("learn", table, "--home", tmp_path / "home", "--domain", "hall")
    return tmp_path / "home"


def test_the_receipt_says_that_an_extreme_is_recoverable(home: Path):
    """The forgotten peak can be computed from the card's scale, and the receipt names its column
    and what ends that."""
    quantiser = encoder.load_card(home / "card.toml").quantiser
    assert quantiser is not None
    scale, zero = float(quantiser.scale[1]), int(quantiser.zero[1])
    share = 1 - 0.25 / 1.5 if zero else 1 / 1.25
    assert (share * 255 - zero) * scale == pytest.approx(PEAK, rel=0.01)
    receipt = run_json("forget", "--home", home, "--subject", "peak", "--yes")
    (line,) = [one for one in receipt["not_covered"] if "recoverable" in one]
    assert "(load)" in line
    assert "auricle init --vectors" in line


def test_facts_inside_the_range_are_not_called_recoverable(home: Path):
    """A fact whose values are inside the calibrated range in every column leaves no such line."""
    with np.load(_export(home)) as arrays:
        quantiser = encoder.load_card(home / "card.toml").quantiser
        assert quantiser is not None
        inside = [
            str(key)
            for key, row in zip(arrays["id"], arrays["features"], strict=True)
            if not quantiser.extremes(row[None]).any()
        ]
    receipt = run_json("forget", "--home", home, "--id", inside[0], "--yes")
    assert not any("recoverable" in one for one in receipt["not_covered"])


def _export(home: Path) -> Path:
    target = home.parent / "facts.npz"
    run_json("export", target, "--home", home)
    return target
