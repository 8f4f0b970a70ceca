"""The charts of growth, drawn from made-up episodes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.cli.views.demo import LOOKS
from edge.plots.drawing import open_figure
from edge.sim.recording import (
    DecisionStep,
    GrowthAttemptRecord,
    GrowthEpisode,
    RoutingRecord,
    RunRecording,
    TimelineMark,
)
from edge.sim.report.charts import draw_marks
from edge.sim.report.growth_charts import caption, draw_growth, draw_routing, draw_search, scored
from edge.sim.report.page import render_page

STEPS = tuple(
    DecisionStep(
        index=at,
        stream="s",
        truth_domain="a",
        truth_label="x",
        known=True,
        domain="a",
        label="x",
        guess="x",
        score=1.0,
        p_value=0.5,
        window_p=0.5,
        alarm=30 < at < 50,
    )
    for at in range(100)
)
GROWN = GrowthEpisode(
    job_id="j1",
    domain="domain-2",
    version=1,
    facts=20,
    asked_at=40,
    ended_at=52,
    until=None,
    state="serving",
    reason="it does better",
    blueprint="linear taps 0",
    accuracy=0.91,
    incumbent=0.85,
    search=("12 fit",),
    trials=(
        GrowthAttemptRecord("linear taps 0", 0.7, 0.91),
        GrowthAttemptRecord("random taps 0", 0.2, 0.8),
    ),
    seconds=2.5,
)
REFUSED = replace(
    GROWN, state="refused", reason="no better", blueprint="", asked_at=70, ended_at=80
)
ROUTING = RoutingRecord(("a", "b"), ("a", "domain-2"), (0, 1), ((9, 1), (0, 4)), ((3, 0), (0, 1)))
RECORDING = RunRecording(
    title="growth",
    seed=1,
    steps=STEPS,
    marks=(
        TimelineMark(0, "domain", "a"),
        TimelineMark(31, "alarm", "s opens domain-2"),
        TimelineMark(35, "labels", "s-1 is x"),
    ),
    domains=("a", "b"),
    episodes=(GROWN, REFUSED),
    routing=ROUTING,
)


def test_the_course_names_domains_and_gains() -> None:
    """Each domain has its row, and each growth shows its gain."""
    drawn = draw_growth(RECORDING, "g")
    assert drawn.count("domain-2") == 1
    assert "85.0 → 91.0 %" in drawn
    assert "refused" in drawn


def test_an_alarm_has_the_sign_of_the_terminal() -> None:
    """A triangle that points up, in the report as in `auricle demo`."""
    with open_figure((4, 2), 1) as (_, (axes,)):
        draw_marks(axes, RECORDING.marks)
        (alarm,) = (line for line in axes.lines if line.get_label() == "alarm")
    assert alarm.get_marker() == "^"
    assert LOOKS["alarm"][0] == "▲"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "85.0 → 91.0 %"),
        ({"state": "refused"}, "85.0 → 91.0 %, refused"),
        ({"state": "abandoned", "accuracy": None}, "abandoned"),
    ],
)
def test_a_caption_states_the_outcome_of_a_growth(changes, text: str) -> None:
    """A caption has the available numbers, and the reason if the adaptor does not serve."""
    assert caption(replace(GROWN, **changes)) == text


def test_the_search_shows_every_blueprint_that_was_scored() -> None:
    """The accepted blueprint is highlighted, those trained for comparison have another mark, and
    those without a score are left out."""
    drawn = draw_search(GROWN, "p")
    assert "first choices" in drawn
    assert "accepted" in drawn
    assert "for comparison" not in drawn
    more = (
        *GROWN.trials,
        GrowthAttemptRecord("none", None, None),
        GrowthAttemptRecord("linear taps 0", 0.1, 0.6, extra=True),
    )
    assert "for comparison" in draw_search(replace(GROWN, trials=more), "p")
    assert len(scored(replace(GROWN, trials=more))) == 3


@pytest.mark.parametrize(("windows", "share"), [(False, "90.0"), (True, "100.0")])
def test_routing_is_drawn_in_percent(windows: bool, share: str) -> None:
    """Each row adds up to a hundred, one by one and by windows."""
    drawn = draw_routing(ROUTING, "r", windows=windows)
    assert share in drawn
    assert "domain-2" in drawn


def test_a_page_shows_growth_only_where_there_was_some() -> None:
    """A run without growth and with one domain has no such section."""
    page = render_page((RECORDING,), "t", {})
    assert "<h2>Adaptors</h2>" in page
    assert page.count("<svg") == 2 + 2 + 2
    assert "20 facts" in page
    plain = replace(RECORDING, episodes=(), routing=RoutingRecord())
    assert "<h2>Adaptors</h2>" not in render_page((plain,), "t", {})


def test_ids_and_names_of_growth_are_escaped() -> None:
    """Nothing a device says becomes markup."""
    nasty = replace(GROWN, domain="<b>x</b>", reason="<script>", blueprint="")
    page = render_page((replace(RECORDING, episodes=(nasty,)),), "t", {})
    assert "<script" not in page
    assert "<b>x" not in page
