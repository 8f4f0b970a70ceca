from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge.outbox.entry import LOSSES_MAX, OutboxLoss, OutboxLosses


@given(
    st.lists(
        st.tuples(st.integers(1, 5_000), st.sampled_from(["full", "age"])), unique_by=lambda x: x[0]
    )
)
def test_losses_cover_every_number_and_stay_bounded(numbers: list[tuple[int, str]]):
    """Each number is in a range, ranges do not overlap, and their counts add up."""
    losses = OutboxLosses()
    for number, reason in numbers:
        losses.add(OutboxLoss(number, number, 1, reason))
    ranges = list(losses)
    assert all(any(one.first <= n <= one.last for one in ranges) for n, _ in numbers)
    assert all(a.last < b.first for a, b in itertools.pairwise(ranges))
    assert sum(one.count for one in ranges) == len(numbers)
    assert len(ranges) <= LOSSES_MAX


def test_neighbours_of_one_reason_are_one():
    """Consecutive drops are one range; another reason starts another."""
    losses = OutboxLosses([OutboxLoss(1, 2, 2, "full")])
    losses.add(OutboxLoss(3, 3, 1, "full"))
    losses.add(OutboxLoss(4, 4, 1, "age"))
    assert list(losses) == [OutboxLoss(1, 3, 3, "full"), OutboxLoss(4, 4, 1, "age")]
    losses.add(OutboxLoss(5, 6, 2, "full"))
    losses.add(OutboxLoss(9, 9, 1, "full"))
    losses.add(OutboxLoss(7, 8, 1, "full"))
    assert list(losses)[2:] == [OutboxLoss(5, 9, 4, "full")]
    losses.pop(2)
    losses.add(OutboxLoss(1, 3, 3, "full"))
    assert losses.pop(1) == [OutboxLoss(1, 3, 3, "full")]
    assert len(losses) == 1


def test_beyond_the_bound_the_closest_become_one():
    """The merged range names both reasons."""
    losses = OutboxLosses(OutboxLoss(10 * n, 10 * n, 1, "full") for n in range(LOSSES_MAX))
    losses.add(OutboxLoss(10 * LOSSES_MAX - 8, 10 * LOSSES_MAX - 8, 1, "age"))
    assert len(losses) == LOSSES_MAX
    assert list(losses)[-1] == OutboxLoss(10 * LOSSES_MAX - 10, 10 * LOSSES_MAX - 8, 2, "full+age")
