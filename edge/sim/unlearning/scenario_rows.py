"""Sets for the comparison of methods from a scenario: its labelled samples, or its link loads."""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from ...backbone import DAY_STEPS, simulate_links
from ...core import ConfigError
from ..replay import encode_cached
from ..scenarios import LinkScenario, Scenario
from ..sweep import make_card
from ..world import EnrolSamples, ObserveSample, WorldSample, build_world
from .forget_sets import UnlearningSet, standardise_columns

FACTS_MAX: Final = 1_200
"""Most rows to learn, and most held-out rows: bounds the time of a trial."""
FACTS_MIN: Final = 100
"""Fewest rows to learn: below, one per cent is no row."""
LAGS: Final = 48
"""Newest values that a forecast reads: a day of half hours, four hours of five minutes."""
AHEAD: Final = 12
"""Steps ahead of a forecast: six hours of half hours, one hour of five minutes."""
STRETCH: Final = 5_000
"""Most windows of a series to learn.  Bounds the time of a trial."""


def read_scenario(scenario: Scenario | LinkScenario) -> Callable[[int], UnlearningSet]:
    """Return a function from a seed to the set of a scenario.

    Samples: all that a run of the scenario enrols or shows, with their true labels, up to 1,200;
    held out are those of its accuracy matrix.  Link loads: the busiest link.  Raises ConfigError
    where too little is left.
    """
    if isinstance(scenario, LinkScenario):
        return lambda seed: _read_links(scenario, seed)
    return lambda seed: _read_samples(scenario, seed)


def cut_series(name: str, values: NDArray[np.float64]) -> UnlearningSet:
    """Return windows of a series [steps] with the value twelve steps later, the last third held
    out; standardised by the rest."""
    needed = FACTS_MIN + LAGS + AHEAD
    if len(values) < needed:
        raise ConfigError(
            f"cutting the series {name}: expected {needed} values, found {len(values)}",
            "choose a longer series",
        )
    windows = np.lib.stride_tricks.sliding_window_view(values, LAGS)[: len(values) - LAGS - AHEAD]
    targets = values[LAGS + AHEAD - 1 :][: len(windows)]
    learned = min(STRETCH, 2 * len(windows) // 3)
    mean, spread = targets[:learned].mean(), targets[:learned].std() + 1e-9
    rows = torch.from_numpy(((windows - mean) / spread).astype(np.float32))
    wanted = torch.from_numpy(((targets - mean) / spread).astype(np.float32))
    # Held-out windows share no value with learned ones.
    test = slice(learned + LAGS + AHEAD, learned + LAGS + AHEAD + STRETCH // 2)
    return UnlearningSet(
        name=name,
        answers="values",
        rows=rows[:learned],
        targets=wanted[:learned],
        groups=np.zeros(learned, np.int64),
        test_rows=rows[test],
        test_targets=wanted[test],
        test_groups=np.zeros(len(wanted[test]), np.int64),
    )


def _read_links(scenario: LinkScenario, seed: int) -> UnlearningSet:
    spec = scenario.links
    world = simulate_links(spec.topology, seed=seed, days=spec.days, quiet_days=spec.quiet_days)
    busiest = int(world.loads[: spec.quiet_days * DAY_STEPS].mean(axis=0).argmax())
    return cut_series(scenario.title, world.loads[:, busiest])


def _read_samples(scenario: Scenario, seed: int) -> UnlearningSet:
    world = build_world(scenario, seed)
    known: list[WorldSample] = []
    for action in world.actions:
        if isinstance(action, EnrolSamples):
            known += action.samples
        elif isinstance(action, ObserveSample):
            known.append(action.sample)
    if len(known) < FACTS_MIN:
        raise ConfigError(
            f"comparing methods of unlearning on {scenario.title!r}: expected {FACTS_MIN} samples"
            f" to learn, found {len(known)}",
            "enrol or show more samples",
        )
    random = np.random.default_rng([seed, 6])
    held_out = [sample for samples in world.tests.values() for sample in samples]
    known, tests = _some(known, random), _some(held_out, random)
    payloads = [sample.read() for sample in [*known, *tests]]
    features = encode_cached(make_card(scenario), payloads)
    labels, numbers = np.unique([one.label for one in [*known, *tests]], return_inverse=True)
    del labels
    groups = np.unique([one.domain for one in [*known, *tests]], return_inverse=True)[1]
    count = len(known)
    rows = standardise_columns(features, slice(count))
    targets = torch.from_numpy(numbers.astype(np.int64))
    return UnlearningSet(
        name=scenario.title,
        answers="labels",
        rows=rows[:count],
        targets=targets[:count],
        groups=groups[:count].astype(np.int64),
        test_rows=rows[count:],
        test_targets=targets[count:],
        test_groups=groups[count:].astype(np.int64),
    )


def _some(samples: list[WorldSample], random: np.random.Generator) -> list[WorldSample]:
    at = np.sort(random.permutation(len(samples))[:FACTS_MAX])
    return [samples[one] for one in at]
