"""Descriptions of a home for the console."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.core.events import Label, Observation
from edge.home import Home, describe_knowledge
from tests.homes import new_home, teach, write_csv
from tests.worlds import WIDTH, clouds


def test_answers_that_were_served_are_counted(tmp_path: Path) -> None:
    """Once an answered observation is labelled, its domain shows how many answers were right."""
    with Home(new_home(tmp_path / "home")) as home:
        teach(home, write_csv(tmp_path / "t.csv"))
        (before,) = describe_knowledge(home).domains
        assert before.served == {"count": 0, "right": 0}
        for at, row in enumerate(clouds((3,), 20, width=WIDTH)):
            home.feed(
                Observation(
                    stream="s",
                    sequence=at,
                    captured_at_ns=10**18 + at,
                    payload=row.astype(np.float32),
                )
            )
        home.feed(Label("s:3", "a"))
        counts = [one.served["count"] for one in describe_knowledge(home).domains]
        assert sum(counts) == 1
