from __future__ import annotations

from edge.core import limits
from edge.sources.measurement import DAY_NS, SECOND_NS, session_recording


def test_a_session_ends_with_its_day():
    """Measurements of the day of the start belong to the session, later ones to their day."""
    start = 3 * DAY_NS + 3_725 * SECOND_NS
    assert session_recording("cam", start, start + 5) == "cam 1970-01-04 01:02:05"
    assert session_recording("cam", start, 4 * DAY_NS) == "cam 1970-01-05"


def test_a_session_of_a_long_name_fits():
    """The name of a recording has at most as many characters as any text."""
    assert len(session_recording("x" * 200, 0, 0)) <= limits.TEXT_CHARS_MAX
