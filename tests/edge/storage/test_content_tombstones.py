"""Tombstones of contents in the knowledge file."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from edge import Store
from edge.core.events import EraseFacts
from edge.storage import content_tombstones
from tests.homes import RECEIPT, new_store
from tests.worlds import fact, vector

EXACT = replace(RECEIPT, duplicates="exact")


def test_contents_stay_forgotten_after_a_restart(tmp_path: Path) -> None:
    """A tombstone of a content is durable, and neither the content nor its plain hash is in the
    file."""
    path = tmp_path / "knowledge.db"
    with new_store(path, [fact("x", seed=5), fact("y", seed=6)]) as store:
        store.apply(EraseFacts(("x",), EXACT))
    with Store.open(path) as store:
        assert store.resembles_forgotten(vector(5).tobytes())
        assert not store.resembles_forgotten(vector(6).tobytes())
    assert vector(5).tobytes() not in path.read_bytes()


def test_tombstones_of_contents_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit the oldest leave."""
    monkeypatch.setattr(content_tombstones, "CONTENTS_MAX", 3)
    with new_store(tmp_path / "knowledge.db", [fact(f"f{n}", seed=n) for n in range(5)]) as store:
        for number in range(5):
            store.apply(EraseFacts((f"f{number}",), EXACT))
        held = [store.resembles_forgotten(vector(number).tobytes()) for number in range(5)]
    assert held == [False, False, True, True, True]


def test_adopted_tombstones_cover_contents(tmp_path: Path) -> None:
    """What another file has forgotten by content is forgotten here, however often it is adopted."""
    with (
        new_store(tmp_path / "a.db", [fact("x", seed=5)]) as other,
        new_store(tmp_path / "b.db") as store,
    ):
        other.apply(EraseFacts(("x",), EXACT))
        store.adopt_tombstones(other)
        store.adopt_tombstones(other)
        assert store.resembles_forgotten(vector(5).tobytes())
