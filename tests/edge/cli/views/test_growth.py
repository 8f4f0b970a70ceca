from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from edge.cli.views import growth as growth_views
from edge.home.growth import AdaptorSummary, GrowthOutcome, GrowthTrial


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """The output so far."""
    return lambda: capsys.readouterr().out


def outcome(state: str, **given: object) -> GrowthOutcome:
    """An outcome of a domain whose name holds a control character."""
    report = {"accuracy": 0.9, "incumbent": 0.85, "reason": "a reason", "seconds": 2.0} | given
    domain = "ha\x1bll"
    return GrowthOutcome(domain=domain, state=state, version=3, **report)  # type: ignore[arg-type]


def test_a_serving_adaptor_is_shown_with_its_gain(printed):
    """A new version is named with both accuracies, the search before it; nothing steers the
    terminal."""
    trial = GrowthTrial("linear: taps 0", math.nan, 0.5)
    growth_views.show_outcome(outcome("serving", search=("stage one",), candidates=(trial,)))
    text = printed()
    assert "# stage one" in text
    assert "linear: taps 0\t-\t50.0 %" in text
    assert "version 3 serves, accuracy 90.0 %, previous 85.0 % on held-out facts, 2.0 s" in text
    assert "\x1b" not in text
    assert "beyond chance" not in text


def test_a_serving_adaptor_that_is_not_the_highest_is_explained(printed):
    """Whoever reads the table sees why a candidate with a higher accuracy does not serve."""
    trials = (GrowthTrial("linear: taps 0", 0.7, 0.9), GrowthTrial("linear: taps 1", 0.5, 0.93))
    growth_views.show_outcome(outcome("serving", candidates=trials))
    assert "a candidate with a higher accuracy is not better beyond chance" in printed()


def test_a_refused_growth_is_shown_with_its_reason(printed):
    """A refusal says why."""
    growth_views.show_outcome(outcome("refused"))
    assert "no change, 2.0 s: a reason" in printed()


def test_an_unknown_value_is_a_dash(printed):
    """A head without adaptor has no version and no accuracy of its own."""
    row = AdaptorSummary(
        domain="hall",
        version=0,
        kind="none",
        blueprint="head alone",
        nbytes=0,
        operations=0,
        facts=5,
        accuracy=None,
        incumbent=math.nan,
        digest="",
        serves=True,
    )
    growth_views.show_adaptors([row])
    assert printed().splitlines()[1].split("\t") == [
        "hall",
        "-",
        "yes",
        "none",
        "head alone",
        "-",
        "-",
        "5",
        "-",
        "-",
    ]


def test_waiting_shows_nothing_outside_a_terminal(capsys):
    """If standard error is not a terminal, waiting prints nothing."""
    with growth_views.show_progress() as beat:
        beat("hall")
    assert capsys.readouterr().err == ""
