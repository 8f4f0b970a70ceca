"""The scale benchmark: what it measures, and its summary."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scale import run as scale
from benchmarks.scale.measure import measure
from benchmarks.scale.worlds import World


def test_a_small_home_is_measured(tmp_path: Path) -> None:
    """Every figure of the table is a positive number; all facts of a small home are in the
    survey's sample, so none outside is forgotten."""
    found = measure(World("numbers", 300, 2), tmp_path)
    assert set(scale.SLOPED) - set(found) == {"forget_outside_ms"}
    assert all(value > 0 for name, value in found.items() if name != "refit_s")


def test_facts_belong_to_their_domains() -> None:
    """A world's facts are spread evenly over domains and labels, and repeat for a seed."""
    world = World("numbers", 140, 2)
    facts = [fact for page in world.pages() for fact in page]
    assert len(facts) == len({fact.id for fact in facts}) == 140
    counts = [sum(f.domain == d for f in facts) for d in ("domain-0000", "domain-0001")]
    assert counts == [70, 70]
    assert [fact for page in World("numbers", 140, 2).pages() for fact in page] == facts


def test_the_summary_names_the_figures_that_were_measured() -> None:
    """The summary has the named figures of the homes that were measured, and the slopes."""
    found = {
        World("image", 10_000, 30): {"label_to_decision_ms": 4.0, "open_s": 0.1},
        World("image", 100_000, 30): {"label_to_decision_ms": 4.0, "open_s": 1.0},
    }
    summary = scale._summary(found)  # noqa: SLF001  the run itself takes an hour
    assert summary["label_to_decision_ms_10k_image"] == 4.0
    assert summary["open_s_100k"] == 1.0
    assert summary["slope_image_open_s"] == pytest.approx(1.0)
    assert summary["slope_image_label_to_decision_ms"] == pytest.approx(0.0)
    assert "rss_mib_1000_domains" not in summary


def test_a_quick_run_is_small() -> None:
    """A quick run has no home of more than 10,000 facts or 30 domains; no home has more domains
    than facts."""
    assert all(
        one.facts <= 10_000 and one.domains <= 30
        for one in scale._worlds(quick=True)  # noqa: SLF001  as above
    )
    assert all(one.domains < one.facts for one in scale._worlds(quick=False))  # noqa: SLF001
