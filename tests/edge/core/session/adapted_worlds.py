"""A small world whose streams move to a domain without labels."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from edge.core.config import Config
from edge.core.events import Decision, FitGeometry
from tests.worlds import World, fact

WIDE = 48
NAMES = ("a", "b", "c")


def seen(classes, shift=0.0, seed=0):
    """Samples of three classes; `shift` is a change of the sensor that mixes them up."""
    random = np.random.default_rng(7)
    means = 120 + random.normal(0, 14, (len(NAMES), WIDE))
    towards = 0.6 * (means[1] - means[0]) + random.normal(0, 10, WIDE)
    noise = np.random.default_rng(seed).normal(0, 12, (len(classes), WIDE))
    return np.clip(means[classes] + shift * towards + noise, 0, 255).astype(np.uint8)


def drawn(count, seed):
    """So many classes at random."""
    return np.random.default_rng(seed).integers(0, len(NAMES), count)


def taught(policy="auto", count=240):
    """A world that knows three classes in one domain."""
    classes = drawn(count, 1)
    facts = [
        replace(fact(f"t{at:04}", NAMES[one]), features=row.tobytes())
        for at, (one, row) in enumerate(zip(classes, seen(classes, seed=1), strict=True))
    ]
    world = World(facts, width=WIDE, config=Config(window=8, adaptation=policy))
    world.feed(FitGeometry())
    return world


def stream(world, classes, shift=1.0, seed=2, start=0, subject=""):
    """The decisions on samples of a moved domain."""
    rows = seen(classes, shift, seed)
    return [
        message
        for at, row in enumerate(rows)
        for message in world.observe(row, start + at, subject=subject)
        if isinstance(message, Decision)
    ]


def right(decisions, classes):
    """Share of right guesses."""
    return np.mean([one.guess == NAMES[of] for one, of in zip(decisions, classes, strict=True)])


def fit_all(world):
    """Fit in the background whatever is due."""
    runtime = world.runtime
    while (refit := runtime.next_refit()) is not None:
        refit.gather(world.ledger)
        if runtime.prepare(refit):
            refit.solve()
        runtime.accept(refit, solved=True)
