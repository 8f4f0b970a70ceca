from __future__ import annotations

import pytest

from edge.outbox.boot_clock import BootMark, resumed_age_ns

S = 10**9
DAY = 86_400 * S
NOW = 1_800_000_000 * S
MOST = 3 * DAY


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, BootMark("a", 5, NOW), 0),
        (BootMark("a", 10 * S, NOW, 7 * S), BootMark("a", 60 * S, NOW - DAY), 57 * S),
        (BootMark("a", 90 * S, NOW, 7 * S), BootMark("b", 1 * S, NOW + DAY), 7 * S + DAY),
        (BootMark("a", 90 * S, NOW, 7 * S), BootMark("b", 1 * S, NOW + 10_000 * DAY), 7 * S + MOST),
        (BootMark("a", 90 * S, NOW, 7 * S), BootMark("b", 1 * S, NOW - DAY), 7 * S),
        (BootMark("a", 90 * S, NOW, 7 * S), BootMark("b", 1 * S, 10 * S), 7 * S),
        (BootMark("a", 90 * S, 10 * S, 7 * S), BootMark("b", 1 * S, NOW), 7 * S),
    ],
    ids=["new", "same boot", "off for a day", "off for ages", "set back", "1970 now", "1970 then"],
)
def test_age_continues_where_it_is_known(before: BootMark | None, now: BootMark, expected: int):
    """Within a boot the boot clock counts alone; across boots a plausible wall clock does, within a
    limit."""
    assert resumed_age_ns(before, now, MOST) == expected


def test_a_moment_is_read_from_the_system():
    """Two moments of this run are of one boot, and in order."""
    first, second = BootMark.now(), BootMark.now(5)
    assert first.boot == second.boot
    assert first.boot_ns <= second.boot_ns
    assert second.age_ns == 5
