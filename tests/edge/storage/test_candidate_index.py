"""Label candidates in memory without their features, and their bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.core import limits
from edge.core.events import EraseFacts, StoreFacts, StoreLabelCandidates
from edge.core.facts import Fact, LabelCandidate, Selector
from tests.homes import RECEIPT, new_store
from tests.worlds import WIDTH


def candidate(name: str, score: float = 0.5, subject: str = "") -> LabelCandidate:
    """A candidate of one stream."""
    return LabelCandidate(
        observation_id=name,
        stream="door",
        subject=subject,
        domain="domain-2",
        captured_at_ns=5,
        score=score,
        features=bytes(WIDTH),
    )


def learned(name: str) -> Fact:
    """A fact with the id of a candidate."""
    return Fact(
        id=name, stream="door", domain="home", label="a", captured_at_ns=5, features=bytes(WIDTH)
    )


def test_the_index_follows_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Added, replaced, labelled, forgotten and overflowing candidates are the same in both."""
    monkeypatch.setattr(limits, "CANDIDATES_MAX", 4)
    with new_store(tmp_path / "k.db") as store:

        def same() -> list[str]:
            index = store.candidate_index()
            rows = store.candidates()
            assert list(index) == list(rows)
            assert {key: one.score for key, one in index.items()} == {
                key: one.score for key, one in rows.items()
            }
            return list(index)

        assert same() == []
        store.apply(StoreLabelCandidates(tuple(map(candidate, "abcd"))))
        store.apply(StoreLabelCandidates((candidate("a", 0.9),)))
        assert same() == ["a", "b", "c", "d"]
        store.apply(StoreLabelCandidates(tuple(map(candidate, "ef"))))
        assert same() == ["c", "d", "e", "f"]
        store.apply(StoreFacts(facts=(learned("d"),)))
        assert same() == ["c", "e", "f"]
        store.apply(EraseFacts(("e",), RECEIPT))
        assert same() == ["c", "f"]
        store.apply(StoreLabelCandidates((candidate("g", subject="anna"),)))
        assert store.select_candidates(Selector(subject="anna")) == ("g",)
        assert store.select_candidates(Selector(ids=frozenset("cgz"))) == ("c", "g")
        assert store.select_candidates(Selector(label="a")) == ()
        kept = store.candidate("g")
        assert kept is not None
        assert kept.subject == "anna"
        assert store.candidate("z") is None
