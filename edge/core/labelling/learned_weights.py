"""The weights of the learned labelling rule; written by `scripts/train_labelling_rule.py`.

Seed 18, 60 steps.  Loss over that of random sampling, by class of problems, on problems of
the development sets that the policy was not trained on:

    drawn, easy            0.51
    drawn, hard            0.65
    drawn, medium          0.54
    real, hard             0.47
    real, easy             0.33
    real, medium           0.43
    supported, easy        0.45
    supported, medium      0.43
    supported, hard        0.69
"""

from typing import Final

WEIGHTS: Final = (
    (0.169, 0.538, 0.498, -0.218, 1.000, 0.132, 0.959, 0.667, 0.263, -0.356, 0.869),  # always
    (-0.084, 0.515, -0.075, 0.042, 0.067, 0.193, -0.090, -0.119, -0.140, 0.173, 0.023),  # phase
    (0.126, 0.129, -0.011, -0.354, 0.257, 0.607, 0.179, -0.080, 0.126, -0.318, 0.311),  # confidence
)
"""A row for each of `learned.CONTEXTS`, a column for each of `learned.FEATURES`."""
