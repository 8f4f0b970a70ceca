"""The figures of the benchmark of selectors."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn.datasets")

from benchmarks.continual.data import facts_of
from benchmarks.selection.run import ALL, Found, run, stream, summarise
from benchmarks.selection.sets import CHANGED, SETS
from edge.core.config import Config
from edge.core.events import Enrol
from edge.core.selection import SELECTORS
from tests.worlds import World


@pytest.mark.parametrize("keep", list(SELECTORS))
def test_the_stream_keeps_what_the_runtime_keeps(keep: str) -> None:
    """Facts that the runtime learns one by one: the same stay as in the benchmark's loop."""
    samples = SETS["iris"](None, 0)
    width = samples.features.shape[1]
    world = World(config=Config(facts_per_concept=7, keep=keep), width=width)
    for fact in facts_of(samples, samples.train, 0):
        world.feed(Enrol((fact,)))
    kept = sorted(int(one.id.split("-")[1]) for one in world.ledger.facts())
    assert kept == stream(samples, keep, 7, "time", 0).tolist()


def test_shuffled_streams_follow_their_seed() -> None:
    """The newest of a shuffled stream are others for another seed, and as many."""
    samples = SETS["iris"](None, 0)
    first, other = (stream(samples, "newest", 7, "shuffled", seed) for seed in (0, 1))
    assert len(first) == len(other) == 21
    assert not np.array_equal(first, other)


def figures(changed: float) -> Found:
    """Accuracies of two sets: one of development, one that confirms; and labels that change."""
    found: Found = {}
    for name, newest, ours in (("digits", 0.80, 0.84), ("iris", 0.90, 0.91)):
        found[name, ALL, 0, ""] = [0.95]
        for keep in SELECTORS:
            found[name, keep, 20, "time"] = [ours if keep == "mixed" else newest]
            found[name, keep, 5, "time"] = [0.1]
    found[CHANGED, ALL, 0, ""] = [0.5]
    for keep in SELECTORS:
        found[CHANGED, keep, 20, "time"] = [changed if keep == "mixed" else 0.9]
    return found


def test_the_summary_counts_points_at_twenty_facts() -> None:
    """Gains are means over sets; labels that change their meaning count apart."""
    summary = summarise(figures(0.5))
    assert summary["selection_over_newest_points"] == pytest.approx(2.5)
    assert summary["confirmed_over_newest_points"] == pytest.approx(1.0)
    assert summary["selection_below_all_points"] == pytest.approx(7.5)
    assert summary["newest_below_all_points"] == pytest.approx(10.0)
    assert summary["changed_over_newest_points"] == pytest.approx(-40.0)
    assert summary["random_over_newest_points"] == pytest.approx(0.0)


def test_labels_change_their_meaning_for_good() -> None:
    """The held-out rows and the second half of the learned ones have the new meaning."""
    before, after = SETS["digits"](None, 0), SETS[CHANGED](None, 0)
    moved = (after.label - before.label) % 10
    half = len(before.train) // 2
    assert (moved[before.held] == 1).all()
    assert (moved[before.train[:half]] == 0).all()
    assert (moved[before.train[half:]] == 1).all()


def test_an_unknown_set_is_named() -> None:
    """A misspelt set ends with the known ones."""
    with pytest.raises(SystemExit, match="expected some of digits"):
        run(None, sets=("digit",))
