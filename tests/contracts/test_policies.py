"""The contract of policies of adaptation without labels, for every entry of the table, on real
digits."""

from __future__ import annotations

from dataclasses import fields
from itertools import combinations

import numpy as np
import pytest

pytest.importorskip("sklearn.datasets")

from edge.sim.adaptation import POLICIES, digits_world
from edge.sim.adaptation.protocols import Change
from edge.sim.adaptation.source_model import LabelledRows, SourceModel, solve_source

WORLD = digits_world(3)
LEARNED, SHOWN = WORLD.halves("digits", 3)
SHOWN = SHOWN[:400]
FOREIGN = 7
"""A digit that the source of the open-set test does not know."""
CHUNK = 16


class CountingSource(SourceModel):
    """A source that counts the rows that are scored with its head."""

    scored = 0

    def logits(self, rows, shares):
        """Count, and score."""
        object.__setattr__(self, "scored", self.scored + len(rows))
        return super().logits(rows, shares)


def learned(*left_out: int) -> LabelledRows:
    """The rows to learn, without some digits."""
    rows = WORLD.domains["digits"].select(LEARNED)
    return rows.select(np.flatnonzero(~np.isin(rows.targets, left_out)))


def two_domains() -> SourceModel:
    """A source that knows plain digits and moved ones."""
    rows = learned()
    moved = WORLD.changed["digits"][Change("shift")][LEARNED]
    return solve_source({"plain": rows, "moved": LabelledRows(moved, rows.targets)}, WORLD.spans, 3)


SOURCES = {
    "one domain": solve_source({"digits": learned()}, WORLD.spans, 3),
    "two domains": two_domains(),
}


def stream(kind: str = "gain") -> tuple[np.ndarray, np.ndarray]:
    """Features of digits after a change, and their labels."""
    plain = WORLD.domains["digits"].features
    features = (WORLD.changed["digits"][Change(kind)] if kind else plain)[SHOWN]
    return features, WORLD.domains["digits"].targets[SHOWN]


def chunked(policy, rows: np.ndarray, size: int = CHUNK) -> np.ndarray:
    """All answers of a policy to rows that arrive in chunks."""
    return np.concatenate([policy.answer(rows[at : at + size]) for at in range(0, len(rows), size)])


@pytest.fixture(params=list(POLICIES))
def kind(request):
    """Each policy of the table."""
    return POLICIES[request.param]


@pytest.fixture(params=list(SOURCES))
def source(request):
    """A source of one domain, and one of two."""
    return SOURCES[request.param]


def test_a_policy_is_deterministic(kind, source):
    """The same seed gives bit-equal answers, and another policy between them changes nothing."""
    rows, _ = stream()
    first, second, other = kind(source, 5), kind(source, 5), kind(source, 6)
    expected = chunked(first, rows)
    found = []
    for at in range(0, len(rows), CHUNK):
        other.answer(rows[::-1][at : at + CHUNK])
        found.append(second.answer(rows[at : at + CHUNK]))
    assert np.array_equal(np.concatenate(found), expected)


def test_a_policy_scores_every_label(kind, source):
    """Answers are finite scores [n, labels], for one row as for many."""
    rows, _ = stream()
    policy = kind(source, 1)
    for count in (1, 5, 40):
        answers = policy.answer(rows[:count])
        assert answers.shape == (count, len(source.labels))
        assert np.isfinite(answers).all()


def test_a_policy_leaves_the_source_and_its_input_alone(kind, source):
    """Neither the source's arrays nor the rows change by a bit."""
    rows, _ = stream()
    before = rows.copy()
    arrays = {
        each.name: value.copy()
        for each in fields(source)
        if isinstance(value := getattr(source, each.name), np.ndarray)
    }
    chunked(kind(source, 1), rows)
    assert np.array_equal(rows, before)
    assert all(np.array_equal(getattr(source, name), value) for name, value in arrays.items())


