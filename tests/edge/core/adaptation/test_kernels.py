from __future__ import annotations

import numpy as np

from edge.core.adaptation import KnownDomain, OpeningAdapter, adapt, build_basis, unadapted
from edge.core.adaptors import fit_better_kernel, fit_head
from edge.core.facts import untimed_batch

WIDTH = 12
CORNERS = np.array([(1, 1), (-1, -1), (1, -1), (-1, 1)])


def seen(corners, offset=0, seed=0):
    """Samples of four clusters; opposite corners of the first two columns have the same label, and
    the third column tells the labels apart, less well."""
    random = np.random.default_rng(seed)
    rows = random.normal(120, 10, (len(corners), WIDTH))
    rows[:, :2] += 40 * CORNERS[corners]
    rows[:, 2] += 44 * (corners // 2) - 22
    return np.clip(rows + offset, 0, 255).astype(np.uint8)


def known():
    """The basis of a domain that a kernel answers better than a head."""
    corners = np.random.default_rng(1).integers(0, 4, 400)
    ids, labels = tuple(f"f{at:03}" for at in range(400)), tuple("aabb"[one] for one in corners)
    own = untimed_batch(ids, ("home",) * 400, labels, seen(corners, seed=1))
    nothing = untimed_batch((), (), (), np.zeros((0, WIDTH), np.uint8))
    spans = ((0, WIDTH),)
    machine = fit_better_kernel(own, nothing, spans)
    assert machine is not None
    return build_basis([KnownDomain(fit_head(own, nothing, spans), own, machine)]), machine


def test_without_samples_the_kernel_answers():
    """With no samples the scores are those of the kernel that serves the domain."""
    basis, machine = known()
    rows = seen(np.arange(40) % 4, seed=2)
    found = unadapted(basis).logits(basis, basis.project(rows))
    np.testing.assert_allclose(
        found / found[0, 0], machine.answer(rows) / found[0, 0] * 8, atol=1e-2
    )


def test_a_moved_domain_is_answered_by_the_kernel_as_it_is():
    """Where a kernel serves, nothing answers in its place, however far a domain has moved and
    however its labels follow each other."""
    basis, machine = known()
    corners = np.random.default_rng(4).integers(0, 4, 20).repeat(20)
    opening = OpeningAdapter(basis)
    for row in np.concatenate([seen(corners, 5, seed=4), seen(corners, 45, seed=6)]):
        answered = opening.observe(row)
        assert answered.probabilities.argmax() == machine.answer(row[None]).argmax()
        assert not answered.order
        if opening.due:
            opening.solve()


def test_known_samples_stay_with_the_kernel():
    """On its own domain the kernel's answers survive adaptation."""
    basis, machine = known()
    rows = seen(np.random.default_rng(5).integers(0, 4, 300), seed=5)
    made = adapt(basis, basis.project(rows))
    same = made.logits(basis, basis.project(rows)).argmax(axis=1) == machine.answer(rows).argmax(1)
    assert same.mean() > 0.97
