"""The product's way: the same blueprint is trained again without the forgotten facts, and compared
bit for bit with a twin that never saw them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

import nas
from edge.core import FactBatch, untimed_batch
from edge.core.adaptors import Adaptor, AdaptorRecord, fit_adaptor
from edge.growth import train_adaptor
from edge.sim.unlearning import UnlearningSet, area_under_curve, make_requests

from ..continual.data import ContinualSamples

SEED: Final = 1
"""Of the training."""
SHADOWS: Final = 4
"""Shadow adaptors, each of a random half: both sides of the difference use the same."""
SHARPNESS: Final = 8.0
"""From regression scores to logits, as in the harness."""
SPREAD_MIN: Final = 0.5
"""Added to the spread of the shadows' scores, as in the harness."""
DOMAIN: Final = "home"
"""All facts belong to one domain."""

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactOutcome:
    """Ours on a request.  gap: to the twin, in points, as for the methods; lira_difference: LiRA on
    forgotten against held-out facts, minus the twin's; bits: that differ between the two adaptors'
    arrays and answers; seconds, retrained: CPU of ours and of the twin."""

    request: str
    kind: str
    gap: float
    lira_difference: float
    bits: int
    seconds: float
    retrained: float


@dataclass(frozen=True, slots=True, eq=False)
class DerivedAdaptor:
    """A trained record with its head."""

    record: AdaptorRecord
    adaptor: Adaptor

    def scores(self, samples: ContinualSamples, at: Rows) -> NDArray[np.float32]:
        """Return scores with a column for each class; missing classes score lowest."""
        known = self.adaptor.answer(samples.features[at])
        found = np.full((len(at), samples.classes), known.min() - 1, np.float32)
        found[:, [int(label) for label in self.adaptor.labels]] = known
        return found


def measure_exact(
    data: UnlearningSet, samples: ContinualSamples, at: Rows
) -> Iterator[ExactOutcome]:
    """Forget each request of a set from an adaptor of each blueprint."""
    learned, tests = at[: len(data.rows)], at[len(data.rows) :]
    requests = tuple(make_requests(data, _distances(data)))
    for blueprint in blueprints_of(len(samples.spans)):
        attack = _Attack(samples, learned, tests, blueprint)
        for request in requests:
            left = np.delete(learned, request.forget)
            begun = time.process_time()
            # As the product does: what remains of the batch that the adaptor was trained on.
            ours = _derive(_without(samples, learned, request.forget), samples, blueprint)
            middle = time.process_time()
            twin = derive_adaptor(samples, left[::-1], blueprint)
            ended = time.process_time()
            places = (left, learned[request.forget], tests)
            own = attack.figures(ours, request.forget, places)
            others = attack.figures(twin, request.forget, places)
            yield ExactOutcome(
                request=request.name,
                kind=blueprint.kind,
                gap=100 * float(np.abs(own[:4] - others[:4]).mean()),
                lira_difference=float(own[4] - others[4]),
                bits=count_different_bits(ours, twin, samples.features[at]),
                seconds=middle - begun,
                retrained=ended - middle,
            )


def blueprints_of(taps: int) -> tuple[nas.Blueprint, ...]:
    """Return a trained kind, the network of the published methods, and a solved one."""
    every = tuple(range(taps))
    return (
        nas.Blueprint(kind="bottleneck", taps=every, width=128, rank=64, activation="relu"),
        nas.Blueprint(kind="kernel", taps=every, width=1_536),
    )


