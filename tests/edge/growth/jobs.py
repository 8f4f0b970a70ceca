"""Growth jobs on synthetic facts that are not linearly separable."""

from __future__ import annotations

import numpy as np

import nas
from edge.core.facts import Fact, stack_facts
from edge.core.jobs import GrowthJob

SPANS = ((0, 8), (8, 16))
WIDTH = SPANS[-1][1]
BUDGET = nas.AdaptorBudget(1 << 15, 10_000_000, 100.0)
DEVICE = nas.DeviceSpeed(0.01, 0.5, 0.5, 0.5)


def facts(domain: str, seed: int, count: int, curved: bool = True) -> list[Fact]:
    """Facts of two labels: inside and outside a ball, or on two sides of a plane."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, WIDTH))
    depth = np.square(rows[:, :2]).sum(axis=1) - 1.4 if curved else rows[:, :4].sum(axis=1)
    rows[:, :4] += 0 if curved else 2 * np.sign(depth)[:, None]
    levels = np.clip(np.square(11 + 2 * rows), 0, 255).astype(np.uint8)
    return [
        Fact(
            id=f"{domain}{i:04}",
            stream="s",
            domain=domain,
            label="out" if depth[i] > 0 else "in",
            captured_at_ns=i,
            features=level.tobytes(),
        )
        for i, level in enumerate(levels)
    ]


def job(own: list[Fact], budget: nas.AdaptorBudget = BUDGET, curved: bool = True) -> GrowthJob:
    """A job for a domain, with another domain like it."""
    others = stack_facts(facts("away", 7, 200, curved))
    return GrowthJob(
        id="job",
        domain="home",
        version=1,
        seed=1,
        budget=budget,
        spans=SPANS,
        own=stack_facts(own),
        others=others,
    )
