"""What a comparison of policies says: one line for each policy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from .trial import PolicyOutcome

SOURCE: Final = "source"
"""The policy from which gains count."""
PLAIN: Final = ("source", "mean", "auto")
"""Policies that no paper published: nothing, plain alignment and the product's own."""
LOSS: Final = 0.5
"""Points that a stream may lose before it counts as lost."""

StreamKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLine:
    """A policy over streams.  accuracies, spreads: percent by protocol, mean over its streams and
    seeds, and standard deviation over the seeds of the mean over its streams (None for one seed);
    gain, worst, worst_stream, lost: mean and smallest gain of a stream over the source, in points
    and as the mean over seeds, and how many streams lose more than half a point; gain_spread: as
    spreads; us: median CPU
    microseconds a sample; nbytes: the largest state."""

    policy: str
    accuracies: Mapping[str, float]
    spreads: Mapping[str, float | None]
    gains: Mapping[StreamKey, float]
    gain: float
    gain_spread: float | None
    worst: float
    worst_stream: str
    lost: int
    us: float
    nbytes: int


def summarise_policies(outcomes: Iterable[PolicyOutcome]) -> tuple[PolicyLine, ...]:
    """Return a line for each policy, in the order of the table."""
    everything = tuple(outcomes)
    before = {(_key(one), one.seed): one.accuracy for one in everything if one.policy == SOURCE}
    lines = []
    for policy in dict.fromkeys(one.policy for one in everything):
        own = [one for one in everything if one.policy == policy]
        gains: dict[StreamKey, list[float]] = {}
        by_seed: dict[int, list[float]] = {}
        for one in own:
            gain = one.accuracy - before[_key(one), one.seed]
            gains.setdefault(_key(one), []).append(gain)
            by_seed.setdefault(one.seed, []).append(gain)
        means = {key: float(np.mean(found)) for key, found in gains.items()}
        worst = min(means, key=lambda key, means=means: means[key])  # type: ignore[misc]
        protocols = tuple(dict.fromkeys(one.protocol for one in own))
        lines.append(
            PolicyLine(
                policy=policy,
                accuracies={name: _accuracy(own, name) for name in protocols},
                spreads={name: _spread(own, name) for name in protocols},
                gains=means,
                gain=float(np.mean(list(means.values()))),
                gain_spread=_deviation(by_seed),
                worst=means[worst],
                worst_stream=f"{worst[1]}, {worst[2]}",
                lost=sum(gain < -LOSS for gain in means.values()),
                us=float(np.median([one.us for one in own])),
                nbytes=max(one.nbytes for one in own),
            )
        )
    return tuple(lines)


def best_published(lines: Iterable[PolicyLine]) -> PolicyLine | None:
    """Return the published policy with the largest mean gain."""
    published = [line for line in lines if line.policy not in PLAIN]
    return max(published, key=lambda line: line.gain, default=None)


def gain_where(line: PolicyLine, protocols: tuple[str, ...]) -> float | None:
    """Return the mean gain over the streams whose protocol begins with one of some texts, None
    without any."""
    found = [gain for (_, _, name), gain in line.gains.items() if name.startswith(protocols)]
    return float(np.mean(found)) if found else None


def _key(one: PolicyOutcome) -> StreamKey:
    return one.world, one.stream, one.protocol


def _accuracy(own: Sequence[PolicyOutcome], protocol: str) -> float:
    return float(np.mean([one.accuracy for one in own if one.protocol == protocol]))


def _spread(own: Sequence[PolicyOutcome], protocol: str) -> float | None:
    by_seed: dict[int, list[float]] = {}
    for one in own:
        if one.protocol == protocol:
            by_seed.setdefault(one.seed, []).append(one.accuracy)
    return _deviation(by_seed)


def _deviation(by_seed: Mapping[int, Sequence[float]]) -> float | None:
    """Return the standard deviation over seeds of a mean, None for one seed."""
    if len(by_seed) < 2:
        return None
    return float(np.std([np.mean(found) for found in by_seed.values()], ddof=1))
