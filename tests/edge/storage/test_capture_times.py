from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.storage.capture_times import CaptureTimes, changed_times
from tests.worlds import fact

TIMES = st.lists(st.integers(0, 5), max_size=12)


@given(TIMES, TIMES, st.data())
def test_times_follow_changes(before: list[int], new: list[int], data: st.DataObject) -> None:
    """Times after a change are those of the facts that are there then, ascending."""
    out = data.draw(st.lists(st.sampled_from(range(len(before))), unique=True)) if before else []
    gone = [fact(f"f{at}", at=before[at]) for at in out]
    coming = [fact(f"n{at}", at=time) for at, time in enumerate(new)]
    left = [time for at, time in enumerate(before) if at not in out]
    wanted = sorted(left + new)
    assert changed_times(np.sort(np.array(before, np.int64)), gone, coming).tolist() == wanted
    times = CaptureTimes()
    times.of("home", lambda _: np.sort(np.array(before, np.int64)))
    times.change(gone, [*coming, fact("x", "a", "elsewhere", 9)])
    assert times.of("home", lambda _: np.zeros(0, np.int64)).tolist() == wanted


def test_many_times_are_read_again(monkeypatch) -> None:
    """Beyond the limit, times are dropped and read again."""
    monkeypatch.setattr("edge.storage.capture_times.BYTES_MAX", 20)
    read: list[str] = []

    def three(domain: str) -> np.ndarray:
        read.append(domain)
        return np.zeros(3, np.int64)

    times = CaptureTimes()
    for domain in ("a", "a", "b", "a"):
        times.of(domain, three)
    assert read == ["a", "b", "a"]
