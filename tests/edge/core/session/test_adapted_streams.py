"""Streams that adaptation was not made for, through the runtime: each has a defined outcome."""

from __future__ import annotations

import numpy as np
import pytest

from edge.core.adaptation import OPENING_BYTES_MAX, ROWS_MAX
from edge.core.events import Decision, ForgetRequest, Label
from edge.core.facts import Selector
from edge.core.limits import NOVEL_DOMAINS_MAX
from edge.core.receipt import Receipt
from edge.core.session.novel_domains import UnlabelledRow
from edge.core.session.openings import are_alike
from tests.edge.core.session.adapted_worlds import (
    NAMES,
    WIDE,
    drawn,
    fit_all,
    right,
    seen,
    stream,
    taught,
)

POLICIES = ("auto", "off")


def shown(world, rows, start=0):
    """The decisions on given samples."""
    found = [m for at, row in enumerate(rows) for m in world.observe(row, start + at)]
    return [one for one in found if isinstance(one, Decision)]


def pair():
    """A world that adapts, and one that does not."""
    return tuple(taught(policy) for policy in POLICIES)


def shares(rows, classes, last=150):
    """The shares of right answers to the last samples, with adaptation and without."""
    return [right(shown(world, rows)[-last:], classes[-last:]) for world in pair()]


@pytest.mark.parametrize("label", [0, 1, 2])
def test_one_class_only(label):
    """A moved stream of one class, once it has been seen to show no other, loses at most six
    points: what pseudo-facts of one class cost."""
    classes = np.full(400, label)
    adapted, plain = shares(seen(classes, 1.0, seed=label), classes)
    assert adapted >= plain - 0.06


def test_foreign_samples_alone():
    """Samples of no known class are reported as new, and known samples of the moved domain that
    follow are answered no worse."""
    random = np.random.default_rng(3)
    foreign = random.integers(0, 256, (150, WIDE), np.uint8)
    classes = drawn(250, 5)
    rows = np.concatenate([foreign, seen(classes, 1.0, seed=5)])
    found = [shown(world, rows) for world in pair()]
    assert all(one.known is False and one.label is None for one in found[0][40:150])
    adapted, plain = (right(one[-150:], classes[-150:]) for one in found)
    assert adapted >= plain - 0.005


def test_a_frozen_camera():
    """The same sample again keeps the answer of the known heads, and hardly any shift is taken
    off."""
    rows = np.repeat(seen(drawn(1, 4), 1.0, seed=4), 300, axis=0)
    adapted, plain = (shown(world, rows) for world in pair())
    assert [one.guess for one in adapted] == [one.guess for one in plain]
    strengths = [one.adaptation.strength for one in adapted if one.adaptation]
    assert strengths
    assert max(strengths) < 0.2