class _Attack:
    """Membership inference with shadow adaptors of random halves."""

    def __init__(
        self, samples: ContinualSamples, learned: Rows, tests: Rows, blueprint: nas.Blueprint
    ) -> None:
        self._samples = samples
        everything = np.concatenate([learned, tests])
        random = np.random.default_rng(SEED)
        known = np.full((SHADOWS, len(everything)), np.nan)
        for row in known:
            inside = np.zeros(len(everything), bool)
            inside[random.permutation(len(learned))[: len(learned) // 2]] = True
            shadow = derive_adaptor(samples, everything[inside], blueprint)
            row[~inside] = self._confidence(shadow, everything)[~inside]
        unseen = np.isnan(known).all(axis=0)
        known[:, unseen] = np.nanmean(known)
        self._mean, self._spread = np.nanmean(known, axis=0), np.nanstd(known, axis=0) + SPREAD_MIN
        self._count = len(learned)

    def figures(
        self, derived: DerivedAdaptor, forgotten: NDArray[np.int64], places: tuple[Rows, Rows, Rows]
    ) -> Floats:
        """Return retain, forget and test accuracy, the confidence attack, and LiRA."""
        labels = self._samples.label
        right = [
            float((derived.scores(self._samples, at).argmax(1) == labels[at]).mean())
            for at in places
        ]
        inside, outside = (self._confidence(derived, at) for at in places[1:])
        attacked = (inside - self._mean[forgotten]) / self._spread[forgotten]
        others = (outside - self._mean[self._count :]) / self._spread[self._count :]
        areas = area_under_curve(inside, outside), area_under_curve(attacked, others)
        return np.array([*right, *areas])

    def _confidence(self, derived: DerivedAdaptor, at: Rows) -> Floats:
        """Return the logit of the probability of each row's label."""
        scores = SHARPNESS * derived.scores(self._samples, at).astype(np.float64)
        rows, own = np.arange(len(at)), self._samples.label[at]
        wanted = scores[rows, own].copy()
        scores[rows, own] = -np.inf
        return np.asarray(wanted - np.logaddexp.reduce(scores, axis=1))


def derive_adaptor(samples: ContinualSamples, at: Rows, blueprint: nas.Blueprint) -> DerivedAdaptor:
    """Train a blueprint on rows, and solve its head."""
    return _derive(_batch(samples, at), samples, blueprint)


def _derive(
    batch: FactBatch, samples: ContinualSamples, blueprint: nas.Blueprint
) -> DerivedAdaptor:
    """Train a blueprint on facts, and solve its head."""
    nothing = _batch(samples, np.zeros(0, np.intp))
    arrays = train_adaptor(blueprint, batch, nothing, samples.spans, SEED)
    record = AdaptorRecord(
        domain=DOMAIN,
        version=1,
        blueprint=blueprint,
        arrays=arrays,
        facts=batch.ids,
        own=len(batch),
        seed=SEED,
        accuracy=0.0,
        incumbent=0.0,
    )
    return DerivedAdaptor(record, fit_adaptor(batch, nothing, record, samples.spans))


def _batch(samples: ContinualSamples, at: Rows) -> FactBatch:
    """Return rows as facts, sorted by id, in whatever order they come."""
    ordered = np.sort(at)
    return untimed_batch(
        tuple(f"{row:07}" for row in ordered),
        (DOMAIN,) * len(ordered),
        tuple(str(label) for label in samples.label[ordered]),
        samples.features[ordered],
    )


def _without(samples: ContinualSamples, learned: Rows, forgotten: NDArray[np.int64]) -> FactBatch:
    """Return what remains of the facts that an adaptor was trained on."""
    whole = _batch(samples, learned)
    gone = {f"{row:07}" for row in learned[forgotten]}
    left = [row for row, one in enumerate(whole.ids) if one not in gone]
    return untimed_batch(
        tuple(whole.ids[row] for row in left),
        tuple(whole.domains[row] for row in left),
        tuple(whole.labels[row] for row in left),
        whole.features[left],
    )


def _distances(data: UnlearningSet) -> Floats:
    """Return the distance of each row to the centre of its label: the worst case takes the
    farthest."""
    rows, targets = data.rows.numpy(), data.targets.numpy()
    centres = np.stack([rows[targets == one].mean(axis=0) for one in np.unique(targets)])
    numbers = np.searchsorted(np.unique(targets), targets)
    return np.asarray(np.linalg.norm(rows - centres[numbers], axis=1), np.float64)


def count_different_bits(
    one: DerivedAdaptor, other: DerivedAdaptor, features: NDArray[np.uint8]
) -> int:
    """Count the bits that differ between the arrays of two adaptors, and between their answers."""
    pairs = [(one.record.arrays[name], other.record.arrays[name]) for name in one.record.arrays]
    pairs.append((one.adaptor.answer(features), other.adaptor.answer(features)))
    return sum(
        int(
            np.unpackbits(
                np.ascontiguousarray(a).view(np.uint8) ^ np.ascontiguousarray(b).view(np.uint8)
            ).sum()
        )
        for a, b in pairs
    )
