import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas import TaskScores, design_blueprint, enumerate_space, score_bidirectional, without_facts
from nas.bidirectional import LinearisedProxy, improve

SPACE = list(enumerate_space(3))[::3]
RANKS = np.linspace(0, 1, len(SPACE))


def history(good: str = "kernel", count: int = 60) -> list[TaskScores]:
    """Two tasks on which one kind is better than the others."""
    return [
        TaskScores(
            blueprints=tuple(SPACE[start:count:2]),
            taps=3,
            proxies=tuple([0.5] * len(SPACE[start:count:2])),
            accuracies=tuple(0.9 if one.kind == good else 0.6 for one in SPACE[start:count:2]),
            facts=(f"{start}",),
        )
        for start in (0, 1)
    ]


@settings(max_examples=20)
@given(st.integers(0, 1_000))
def test_gradients_are_those_of_the_losses(seed):
    """Both gradients agree with differences of the losses."""
    random = np.random.default_rng(seed)
    designs = 0.5 * random.standard_normal((20, 4))
    proxy = LinearisedProxy(designs, designs[:, 0] + 0.1 * random.standard_normal(20))
    one, step = 0.5 * random.standard_normal(4), 1e-5
    for axis in range(4):
        shift = step * np.eye(4)[axis]
        above, below = proxy.losses((one + shift)[None]), proxy.losses((one - shift)[None])
        for number, gradient in enumerate(proxy.gradients(one)):
            slope = (above[number] - below[number])[0] / (2 * step)
            assert gradient[axis] == pytest.approx(slope, rel=1e-3, abs=1e-3)


def test_the_closed_form_predicts_known_scores():
    """A smooth score is predicted, more surely at a known design than far away."""
    random = np.random.default_rng(0)
    designs = random.random((60, 3))
    scores = designs[:, 0] + designs[:, 0] * designs[:, 1]
    proxy = LinearisedProxy(designs[:50], scores[:50])
    expected, _ = proxy.predict(designs[50:])
    assert np.corrcoef(expected, scores[50:])[0, 1] > 0.98
    _, sure = proxy.predict(np.array([designs[0], 5 + designs[0]]))
    assert sure[0] < sure[1]


def test_steps_raise_the_score_that_they_seek():
    """A design is improved along the axis that the score rises on; the share stays a share."""
    random = np.random.default_rng(2)
    designs = random.random((40, 3))
    proxy = LinearisedProxy(designs, designs[:, 1])
    found, share = improve(proxy, designs[0])
    assert 0 <= share <= 1
    assert found[1] > designs[0][1]


def test_earlier_growths_favour_the_kind_that_they_found_good():
    """The kind that did better on earlier tasks is designed, whatever the zero-shot order."""
    for good in ("kernel", "none"):
        assert design_blueprint(SPACE, 3, np.full(len(SPACE), 0.5), history(good)).kind == good


def test_without_a_history_the_zero_shot_order_stays():
    """Too few known designs leave the order as it is."""
    few = history()[:1]
    few = [TaskScores(blueprints=few[0].blueprints[:2], taps=3, proxies=(0, 1), accuracies=(1, 0))]
    for known in ([], few):
        assert np.array_equal(score_bidirectional(SPACE, 3, RANKS, known), RANKS)
        assert design_blueprint(SPACE, 3, RANKS, known) == SPACE[-1]


def test_a_choice_repeats_and_scores_are_finite():
    """The same history gives the same scores; equal accuracies are no reason to fail."""
    flat = [
        TaskScores(blueprints=tuple(SPACE[:9]), taps=3, proxies=(0.5,) * 9, accuracies=(0.5,) * 9)
    ]
    for known in (history(), flat):
        first, again = (score_bidirectional(SPACE, 3, RANKS, known) for _ in range(2))
        assert np.array_equal(first, again)
        assert np.isfinite(first).all()


def test_scores_go_with_the_facts_that_they_derive_from():
    """Forgetting a fact drops the scores of the growths that held it, and no others."""
    known = history()
    assert without_facts(known, {"1"}) == (known[0],)
    assert without_facts(known, {"other"}) == tuple(known)
