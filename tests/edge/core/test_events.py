from __future__ import annotations

import pytest

from edge.core.errors import EdgeError
from edge.core.events import Acknowledgement, Observation, Rejected, accepted


def test_an_observation_without_id_is_named_by_stream_and_sequence():
    """The key is the id where one was given, else stream and sequence."""
    assert Observation(stream="cam", sequence=7, captured_at_ns=0, payload=None).key == "cam:7"
    assert (
        Observation(stream="cam", sequence=7, captured_at_ns=0, payload=None, id="mine").key
        == "mine"
    )


def test_a_rejection_is_raised_where_the_event_has_to_be_accepted():
    """The reason and the hint of a rejection become an error's; other messages come back."""
    with pytest.raises(EdgeError, match=r"^growing: no facts") as caught:
        accepted([Acknowledgement("x", 1), Rejected("x", "no facts", "learn first")], "growing")
    assert caught.value.hint == "learn first"
    assert accepted(iter([Acknowledgement("x", 1)])) == (Acknowledgement("x", 1),)
