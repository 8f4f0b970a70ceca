import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas import enumerate_space
from nas.smoothing import smooth

SPACE = list(enumerate_space(3))[::9]


def test_a_lucky_score_is_not_believed():
    """One blueprint far above its neighbours falls behind a group that is good together."""
    scores = np.array([0.7 if one.kind == "lowrank" else 0.3 for one in SPACE])
    lucky = next(place for place, one in enumerate(SPACE) if one.kind == "fusion")
    scores[lucky] = 1.0
    expected, _ = smooth(SPACE, 3, scores)
    assert SPACE[int(expected.argmax())].kind == "lowrank"


@given(st.floats(-5, 5), st.floats(0.01, 10))
def test_smoothing_moves_and_scales_with_the_scores(shift, scale):
    """Expected scores and deviations have the unit of the scores."""
    scores = np.random.default_rng(1).random(len(SPACE))
    (plain, sure), (moved, moved_sure) = (
        smooth(SPACE, 3, one) for one in (scores, shift + scale * scores)
    )
    assert moved == pytest.approx(shift + scale * plain, abs=1e-6)
    assert moved_sure == pytest.approx(scale * sure, rel=1e-6)


def test_equal_scores_stay_equal():
    """Scores without differences are certain, also of a single blueprint."""
    for some in (SPACE, SPACE[:1]):
        expected, sure = smooth(some, 3, np.full(len(some), 0.4))
        assert expected == pytest.approx(0.4)
        assert sure == pytest.approx(0.0)
