from __future__ import annotations

import numpy as np

from edge.core.adaptors.weighing import WEIGHTS, choose_weight, has_choice


def rows(seed: int, count: int, flipped: bool = False):
    """Rows with a label in their first column; flipped: its sign means the opposite."""
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((count, 20)).astype(np.float32)
    signs = np.sign(inputs[:, :1] + 0.3 * inputs[:, 1:2])
    return inputs, (-signs if flipped else signs) * np.array([[0.5, -0.5]], np.float32)


def test_domains_that_agree_weigh_more_than_domains_that_contradict():
    """The same facts of another domain help where labels mean the same, and hinder else."""
    own = rows(1, 12)
    chosen = []
    for flipped in (False, True):
        other = rows(2, 200, flipped)
        both = [np.concatenate(pair).astype(np.float32) for pair in zip(own, other, strict=True)]
        chosen.append(choose_weight(both[0], both[1], 12, 1.0))
    assert chosen[0] > chosen[1] == min(WEIGHTS)


def test_a_choice_needs_three_facts_of_each_label():
    """With fewer, leaving one out says nothing about its label."""
    assert has_choice(("a",) * 3 + ("b",) * 3)
    assert not has_choice(("a",) * 30 + ("b",) * 2)
