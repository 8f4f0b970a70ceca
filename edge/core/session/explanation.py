"""Explanation of an unlabelled observation, for the person who labels it.

Shows the guess, the nearest known examples, and the features that differ most from them.  All
numbers are functions of knowledge and sample alone.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

import hdc

from ..adaptors import Adaptor, FittedHead, leads
from ..events import AppliedAdaptation
from ..facts import Fact, Ledger, Selector, stack_facts
from ..knowledge import Concept, Knowledge
from ..structs import FrozenStruct
from .assess import answer_known, experts, mix_experts

EXAMPLES_MAX: Final = 3
"""Nearest examples shown: few enough to compare.  Chosen by hand; effect not measured."""

CONCEPTS_MAX: Final = 3
"""Nearest concepts searched for examples.  Chosen by hand; effect not measured."""

CONCEPT_FACTS_MAX: Final = 256
"""Facts compared per concept, spread evenly over its ids.  Bounds the time that an explanation
blocks the runtime: 50 ms on a busy x86 core with 30,000 facts of 512 columns."""

COLUMNS_MAX: Final = 12
"""Columns shown, the most different first: half a terminal of 24 lines."""


class KnownExample(FrozenStruct, frozen=True):
    """A labelled observation near to the explained one.  distance: root mean square over the
    features, in uint8 levels."""

    observation_id: str
    domain: str
    label: str
    captured_at_ns: int
    distance: float


class ComparedColumn(FrozenStruct, frozen=True):
    """A feature of the observation, and the same feature in the nearest concept, in uint8 levels.

    column: from 0.  level: of the observation.  mean, low, high: of the concept's facts.
    """

    column: int
    level: int
    mean: float
    low: int
    high: int


class Guess(FrozenStruct, frozen=True, kw_only=True):
    """The answer to a sample by itself, now: fields as in a `Decision`."""

    known: bool | None
    guess: str
    p_value: float


NO_GUESS: Final = Guess(known=None, guess="", p_value=1.0)
"""The answer without facts."""


class Explanation(FrozenStruct, frozen=True, kw_only=True):
    """The explanation of an observation of `stream`.

    known, guess, p_value, score: as in a `Decision` on this sample alone, now.  reason: why `known`
    is None, else "".  examples: nearest first.  nearest_domain: whose thresholds count.  domain,
    label: the concept of the nearest example, empty without facts.  columns: those that differ most
    from `compared` facts of that concept first.  adaptation: how the guess was adapted to a domain
    without labels, else None.  draft: the answer of an unsure head, which the nearest facts have
    revised or confirmed, else "".  unlabelled: observations without a label that the answering head
    has learned from.
    """

    stream: str = ""
    known: bool | None = None
    guess: str = ""
    p_value: float = 1.0
    score: float = 0.0
    nearest_domain: str = ""
    domain: str = ""
    label: str = ""
    compared: int = 0
    examples: tuple[KnownExample, ...] = ()
    columns: tuple[ComparedColumn, ...] = ()
    adaptation: AppliedAdaptation | None = None
    draft: str = ""
    unlabelled: int = 0
    reason: str = ""


def guess_each(
    features: NDArray[np.uint8], codes: hdc.Codes, known: Knowledge, rate: float
) -> list[Guess]:
    """Answer samples, each by itself.  features: uint8 [n, width]; codes: of them.

    The nearest concept's domain answers: routing would cost as much as all else.  Where its adaptor
    would have to be solved first and decisions need not wait for it, the nearest concept answers,
    and the adaptor is solved in the background.  Cost: a tenth of a millisecond each in C.
    """
    if not known.domains:
        return [NO_GUESS] * len(features)
    made = []
    memory, calibration = known.memory, known.calibration()
    for at, row in enumerate(features):
        compared = hdc.compare(codes[at], memory, calibration)
        verdict = hdc.decide(compared, memory, calibration, rate)
        guess = verdict.label
        if verdict.known is False:
            nearest = compared.nearest()
            if all(known.answers_now(name) for name in experts(nearest)):
                guess = mix_experts(nearest, row, known)
        elif known.answers_now(verdict.domain):
            guess = answer_known(verdict, verdict.domain, row, known)
        made.append(Guess(known=verdict.known, guess=guess, p_value=verdict.p_value))
    return made


def explain(
    features: NDArray[np.uint8],
    known: Knowledge,
    ledger: Ledger,
    rate: float,
    without: frozenset[str] = frozenset(),
) -> Explanation:
    """Explain features uint8 [width].  rate: the chosen false-alarm rate.  without: ids of facts
    that are no examples: the observation's own.

    Cost: at most `CONCEPTS_MAX * CONCEPT_FACTS_MAX` look-ups in the ledger.
    """
    if not known.domains:
        return Explanation()
    codes = known.geometry.project(features[None])
    compared = hdc.compare(codes, known.memory, known.calibration())
    verdict = hdc.decide(compared, known.memory, known.calibration(), rate)
    draft = ""
    if verdict.known is False:
        guess = mix_experts(compared.nearest(), features, known)
    else:
        routed = known.route(verdict, features)
        guess = answer_known(verdict, routed, features, known)
        draft = _draft(known.adaptor(routed), features)
    order = [compared.keys[at] for at in np.argsort(compared.common, kind="stable").tolist()]
    nearest = (verdict.domain, verdict.label)
    searched = [key for key in dict.fromkeys((nearest, *order)) if known.own.counts.get(key)]
    found = {key: tuple(_facts(ledger, key, without)) for key in searched[:CONCEPTS_MAX]}
    examples = _nearest_examples(features, found.values())
    first = (examples[0].domain, examples[0].label) if examples else ("", "")
    facts = found.get(first, ())
    return Explanation(
        known=verdict.known,
        guess=guess,
        p_value=verdict.p_value,
        score=float(verdict.score),
        nearest_domain=verdict.domain,
        domain=first[0],
        label=first[1],
        compared=len(facts),
        examples=examples,
        columns=_compared_columns(features, facts),
        draft=draft,
        reason=verdict.shortfall.reason if verdict.shortfall is not None else "",
    )


def _draft(adaptor: Adaptor, features: NDArray[np.uint8]) -> str:
    """Return the answer of a head to features uint8 [width] that its nearest facts revise or
    confirm; empty where the head is sure of it, or answers by itself."""
    if not isinstance(adaptor, FittedHead) or adaptor.evidence is None:
        return ""
    scores = adaptor.draft(features)
    unsure = bool(leads(scores) < adaptor.evidence.lead)
    return adaptor.labels[int(scores.argmax())] if unsure else ""


def _facts(ledger: Ledger, concept: Concept, without: frozenset[str]) -> Iterator[Fact]:
    """Yield at most `CONCEPT_FACTS_MAX` facts of a concept."""
    ids = ledger.select(Selector(domain=concept[0], label=concept[1]))
    every = -(-len(ids) // CONCEPT_FACTS_MAX) or 1
    for fact_id in ids[::every]:
        fact = ledger.get(fact_id)
        if fact is not None and fact_id not in without:
            yield fact


def _nearest_examples(
    features: NDArray[np.uint8], concepts: Iterable[tuple[Fact, ...]]
) -> tuple[KnownExample, ...]:
    found: list[KnownExample] = []
    for facts in filter(None, concepts):
        rows = np.stack([np.frombuffer(fact.features, np.uint8) for fact in facts])
        squares = np.square(rows.astype(np.int32) - features).mean(axis=1)
        for at in np.argsort(squares, kind="stable")[:EXAMPLES_MAX].tolist():
            one, distance = facts[at], float(np.sqrt(squares[at]))
            example = KnownExample(one.id, one.domain, one.label, one.captured_at_ns, distance)
            found.append(example)
    return tuple(sorted(found, key=lambda one: (one.distance, one.observation_id))[:EXAMPLES_MAX])


def _compared_columns(
    features: NDArray[np.uint8], facts: tuple[Fact, ...]
) -> tuple[ComparedColumn, ...]:
    """Compare with the facts of a concept; columns most standard deviations apart come first."""
    if not facts:
        return ()
    rows = stack_facts(facts).features
    mean, low, high = rows.mean(axis=0), rows.min(axis=0), rows.max(axis=0)
    # A constant column is compared in levels.
    apart = np.abs(features - mean) / np.maximum(rows.std(axis=0), 1)
    order = np.argsort(-apart, kind="stable")[:COLUMNS_MAX]
    return tuple(
        ComparedColumn(at, int(features[at]), float(mean[at]), int(low[at]), int(high[at]))
        for at in order.tolist()
    )
