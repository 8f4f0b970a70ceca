from __future__ import annotations

import numpy as np

from edge.core.adaptation import OPENING_BYTES_MAX
from edge.sim.adaptation import LabelledRows, solve_source
from edge.sim.adaptation.default_policy import OPENINGS_MAX, DefaultPolicy

TAPS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 24), (24, 32))
"""Five taps of which the second to the fifth describe style, and one more."""
CLASSES, EACH = 3, 60


def drawn(shift: float, seed: int, each: int = EACH) -> LabelledRows:
    """Rows of three classes; the shift moves the columns of style."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(9).uniform(80, 170, (CLASSES, TAPS[-1][1]))
    targets = random.permutation(np.repeat(np.arange(CLASSES), each))
    values = centres[targets] + random.normal(0, 8, (len(targets), TAPS[-1][1]))
    values[:, 8:24] += shift
    return LabelledRows(np.clip(np.rint(values), 0, 255).astype(np.uint8), targets)


def test_each_style_of_a_stream_has_an_opening_and_is_returned_to() -> None:
    """Two domains that take turns make two openings, not four."""
    policy = DefaultPolicy(solve_source({"home": drawn(0, 1)}, TAPS))
    for seed, shift in enumerate((30, -30, 30, -30)):
        rows = drawn(shift, 10 + seed, 16).features
        for at in range(0, len(rows), 16):
            policy.answer(rows[at : at + 16])
    assert len(policy.openings) == 2


def test_openings_are_bounded() -> None:
    """A stream whose style never returns fills the openings and stays within their bytes."""
    policy = DefaultPolicy(solve_source({"home": drawn(0, 1)}, TAPS))
    for turn in range(OPENINGS_MAX + 4):
        policy.answer(np.clip(drawn(0, turn, 6).features * 0 + 12 * turn, 0, 255).astype(np.uint8))
        assert policy.nbytes <= policy.bytes_max
    assert len(policy.openings) <= OPENINGS_MAX
    assert all(one.adapter.nbytes <= OPENING_BYTES_MAX for one in policy.openings)
