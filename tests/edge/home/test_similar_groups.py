"""Groups of similar observations, computed beside serving."""

from __future__ import annotations

import time

import numpy as np

from edge.home.similar_groups import CHANGE_MIN, SKETCH_BYTES, GroupingThread

KINDS = 5


def sketches(count, seed, prefix):
    """Noisy copies of `KINDS` prototypes, in turn, by name."""
    prototypes = np.random.default_rng(0).integers(0, 2, (KINDS, SKETCH_BYTES * 8))
    flips = np.random.default_rng(seed).random((count, SKETCH_BYTES * 8)) < 0.05
    bits = prototypes[np.arange(count) % KINDS] ^ flips
    return {f"{prefix}{at}": np.packbits(row).tobytes() for at, row in enumerate(bits)}


def computed(thread, rows):
    """Start a thread's work on sketches, and wait for its end."""
    thread.start(rows)
    while thread.active:
        time.sleep(0.005)


def kinds_of(thread, prefix, count):
    """Which groups hold each prototype's copies."""
    return [
        {thread.groups[f"{prefix}{at}"] for at in range(kind, count, KINDS)}
        for kind in range(KINDS)
    ]


def test_a_few_late_observations_join_the_groups_of_their_like():
    """Fewer than what makes all groups be computed again are grouped too, and nothing moves."""
    thread = GroupingThread()
    early = sketches(200, 1, "early")
    computed(thread, early)
    before = dict(thread.groups)
    assert len(before) == 200
    late = sketches(int(200 * CHANGE_MIN), 2, "late")
    computed(thread, early | late)
    assert {key: thread.groups[key] for key in early} == before
    for old, new in zip(
        kinds_of(thread, "early", 200), kinds_of(thread, "late", len(late)), strict=True
    ):
        assert new <= old


def test_many_late_observations_have_all_groups_computed_again():
    """Late ones count together, however few come at a time; the groups are those of all at once."""
    thread = GroupingThread()
    rows = sketches(200, 1, "early")
    computed(thread, rows)
    for at in range(3):
        rows = rows | sketches(10, 10 + at, f"late{at}-")
        computed(thread, rows)
    fresh = GroupingThread()
    computed(fresh, rows)
    assert thread.groups == fresh.groups
    assert len(thread.groups) == 230


def test_dropped_observations_shape_no_group_any_more():
    """After a drop, also during the work, all groups are those of a gallery that never had them."""
    rows = sketches(200, 1, "early")
    gone = [key for at, key in enumerate(rows) if at % KINDS == 2 or at % 7 == 0]
    left = {key: one for key, one in rows.items() if key not in gone}
    twin = GroupingThread()
    computed(twin, left)
    for during in (False, True):
        thread = GroupingThread()
        thread.start(rows)
        if during:
            thread.drop(gone)
        while thread.active:
            time.sleep(0.005)
        thread.drop(gone)
        assert not set(thread.groups) & set(gone)
        computed(thread, left)
        assert thread.groups == twin.groups


def test_other_drops_keep_the_groups():
    """A page keeps its order where none of its observations is dropped."""
    thread = GroupingThread()
    computed(thread, sketches(50, 1, "early"))
    before = dict(thread.groups)
    thread.drop(["other"])
    assert thread.groups == before
