"""Retrieve and revise: when evidence serves, what it changes, and that it is a function of the
facts."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from edge.core.adaptors.adaptor import fit_adaptor, fit_head
from edge.core.adaptors.head import FittedHead
from edge.core.adaptors.retrieval import (
    EVIDENCE_BYTES_MAX,
    EVIDENCE_FACTS_MIN,
    better_evidence,
    leads,
    support,
    unit,
)
from edge.core.events import Decision, Observation
from edge.core.facts import FactBatch, select_rows, stack_facts, untimed_batch
from tests.worlds import World, fact

WIDTH = 1_536
"""So wide that no kernel serves without growth."""
SPANS = ((0, WIDTH),)
NOTHING = stack_facts([])


def spots(count: int, seed: int, domain: str = "home", spots_of_label: int = 12) -> FactBatch:
    """Facts of two labels, each in many small spots of an eight-dimensional space: a head sees
    little of them, the nearest fact all."""
    fixed = np.random.default_rng(0)
    places = fixed.standard_normal((2 * spots_of_label, 8))
    into = fixed.standard_normal((8, WIDTH))
    random = np.random.default_rng(seed)
    chosen = random.integers(len(places), size=count)
    rows = (places[chosen] + 0.15 * random.standard_normal((count, 8))) @ into
    rows += 0.5 * random.standard_normal((count, WIDTH))
    levels = np.clip(np.square(11 + rows / 2), 0, 255).astype(np.uint8)
    ids = tuple(f"{domain}{seed}-{at:05}" for at in range(count))
    labels = tuple("ab"[int(one) % 2] for one in chosen)
    return untimed_batch(ids, (domain,) * count, labels, levels)


def accuracy(made: FittedHead, rows: FactBatch) -> float:
    """Share of facts answered with their label."""
    best = made.answer(rows.features).argmax(axis=1)
    right = [made.labels[at] == one for at, one in zip(best, rows.labels, strict=True)]
    return float(np.mean(right))


def fitted(rows: FactBatch) -> FittedHead:
    """The default adaptor of facts, a head."""
    made = fit_adaptor(rows, NOTHING, None, SPANS)
    assert isinstance(made, FittedHead)
    return made


@pytest.fixture(scope="module")
def made() -> FittedHead:
    """A head whose answers are revised."""
    return fitted(spots(900, 1))


def test_the_nearest_facts_revise_where_they_do_better(made: FittedHead):
    """A head that sees little of its labels is revised, and is right more often."""
    assert made.evidence is not None
    fresh = spots(500, 2)
    assert accuracy(made, fresh) > accuracy(replace(made, evidence=None), fresh) + 0.02


def test_sure_drafts_stay(made: FittedHead):
    """Only drafts with a small lead change, and their scores fall by what is less similar."""
    assert made.evidence is not None
    features = spots(300, 3).features
    drafts, answers = made.draft(features), made.answer(features)
    sure = leads(drafts) >= made.evidence.lead
    assert 0.4 < sure.mean() < 1.0
    assert np.array_equal(answers[sure], drafts[sure])
    assert (answers[~sure] <= drafts[~sure]).all()
    assert (answers[~sure] != drafts[~sure]).any()


def test_one_sample_is_answered_as_in_a_batch(made: FittedHead):
    """A sample by itself has the scores that it has among others."""
    features = spots(40, 4).features
    together = made.answer(features)
    for row, expected in zip(features, together, strict=True):
        assert made.answer(row) == pytest.approx(expected, abs=1e-4)


def test_evidence_stays_off_where_it_does_not_help():
    """Labels that a head tells apart need no evidence."""
    random = np.random.default_rng(0)
    labels = tuple("ab"[at % 2] for at in range(900))
    rows = random.standard_normal((900, WIDTH))
    rows[:, :32] += np.array([at % 2 for at in range(900)])[:, None] * 2.0
    levels = np.clip(np.square(11 + rows), 0, 255).astype(np.uint8)
    ids = tuple(f"{at:05}" for at in range(900))
    assert fitted(untimed_batch(ids, ("home",) * 900, labels, levels)).evidence is None


def test_few_facts_are_no_evidence():
    """Below the least number of facts there is none, though it would do better."""
    for count, expected in ((EVIDENCE_FACTS_MIN - 1, False), (300, True)):
        own = spots(count, 1, spots_of_label=1)
        head = fit_head(own, NOTHING, SPANS)
        # Drafts that have the lead of the wrong label in every tenth case.
        right = np.array([int(one == "b") for one in own.labels])
        shown = np.where(np.arange(count) % 10 == 0, 1 - right, right)
        drafts = 0.1 * np.eye(2, dtype=np.float32)[shown]
        drafts[::10] *= 0.1
        found = better_evidence(own, head.transform(own.features), drafts, head.labels)
        assert (found is not None) == expected


def test_labels_of_other_domains_switch_it_off():
    """A label without a fact in the domain has no evidence, so that none is used."""
    others = spots(200, 5, "yard")
    others = replace(others, labels=tuple("abc"[at % 3] for at in range(200)))
    made = fit_adaptor(spots(900, 1), others, None, SPANS)
    assert isinstance(made, FittedHead)
    assert made.evidence is None


def test_the_head_for_adaptation_and_firmware_has_none():
    """`fit_head` returns the head alone."""
    assert fit_head(spots(900, 1), NOTHING, SPANS).evidence is None


def test_it_is_a_function_of_the_facts(made: FittedHead):
    """Facts that were learned and forgotten again leave no trace, bit for bit."""
    rows = spots(900, 1)
    more = untimed_batch(
        (*rows.ids, "zz"),
        (*rows.domains, "home"),
        (*rows.labels, "a"),
        np.concatenate([rows.features, rows.features[:1]]),
    )
    fitted(more)
    again = fitted(select_rows(more, np.arange(900)))
    assert made.evidence is not None
    assert again.evidence is not None
    assert np.array_equal(again.evidence.facts, made.evidence.facts)
    assert np.array_equal(again.evidence.directions, made.evidence.directions)
    assert again.evidence.lead == made.evidence.lead


def test_it_is_bounded():
    """However many facts there are, evidence and directions have a limit."""
    evidence = fitted(spots(3_000, 6)).evidence
    assert evidence is not None
    assert evidence.facts.nbytes <= EVIDENCE_BYTES_MAX
    assert evidence.operations == evidence.directions.size + evidence.facts.size
    assert fitted(spots(3_000, 6)).nbytes > evidence.nbytes


def test_support_and_units():
    """The most similar label loses nothing; rows of zeros have no direction."""
    assert support(np.array([[0.5, 0.2]], np.float32))[0] == pytest.approx([0, -0.3])
    assert unit(np.zeros((1, 3), np.float32)).tolist() == [[0, 0, 0]]
    assert leads(np.array([[3.0, 1.0, 2.5]], np.float32))[0] == pytest.approx(0.5)


def world_of(rows: FactBatch) -> World:
    """A runtime that has learned these facts."""
    facts = [
        msgspec.structs.replace(fact(key, label, domain, at, width=WIDTH), features=row.tobytes())
        for at, (key, label, domain, row) in enumerate(
            zip(rows.ids, rows.labels, rows.domains, rows.features, strict=True)
        )
    ]
    return World(facts, width=WIDTH)


def test_an_explanation_names_the_draft():
    """Where the head was unsure, the explanation has its draft, and the answer is the served one;
    where it was sure, there is none."""
    world = world_of(spots(900, 1))
    served = world.runtime.knowledge.adaptor("home")
    assert isinstance(served, FittedHead)
    assert served.evidence is not None
    drafts = set()
    for at, row in enumerate(spots(40, 2).features):
        event = Observation(stream="cam", sequence=at + 1, captured_at_ns=at, payload=row)
        (decision, *_) = world.feed(event)
        found = world.runtime.explain(f"cam:{at + 1}")
        assert isinstance(decision, Decision)
        assert found is not None
        assert found.guess == decision.guess
        if found.known is not False:
            scores = served.draft(row)
            unsure = leads(scores) < served.evidence.lead
            assert found.draft == (served.labels[int(scores.argmax())] if unsure else "")
            drafts.add(bool(found.draft))
    assert drafts == {True, False}
