"""A stream moves between domains on lasting evidence only, and back to the change point."""

from __future__ import annotations

from edge.core.session.tracker import SPREAD, DomainTracker

LENGTH = 16
HOME = {"home": 0, "hall": SPREAD}
HALL = {"home": SPREAD, "hall": 0}


def entered() -> DomainTracker:
    """A tracker of a stream at home."""
    tracker = DomainTracker(LENGTH)
    tracker.enter("home")
    return tracker


def test_the_stream_moves_after_a_window_and_knows_since_when():
    """Evidence of a whole window moves the stream, and counts from the change point."""
    tracker = entered()
    assert not any(tracker.update(HOME) for _ in range(40))
    moves = [tracker.update(HALL) for _ in range(LENGTH)]
    assert moves == [""] * (LENGTH - 1) + ["hall"]
    assert tracker.since("hall") == LENGTH


def test_no_single_observation_moves_a_stream():
    """One observation far nearer to another domain is no evidence of a move, however far."""
    tracker = entered()
    for _ in range(10):
        assert not tracker.update({"home": 1_000 * SPREAD, "hall": 0})
        assert not any(tracker.update(HOME) for _ in range(3))


def test_alternating_domains_move_nothing():
    """A stream that is as often nearer to one domain as to another stays where it is."""
    tracker = entered()
    assert not any(tracker.update(HALL if at % 2 else HOME) for at in range(200))


def test_a_dismissed_move_needs_more_evidence():
    """After a dismissal the stream moves later, from the same change point."""
    tracker = entered()
    for _ in range(LENGTH):
        tracker.update(HALL)
    tracker.dismiss("hall")
    assert tracker.update(HALL) == ""
    while not tracker.update(HALL):
        pass
    assert tracker.since("hall") > LENGTH + 1


def test_a_stream_that_leaves_is_not_steady():
    """Half of the evidence for another domain ends the steady state; entering a domain restores
    it."""
    assert entered().steady
    tracker = entered()
    for _ in range(8):
        tracker.update(HALL)
    assert not tracker.steady
    tracker.rename("home", "hall")
    assert tracker.domain == "hall"
    assert tracker.steady