def test_reset_restores_the_source_bit_for_bit(kind, source):
    """After a stream and a reset, answers and bytes are those of a policy that saw nothing."""
    rows, _ = stream()
    fresh, used = kind(source, 2), kind(source, 2)
    empty = fresh.nbytes
    chunked(used, stream("invert")[0])
    used.reset()
    assert used.nbytes == empty
    assert np.array_equal(chunked(used, rows), chunked(fresh, rows))


def test_a_policy_keeps_within_its_bound(kind, source):
    """Its bytes stay below the declared bound, and stop growing on a stream four times as long."""
    rows, _ = stream()
    policy = kind(source, 1)
    assert policy.nbytes <= policy.bytes_max
    for turn in range(8):
        chunked(policy, rows[::-1] if turn % 2 else rows)
        assert policy.nbytes <= policy.bytes_max
    assert policy.bytes_max < 64 * (1 << 20)


def test_a_policy_obeys_its_declared_cost(kind):
    """No more rows are scored with the source's head than declared for each sample."""
    known = SOURCES["two domains"]
    counted = CountingSource(**{each.name: getattr(known, each.name) for each in fields(known)})
    rows, _ = stream()
    policy = kind(counted, 1)
    object.__setattr__(counted, "scored", 0)
    chunked(policy, rows)
    assert counted.scored <= policy.passes * len(rows)
    assert policy.passes == 0 or counted.scored > (policy.passes - 2) * len(rows) / 2


def test_one_sample_at_a_time_equals_chunks(kind, source):
    """The share of answers that differ stays within the stated tolerance."""
    rows, _ = stream()
    alone = chunked(kind(source, 1), rows, 1).argmax(1)
    together = chunked(kind(source, 1), rows).argmax(1)
    assert (alone != together).mean() <= kind.chunk_share + 1 / len(rows)


def test_a_policy_survives_samples_of_no_known_class(kind):
    """With an unknown digit in the stream, most known ones are still answered right; with nothing
    else, answers stay finite."""
    source = solve_source({"digits": learned(FOREIGN)}, WORLD.spans, 3)
    rows, targets = stream("")
    policy = kind(source, 1)
    answers = source.labels[chunked(policy, rows).argmax(1)]
    known = targets != FOREIGN
    assert (answers == targets)[known].mean() > 0.5
    foreign = np.repeat(rows[~known], 10, axis=0)
    assert np.isfinite(chunked(policy, foreign)).all()


@pytest.mark.parametrize("case", ["one class", "frozen camera", "jump of scale", "one sample"])
def test_a_policy_survives_streams_that_go_wrong(kind, case):
    """Answers stay finite, and a reset still restores the source."""
    source = SOURCES["one domain"]
    rows, targets = stream()
    wrong = {
        "one class": rows[targets == 3],
        "frozen camera": np.repeat(rows[:1], 300, axis=0),
        "jump of scale": np.concatenate([rows[:100], np.where(rows[:100] > 40, 255, 0)]),
        "one sample": rows[:1],
    }[case]
    policy = kind(source, 1)
    assert np.isfinite(chunked(policy, wrong.astype(np.uint8))).all()
    policy.reset()
    assert np.array_equal(policy.answer(rows[:3]), kind(source, 1).answer(rows[:3]))


def test_every_policy_but_the_source_adapts(kind, source):
    """On changed digits, answers differ from the source's: no entry of the table is a copy of
    it."""
    rows, _ = stream()
    plain = chunked(POLICIES["source"](source, 1), rows).argmax(1)
    found = chunked(kind(source, 1), rows).argmax(1)
    assert (kind is POLICIES["source"]) == np.array_equal(found, plain)


def test_no_two_entries_of_the_table_are_one_policy():
    """On changed digits with two known domains, the scores of any two policies differ: each does
    something beyond the alignment that it shares with others."""
    rows, _ = stream()
    scores = {
        name: chunked(kind(SOURCES["two domains"], 1), rows) for name, kind in POLICIES.items()
    }
    alike = [
        pair
        for pair in combinations(scores, 2)
        if np.allclose(scores[pair[0]], scores[pair[1]], atol=1e-5)
    ]
    assert alike == []
