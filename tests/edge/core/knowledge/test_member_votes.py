"""Votes: one for each member, taken back exactly, and far members are found."""

from __future__ import annotations

import numpy as np
import pytest

from edge.core.knowledge.member_votes import OTHERS_MIN, MemberVotes, find_outliers
from tests.aggregates import sent

MEMBERS = [sent(f"m{number}", seed=number, count=12) for number in range(12)]


def swapped(number: int) -> dict[str, np.ndarray]:
    """The arrays of a member whose labels are swapped."""
    arrays = dict(MEMBERS[number].arrays)
    return arrays | {name: arrays[name][::-1].copy() for name in ("ones", "sums", "features")}


def test_votes_are_taken_back_exactly():
    """Without a member the votes are those of a fleet that never had it, also after saving."""
    votes, never = MemberVotes(), MemberVotes()
    for one in MEMBERS:
        votes.change(one.arrays, 1)
    for one in MEMBERS[1:]:
        never.change(one.arrays, 1)
    votes.change(MEMBERS[0].arrays, -1)
    found, expected = MemberVotes.unpack(votes.pack()).pack(), never.pack()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    for one in MEMBERS[1:]:
        votes.change(one.arrays, -1)
    assert votes.pack()["vote_counts"].size == 0
    assert MemberVotes.unpack(votes.pack()).pack()["vote_counts"].size == 0


def test_few_members_are_not_compared():
    """With fewer others than resist three hostile ones, nobody is judged."""
    votes = MemberVotes()
    for one in MEMBERS[:OTHERS_MIN]:
        votes.change(one.arrays, 1)
    assert list(votes.distances(MEMBERS[0].arrays)) == []
    votes.change(MEMBERS[OTHERS_MIN].arrays, 1)
    assert len(list(votes.distances(MEMBERS[0].arrays))) == 2


@pytest.mark.parametrize("scale", [1, 900])
def test_a_member_counts_once_however_many_facts_it_claims(scale: int):
    """A hostile member is found, whether it claims few facts or very many."""
    arrays = swapped(5)
    for name in ("counts", "ones", "sums", "features"):
        arrays[name] = arrays[name].astype(np.int64) * scale
    given = {one.device: one.arrays for one in MEMBERS} | {"m5": arrays}
    votes = MemberVotes()
    for one in given.values():
        votes.change(one, 1)
    found = find_outliers({name: votes.distances(one) for name, one in given.items()})
    assert {one.device for one in found} == {"m5"}
    assert (found[0].share > 0.9) == (scale > 1)


def test_nobody_is_far_from_equals():
    """Members with the very same sums have no spread, and none of them is reported."""
    votes = MemberVotes()
    for _ in range(9):
        votes.change(MEMBERS[0].arrays, 1)
    far = {str(n): votes.distances(MEMBERS[0].arrays) for n in range(9)}
    assert find_outliers(far) == []
