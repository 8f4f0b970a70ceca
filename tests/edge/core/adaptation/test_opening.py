from __future__ import annotations

import numpy as np

from edge.core.adaptation import OpeningAdapter, adapt
from edge.core.adaptation.kept_rows import ROWS_MAX
from edge.core.adaptation.opening import OPENING_BYTES_MAX
from edge.core.facts import untimed_batch
from tests.edge.core.adaptation.worlds import WIDTH, accuracy, basis, drawn, seen

SHIFT = 0.6


def served(opening, rows):
    """The answers to samples one by one, each solution computed as soon as it is due."""
    answers = []
    for row in rows:
        answers.append(int(opening.observe(row).probabilities.argmax()))
        if opening.due:
            opening.solve()
    return np.array(answers)


def test_an_opening_is_answered_better_as_samples_arrive():
    """The last half of a moved stream is answered better than by the known head."""
    known, classes = basis(), drawn(400, seed=5)
    rows = seen(classes, SHIFT, seed=5)
    found = served(OpeningAdapter(known), rows)
    plain = np.array([OpeningAdapter(known).observe(row).probabilities.argmax() for row in rows])
    assert accuracy(found[200:], classes[200:]) > accuracy(plain[200:], classes[200:]) + 0.15


def test_the_newest_samples_are_kept_in_bounded_bytes():
    """However many samples arrive, the newest `ROWS_MAX` stay, in the bytes promised."""
    known = basis()
    opening, rows = OpeningAdapter(known), seen(drawn(ROWS_MAX + 40, seed=2))
    size = opening.nbytes
    for row in rows:
        opening.observe(row)
    assert len(opening) == ROWS_MAX
    assert opening.nbytes == size <= OPENING_BYTES_MAX
    kept, expected = opening.rows(), known.project(rows[-ROWS_MAX:])
    step = known.spread / 16
    inside = np.abs(kept[:, : known.directions] - expected[:, : known.directions]) <= step
    assert inside.mean() > 0.999


def test_keeping_bytes_hardly_changes_the_adaptation():
    """Adapting to the bytes kept answers like adapting to the samples."""
    known, rows = basis(), seen(drawn(200, seed=6), SHIFT, seed=6)
    opening = OpeningAdapter(known)
    for row in rows:
        opening.observe(row)
    opening.solve()
    exact = adapt(known, known.project(rows))
    probe = known.project(seen(drawn(300, seed=9), SHIFT, seed=9))
    same = opening.adaptation.logits(known, probe).argmax(1) == exact.logits(known, probe).argmax(1)
    assert same.mean() >= 0.99


def test_the_same_samples_give_the_same_answers():
    """Two openings that see the same samples answer alike to the bit."""
    known, rows = basis(), seen(drawn(120, seed=6), SHIFT, seed=6)
    one, other = OpeningAdapter(known), OpeningAdapter(known)
    for row in rows:
        first, second = one.observe(row), other.observe(row)
        np.testing.assert_array_equal(first.probabilities, second.probabilities)
        for opening in (one, other):
            if opening.due:
                opening.solve()


def test_many_labels_keep_to_the_bytes():
    """With 300 labels fewer samples are kept, in the same bytes, and answers still come."""
    random = np.random.default_rng(3)
    labels = tuple(f"{at % 300:03}" for at in range(600))
    rows = random.integers(0, 256, (600, WIDTH), np.uint8)
    own = untimed_batch(tuple(f"f{at:03}" for at in range(600)), ("home",) * 600, labels, rows)
    opening = OpeningAdapter(basis(own))
    found = served(opening, rows[:40])
    opening.extend(rows)
    assert 64 < len(opening) < 600
    assert opening.nbytes <= OPENING_BYTES_MAX
    assert 0 <= found.min() <= found.max() < 300
