from __future__ import annotations

from edge.core import Observation


def test_an_observation_without_id_is_named_by_stream_and_sequence():
    """The key is the id where one was given, else stream and sequence."""
    assert Observation("cam", 7, 0, None).key == "cam:7"
    assert Observation("cam", 7, 0, None, id="mine").key == "mine"
