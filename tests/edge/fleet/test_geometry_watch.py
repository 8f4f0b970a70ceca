"""An aggregator notices that another geometry is frozen in its home."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.core.errors import StateError
from edge.core.events import Enrol, FitGeometry
from edge.fleet.aggregate_home import LOOK_S, GeometryWatch
from edge.home.home import Home
from edge.storage.store import Store
from tests.edge.fleet.test_member import many
from tests.homes import new_home


def test_a_geometry_that_could_not_be_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Where the file cannot be read at the look that finds it changed, the next one reads it,
    though nothing has changed since."""
    folder, now = new_home(tmp_path / "site"), [0.0]
    watch = GeometryWatch(folder, lambda: now[0])
    with Home(folder) as home:
        home.feed(Enrol(many("f", 16)))
        home.feed(FitGeometry())

    def fail(*_: Any, **__: Any) -> None:
        raise StateError("reading: the disk has an error", "")

    now[0] += LOOK_S
    with monkeypatch.context() as patched:
        patched.setattr(Store, "open", fail)
        assert not watch.changed()
    now[0] += LOOK_S
    assert watch.changed()
    assert not GeometryWatch(folder, lambda: now[0]).changed()