@pytest.mark.parametrize("length", [1, 20, 60])
def test_alternating_domains(length):
    """A stream that alternates between the known domain and a moved one loses nothing."""
    classes = drawn(480, 6)
    turn = (np.arange(len(classes)) // length) % 2
    rows = np.where(turn[:, None] == 0, seen(classes, 0.0, seed=6), seen(classes, 1.0, seed=6))
    adapted, plain = shares(rows, classes, last=360)
    assert adapted >= plain - 0.005


def test_repetition_that_drags_the_centre():
    """Three far samples repeated among honest ones do not cost the honest ones their gain."""
    classes = drawn(400, 7)
    rows = seen(classes, 1.0, seed=7)
    far = np.clip(rows[:3].astype(int) + 60, 0, 255).astype(np.uint8)
    bad = np.flatnonzero(np.arange(400) % 2)
    rows[bad] = far[bad // 2 % 3]
    good = np.flatnonzero(np.arange(400) % 2 == 0)[100:]
    adapted, plain = (
        np.mean([found[at].guess == NAMES[classes[at]] for at in good])
        for found in (shown(world, rows) for world in pair())
    )
    assert adapted >= plain - 0.005


def test_numbers_that_jump_scale():
    """After a stretch of saturated numbers the moved domain is answered no worse than without
    adaptation."""
    classes = drawn(400, 8)
    rows = seen(classes, 1.0, seed=8)
    rows[150:220] = 255
    adapted, plain = shares(rows, classes)
    assert adapted >= plain - 0.005


TAPS = ((0, 20), (20, 30), (30, 40), (40, 48))
"""Taps of an encoder: its output, then stages that show style."""


def rows_of(classes, style, seed):
    """Rows of a novel domain whose stages have moved by `style`."""
    rows = seen(classes, 0.0, seed).astype(int)
    rows[:, 20:] = 100 + style + np.random.default_rng(seed).integers(-9, 10, (len(rows), 28))
    return [
        UnlabelledRow(NAMES[at], row.astype(np.uint8).tobytes())
        for at, row in zip(classes, rows, strict=True)
    ]


def test_domains_that_differ_by_their_labels_alone_are_one_to_adaptation():
    """Runs of one class open a domain each; where the style is the same, they are adapted to
    together, whatever their classes; another style is another domain, and so is any domain of an
    encoder whose taps show no style."""
    cats, dogs = (rows_of(np.full(24, label), 0, label) for label in (0, 1))
    night = rows_of(np.full(24, 0), 25, 3)
    assert are_alike(cats, dogs, TAPS)
    assert not are_alike(cats, night, TAPS)
    assert not are_alike(cats, dogs, ((0, 48),))


def test_samples_of_a_learned_domain_are_left_alone():
    """In a stream that shuffles domains, samples that lie in a learned one are answered there, and
    are not adapted to."""
    classes = drawn(400, 10)
    home = np.arange(400) % 2 == 0
    rows = np.where(home[:, None], seen(classes, 0.0, seed=10), seen(classes, 1.0, seed=10))
    decisions = shown(taught(), rows)[100:]
    adapted = np.array([one.adaptation is not None for one in decisions])
    assert adapted[~home[100:]].mean() > 0.8
    assert adapted[home[100:]].mean() < 0.2


def test_a_label_ends_it_and_the_digest_is_that_of_the_facts():
    """Labels arrive in both worlds: adaptation ends, and ledger, sums and digest are bit for bit
    equal with it and without."""
    classes = drawn(200, 11)
    rows = seen(classes, 1.0, seed=11)
    found = []
    for world in pair():
        decisions = shown(world, rows)
        for at in range(150, 170):
            world.feed(Label(decisions[at].observation_id, NAMES[classes[at]]))
        after = shown(world, rows[:20], start=1000)
        assert all(one.adaptation is None for one in after)
        found.append((dict(world.ledger.contents()), world.runtime.digest(), world.derived()))
    assert found[0] == found[1]
    assert found[0][1] == found[0][2]


def test_a_domain_beside_a_labelled_one_is_answered_by_its_head():
    """Where an opened domain has been labelled, samples of the next one that are nearest to its
    facts are answered as without adaptation, which knows only facts of domains learned before."""
    found = []
    for world in pair():
        classes = drawn(120, 17)
        decisions = shown(world, seen(classes, 1.0, seed=17))
        for at in range(80, 110):
            world.feed(Label(decisions[at].observation_id, NAMES[classes[at]]))
        found.append(shown(world, seen(drawn(150, 18), 2.2, seed=18), start=500))
    adapted, plain = found
    assert plain[-1].degraded
    assert [one.guess for one in adapted] == [one.guess for one in plain]


def test_what_was_forgotten_is_not_adapted_to_again():
    """A forget request for some observations drops what was adapted to them; what is started again
    holds none of their ids."""
    world = taught()
    decisions = shown(world, seen(drawn(120, 12), 1.0, seed=12))
    gone = frozenset(one.observation_id for one in decisions[60:])
    selector = Selector(ids=gone)
    assert world.runtime.holds_traces(selector)
    world.ask(ForgetRequest(request_id="r", selector=selector, requested_at_ns=500), Receipt)
    assert not world.runtime.holds_traces(selector)
    again = shown(world, seen(drawn(1, 13), 1.0, seed=13), start=500)
    assert not world.runtime.holds_traces(selector)
    assert again[0].adaptation is None or again[0].adaptation.samples <= 60


def test_what_is_kept_is_bounded():
    """However long a stream is, a domain keeps at most its bytes, and there are at most as many
    domains as the session opens."""
    world = taught()
    for turn in range(4):
        shown(world, seen(drawn(400, turn), 1.0 + turn, seed=turn), start=1000 * turn)
    kept = world.runtime.adapted_domains()
    assert 0 < len(kept) <= NOVEL_DOMAINS_MAX
    assert all(one.nbytes <= OPENING_BYTES_MAX for one in kept.values())
    assert max(one.applied.samples for one in kept.values()) <= ROWS_MAX


def test_what_a_labeller_sees_is_the_adapted_answer():
    """The guesses of the label screen, and the explanation, are those of the adaptation in force;
    of a learned domain they are as ever."""
    world, plain = pair()
    classes = drawn(240, 14)
    rows = seen(classes, 1.0, seed=14)
    found, decisions = [], []
    for one in (world, plain):
        decisions = shown(one, rows)
        domains = [one.runtime.buffered(d.observation_id).domain for d in decisions]
        found.append([guess.guess for guess in one.runtime.guesses(rows, domains)[1]])
    wanted = [NAMES[at] for at in classes]
    adapted, without = (np.mean([a == b for a, b in zip(f, wanted, strict=True)]) for f in found)
    assert adapted > without + 0.1
    last = decisions[-1].observation_id
    explained = world.runtime.explain(last)
    assert explained.guess == found[0][-1]
    assert explained.adaptation.samples > 100
    assert plain.runtime.explain(last).adaptation is None
    home = seen(classes[:20], 0.0, seed=14)
    same = [world.runtime.guesses(home, d)[1] for d in ((), ["home"] * 20)]
    assert same[0] == same[1]


def test_guesses_change_with_what_is_adapted_to():
    """The version of the answers changes with each solution, so that a list of guesses is
    computed again."""
    world = taught()
    stream(world, drawn(60, 15))
    before = world.runtime.answers_version
    stream(world, drawn(40, 16), start=100)
    assert world.runtime.answers_version > before
    fit_all(world)
