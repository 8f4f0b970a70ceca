"""Streams that adaptation was not made for: each has a defined outcome."""

from __future__ import annotations

import numpy as np

from edge.core.adaptation import OpeningAdapter, adapt, unadapted
from tests.edge.core.adaptation.worlds import WIDTH, accuracy, basis, drawn, seen

SHIFT = 0.6


def answers(adaptation, known, rows):
    """The labels' columns that an adaptation answers with."""
    return adaptation.logits(known, known.project(rows)).argmax(axis=1)


def served(opening, rows):
    """The answers to samples one by one, each solution computed as soon as it is due."""
    found = []
    for row in rows:
        found.append(int(opening.observe(row).probabilities.argmax()))
        if opening.due:
            opening.solve()
    return np.array(found)


def plain(known, rows):
    """The answers without adaptation."""
    return answers(unadapted(known), known, rows)


def test_one_class_only_is_answered_no_worse():
    """A stream of a single class that the known head mostly answers right stays so, once there are
    enough samples to see that it shows few classes."""
    known = basis()
    for label in (1, 2):
        classes = np.full(400, label)
        rows = seen(classes, SHIFT, seed=label)
        before = accuracy(plain(known, rows[200:]), classes[200:])
        found = served(OpeningAdapter(known), rows)
        assert before > 0.5
        assert accuracy(found[200:], classes[200:]) >= before - 0.02


def test_one_class_on_the_known_domain_keeps_its_label():
    """A single class without any shift is not centred away."""
    known, classes = basis(), np.zeros(400, int)
    rows = seen(classes, 0.0, seed=4)
    assert accuracy(served(OpeningAdapter(known), rows), classes) >= 0.98


def test_samples_more_alike_than_a_class_are_no_proof_of_one():
    """A class that is seen in less variety than its facts is not taken for another class that lies
    nearer to its shift."""
    known, classes = basis(), np.zeros(400, int)
    rows = seen(classes, 0.3, spread=5)
    assert accuracy(plain(known, rows), classes) > 0.99
    assert accuracy(served(OpeningAdapter(known), rows)[200:], classes[200:]) > 0.95


def test_foreign_samples_do_not_spoil_the_domain():
    """After a stretch of samples of no known class, known classes are answered no worse than by the
    known head."""
    known, classes = basis(), drawn(300, seed=5)
    foreign = np.random.default_rng(3).integers(0, 256, (200, WIDTH), np.uint8)
    opening, rows = OpeningAdapter(known), seen(classes, SHIFT, seed=5)
    served(opening, foreign)
    assert np.isfinite(opening.adaptation.bias).all()
    before = accuracy(plain(known, rows), classes)
    assert accuracy(served(opening, rows), classes) >= before - 0.02


def test_a_frozen_camera_counts_as_one_sample():
    """The same sample again and again hardly changes an answer, and the strength says so."""
    known = basis()
    one = seen(np.zeros(1, int), SHIFT, seed=1)
    made = adapt(known, known.project(np.repeat(one, 500, axis=0)))
    assert made.count == 500
    assert made.strength < 0.2
    classes = drawn(300, seed=6)
    rows = seen(classes, 0.0, seed=6)
    same = answers(made, known, rows) == plain(known, rows)
    assert same.mean() >= 0.95


def test_noise_on_a_frozen_camera_does_not_hide_it():
    """Copies with the noise of a sensor count as one sample, too."""
    known = basis()
    one = seen(np.zeros(1, int), SHIFT, seed=1).astype(int)
    noise = np.random.default_rng(2).integers(-1, 2, (300, WIDTH))
    made = adapt(known, known.project(np.clip(one + noise, 0, 255).astype(np.uint8)))
    assert made.strength < 0.2


def test_repeating_a_few_samples_does_not_drag_the_centre():
    """Three samples repeated among honest ones move the centre no more than three samples do."""
    known = basis()
    honest = seen(drawn(200, seed=7), SHIFT, seed=7)
    far = np.clip(seen(drawn(3, seed=8), SHIFT, seed=8).astype(int) + 60, 0, 255).astype(np.uint8)
    once = adapt(known, known.project(np.concatenate([honest, far]))).shifts[0]
    often = adapt(
        known, known.project(np.concatenate([honest, np.repeat(far, 100, axis=0)]))
    ).shifts[0]
    np.testing.assert_allclose(often.inputs, once.inputs, atol=1e-6)


def test_alternating_domains_are_answered_no_worse():
    """A stream that alternates between the known domain and a moved one, in runs or sample by
    sample, loses at most two points."""
    known, classes = basis(), drawn(400, seed=9)
    both = seen(classes, 0.0, seed=9), seen(classes, SHIFT, seed=9)
    for length in (1, 25):
        turn = (np.arange(400) // length) % 2
        rows = np.where(turn[:, None] == 0, *both)
        before = accuracy(plain(known, rows), classes)
        assert accuracy(served(OpeningAdapter(known), rows), classes) >= before - 0.02


def test_numbers_that_jump_scale_leave_no_trace():
    """Saturated samples count as one; afterwards the domain is answered as well as before them."""
    known, classes = basis(), drawn(400, seed=10)
    rows = seen(classes, SHIFT, seed=10)
    calm, jumped = OpeningAdapter(known), OpeningAdapter(known)
    served(calm, rows[:200])
    served(jumped, rows[:200])
    served(jumped, np.full((100, WIDTH), 255, np.uint8))
    expected = accuracy(served(calm, rows[200:]), classes[200:])
    assert accuracy(served(jumped, rows[200:]), classes[200:]) >= expected - 0.03


def test_a_domain_that_ends_as_soon_as_it_opened_is_answered_by_the_known_head():
    """Before the first solution, every answer is that of the known head."""
    known = basis()
    rows = seen(drawn(7, seed=11), SHIFT, seed=11)
    np.testing.assert_array_equal(served(OpeningAdapter(known), rows), plain(known, rows))
