"""Charts and sentences of the console: places, shades, and words."""

from __future__ import annotations

import pytest

from edge.pages import percent
from edge.web import phrases
from edge.web.charts import (
    BARS_MAX,
    CHART_WIDTH,
    HEAT_LEVELS,
    TILE_HEIGHT,
    distribution,
    heat_level,
    ranged,
    tile_bars,
)


def test_a_distribution_holds_both_marks():
    """Bars, threshold and score lie on one axis, in their order."""
    found = distribution([0.0, 1.0, 2.0], [3, 6], score=2.5, threshold=1.8)
    assert found is not None
    assert [bar.height for bar in found.bars] == [60.0, 120.0]
    assert found.threshold is not None
    assert found.bars[-1].x < found.threshold < CHART_WIDTH
    assert found.score == CHART_WIDTH
    assert not found.beyond


def test_a_score_far_away_does_not_flatten_the_distribution():
    """The axis ends at twice the range, and the score is drawn there."""
    found = distribution([0.0, 1.0], [5], score=1_000.0)
    assert found is not None
    assert found.beyond
    assert found.score == CHART_WIDTH
    assert found.bars[0].width > CHART_WIDTH / 3


@pytest.mark.parametrize(("edges", "counts"), [([], []), ([0.0, 1.0], [0]), ([0.0], [1])])
def test_no_scores_give_no_chart(edges, counts):
    """A domain without held-out scores has no chart."""
    assert distribution(edges, counts) is None


def test_one_score_alone_gives_a_chart():
    """A distribution without a range is drawn."""
    found = distribution([2.0, 2.0], [4], score=2.0, threshold=2.0)
    assert found is not None


def test_a_value_lies_where_its_range_is():
    """A value outside is marked as such, and everything is inside the drawing."""
    inside, outside = ranged(5, 0, 10, 5), ranged(40, 0, 10, 5)
    assert (inside.outside, outside.outside) == (False, True)
    assert inside.low < inside.value < inside.high
    assert outside.high < outside.value < 100
    assert ranged(3, 3, 3, 3).value == 50.0


def test_bars_stay_in_their_tile():
    """Values beyond the range end at its edges, and at most so many are drawn."""
    names = [f"c{at}" for at in range(40)]
    found = tile_bars(names, {"a": [9e9] * 40, "b": [-9e9] * 40}, [0.0] * 40, [1.0] * 40)
    assert len(found["a"]) == BARS_MAX
    assert {bar.height for bar in found["a"]} == {TILE_HEIGHT}
    assert {bar.height for bar in found["b"]} == {2.0}
    assert tile_bars([], {"a": []}, [], []) == {"a": ()}


def test_shades_rise_with_the_counts():
    """No examples have no shade, the most have the darkest."""
    shades = [heat_level(count, 1_000) for count in (0, 1, 30, 1_000)]
    assert shades[0] == 0
    assert shades == sorted(shades)
    assert shades[-1] == HEAT_LEVELS
    assert heat_level(0, 0) == 0


@pytest.mark.parametrize(
    ("p_value", "text"),
    [
        (1.0, "every known observation is at least as unusual as this one"),
        (0.31, "about 31 of 100 known observations are at least as unusual"),
        (0.01, "about 1 of 100 known observations is at least as unusual"),
        (0.003, "about 3 of 1\u202f000 known observations are at least as unusual"),
        (0.0001, "fewer than 1 of 1\u202f000 known observations is as unusual"),
    ],
)
def test_a_p_value_is_a_sentence(p_value, text):
    """The sentence counts known observations."""
    assert phrases.unusual(p_value) == text


def test_a_verdict_says_when_nothing_can_be_said():
    """Without enough examples there is no verdict."""
    assert phrases.verdict({"known": None, "p_value": 1.0}).startswith("Undecided: too few")
    doubt = {"known": None, "p_value": 0.2, "reason": "it may be of an unknown class"}
    assert phrases.verdict(doubt) == "Undecided: it may be of an unknown class."
    assert phrases.verdict({"known": False, "p_value": 0.0}).startswith("New: fewer")


def test_agreement_counts_what_changed():
    """A label that reached nothing is not named, and what is not sure is said."""
    given = [("worn", 12, 12), ("ok", 0, 0), ("x", 1, 1), ("y", 9, 2), ("z", 3, 0)]
    found = phrases.agreement(
        {"label": label, "waiting": waiting, "known": known} for label, waiting, known in given
    )
    assert found == (
        "12 waiting observations are now classified as worn.",
        "1 waiting observation is now classified as x.",
        "9 waiting observations are now classified as y, 2 of them with certainty.",
        "3 waiting observations are probably z; too few labels to be certain.",
    )


def test_the_share_of_right_answers_needs_answers():
    """Without checked answers no share is named."""
    assert phrases.answers_right([]).startswith("Accuracy of past answers: unknown")
    text = phrases.answers_right([{"count": 60, "right": 57}, {"count": 40, "right": 34}])
    assert text == "91\u202f% of 100 past answers agree with their later labels."


def test_growth_names_both_accuracies():
    """An adaptor without a measured gain says nothing."""
    assert phrases.growth({"accuracy": None, "incumbent": None}) == ""
    text = phrases.growth({"accuracy": 0.9, "incumbent": 0.85})
    assert text == "90\u202f% accurate, 85\u202f% without it (+5.0 points)"


def test_calibration_says_what_is_missing():
    """The sentence depends on how the rate was set."""
    usual = {
        "shortfall": "",
        "samples": 420,
        "exchangeable": True,
        "blocks": 0,
        "effective_samples": 420,
    }
    assert "exchangeable" in phrases.calibration(usual)
    timed = phrases.calibration(usual | {"exchangeable": False, "blocks": 3, "absorbed": 1.84})
    assert "3 blocks of time" in timed
    assert "up to 1.8 deviations in all" in timed
    assert "not guaranteed: label 9 more" in phrases.calibration(
        usual | {"shortfall": "label 9 more"}
    )
    assert "too few" in phrases.calibration(None)


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [(1.0, 0, "100"), (0.9, 0, "90"), (0.5, 1, "50"), (0.123, 1, "12.3"), (0.0, 0, "0")],
)
def test_a_share_keeps_its_zeros(share, digits, text):
    """Only zeros after the point are left out."""
    assert percent(share, digits) == f"{text}\u202f%"


def test_a_revised_answer_is_told():
    """A draft that the nearest examples revise or confirm has a sentence, a sure one has none."""
    assert phrases.revised("", "cat") == ""
    assert phrases.revised("cat", "cat").endswith("confirm cat.")
    assert "said cat; the nearest labelled examples say dog" in phrases.revised("cat", "dog")
