"""Handwritten digits of an unknown scanner through the default encoder."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

import encoder
from edge.core.adaptation import adapt, build_basis, centring, unadapted
from edge.core.adaptation.basis import KnownDomain
from edge.core.adaptors import fit_head
from edge.core.facts import untimed_batch
from edge.sim import load_mnist, load_optdigits

KNOWN, SEEN, ALONE = 1_000, 240, 170


@pytest.fixture(scope="module")
def model():
    """The default encoder."""
    with encoder.open_model() as opened:
        yield opened


def encoded(model, digits, rows):
    """Digits as a batch of facts."""
    features = model.encode_batch([255 - digits.images[row] for row in rows])
    names = tuple(str(digits.labels[row]) for row in rows)
    return untimed_batch(tuple(f"{row:06}" for row in rows), ("d",) * len(rows), names, features)


def known_by(model, own):
    """What adaptation needs of the facts."""
    nothing = untimed_batch((), (), (), own.features[:0])
    spans = tuple((part.start, part.stop) for part in model.card.slices)
    return build_basis([KnownDomain(fit_head(own, nothing, spans), own)])


def answers(known, adaptation, projected):
    """The answers under an adaptation."""
    return np.array(known.labels)[adaptation.logits(known, projected).argmax(axis=1)]


def test_all_digits_in_a_stream_are_not_taken_for_a_single_one(model):
    """With enough samples to prove one class, a shuffled stream of ten is answered with all of
    them, and half as often again right as by the known head."""
    order, mnist, others = np.random.default_rng(0), load_mnist(), load_optdigits()
    own = encoded(model, mnist, order.permutation(len(mnist))[:KNOWN])
    stream = encoded(model, others, order.permutation(len(others))[:SEEN])
    known = known_by(model, own)
    projected, truth = known.project(stream.features), np.array(stream.labels)
    found = answers(known, adapt(known, projected), projected)
    assert max(np.unique(found, return_counts=True)[1]) < SEEN / 2
    before = np.mean(answers(known, unadapted(known), projected) == truth)
    assert np.mean(found == truth) >= 1.5 * before


@pytest.mark.parametrize("label", [1, 3])
def test_a_single_digit_in_a_stream_is_answered_no_worse(model, label):
    """A scanner that shows one digit alone, most often answered right, keeps its answers: nothing
    proves how the classes that it does not show have moved."""
    order, mnist, others = np.random.default_rng(0), load_mnist(), load_optdigits()
    own = encoded(model, others, order.permutation(len(others))[:KNOWN])
    rows = order.permutation(np.flatnonzero(mnist.labels == label))[:ALONE]
    known = known_by(model, own)
    projected = known.project(encoded(model, mnist, rows).features)
    before = np.mean(answers(known, unadapted(known), projected) == str(label))
    found = answers(known, adapt(known, projected), projected)
    assert before > 0.4
    assert np.mean(found == str(label)) >= before - 0.005


def test_few_facts_do_not_make_a_single_digit_look_like_several(model, monkeypatch):
    """With ten facts of a class, the spread is measured in as many directions as these allow: in
    all of them a stream of one digit spreads three times as far between the classes."""
    order, mnist, others = np.random.default_rng(0), load_mnist(), load_optdigits()
    few = [order.permutation(np.flatnonzero(mnist.labels == one))[:10] for one in range(10)]
    known = known_by(model, encoded(model, mnist, np.concatenate(few)))
    alone = order.permutation(np.flatnonzero(others.labels == 1))[:ALONE]
    projected = known.project(encoded(model, others, alone).features)
    inputs = projected[:, : known.directions].astype(float)
    found = centring._spread(known, inputs)  # noqa: SLF001
    monkeypatch.setattr(centring, "FACTS_A_DIRECTION", 1)
    assert centring._spread(known, inputs) > 3 * found  # noqa: SLF001


def test_enough_facts_leave_the_directions_in_their_order(model):
    """Where all directions count, how strong each is changes nothing: sorted by it, digits after
    changes of the sensor gained 2.3 points less."""
    order, mnist, others = np.random.default_rng(0), load_mnist(), load_optdigits()
    known = known_by(model, encoded(model, mnist, order.permutation(len(mnist))[:KNOWN]))
    stream = encoded(model, others, order.permutation(len(others))[:ALONE])
    inputs = known.project(stream.features)[:, : known.directions].astype(float)
    turned = replace(known, spread=known.spread[::-1].copy())
    spread, other = (centring._spread(one, inputs) for one in (known, turned))  # noqa: SLF001
    assert spread == other
