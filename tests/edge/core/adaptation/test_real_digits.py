"""Handwritten digits of an unknown scanner through the default encoder."""

from __future__ import annotations

import numpy as np

import encoder
from edge.core.adaptation import adapt, build_basis, unadapted
from edge.core.adaptation.basis import KnownDomain
from edge.core.adaptors import fit_head
from edge.core.facts import untimed_batch
from edge.sim import load_mnist, load_optdigits

KNOWN, SEEN = 1_000, 240


def test_all_digits_in_a_stream_are_not_taken_for_a_single_one():
    """With enough samples to prove few classes, a shuffled stream of ten is answered with all of
    them, and no worse than by the known head."""
    order = np.random.default_rng(0)
    with encoder.open_model() as model:
        batches = []
        for digits, count in ((load_mnist(), KNOWN), (load_optdigits(), SEEN)):
            rows = order.permutation(len(digits))[:count]
            features = model.encode_batch([255 - digits.images[row] for row in rows])
            names = tuple(str(digits.labels[row]) for row in rows)
            ids = tuple(f"{row:06}" for row in rows)
            batches.append(untimed_batch(ids, ("d",) * count, names, features))
        spans = tuple((part.start, part.stop) for part in model.card.slices)
    own, stream = batches
    nothing = untimed_batch((), (), (), own.features[:0])
    known = build_basis([KnownDomain(fit_head(own, nothing, spans), own)])
    projected, truth = known.project(stream.features), np.array(stream.labels)

    def answers(adaptation):
        best = adaptation.logits(known, projected).argmax(axis=1)
        return np.array(known.labels)[best]

    found = answers(adapt(known, projected))
    assert max(np.unique(found, return_counts=True)[1]) < SEEN / 2
    assert np.mean(found == truth) >= np.mean(answers(unadapted(known)) == truth)
