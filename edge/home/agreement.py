"""How many waiting observations agree with new labels, counted in slices between decisions."""

import time
from collections import Counter
from collections.abc import Collection
from typing import Final

import msgspec
import numpy as np

from ..core import KnowledgeSnapshot
from .home import Home

ROWS: Final = 4
"""Waiting observations compared between two looks at the clock: 4 ms on an x86 core, with 10,000
facts of the shipped image encoder."""

SECONDS_MAX: Final = 1.0
"""Longest that observations are counted, the newest first: a person waits for the answer.  On an
idle x86 core it is the time of about a thousand."""


AGREEING_MAX: Final = 1_000
"""Agreeing observations named for one label: as many as one `label-many` labels."""


class Agreement(msgspec.Struct, frozen=True):
    """Waiting observations that decisions now answer with a label, and did not before.

    known: how many of them count as known; of the others, too few labels are there to decide.
    """

    label: str
    waiting: int
    known: int


class AgreementCount:
    """Compares the answers to the label candidates, the newest first, before and after labels were
    stored.

    before: taken before they were.  labels: that were given.  ids: by label of those that agree and
    count as known, at most `AGREEING_MAX` each.  compared: how many candidates were.  Nothing else
    waits for it: call `advance` until `done`, which it is within `SECONDS_MAX`.
    """

    def __init__(self, home: Home, before: KnowledgeSnapshot, labels: Collection[str]) -> None:
        self._home, self._labels = home, frozenset(labels)
        self._before, self._after = before, home.runtime.snapshot()
        self._ids = list(home.store.candidate_index()) if self._labels else []
        self._until = time.monotonic() + SECONDS_MAX
        self.compared = 0
        self._counts: Counter[str] = Counter()
        self._known: Counter[str] = Counter()
        self.ids: dict[str, list[str]] = {}
        self.done = not self._ids

    def advance(self, seconds: float) -> None:
        """Count on for about this long."""
        started = time.monotonic()
        while self._ids and time.monotonic() - started < seconds:
            self._count()
        self.done = not self._ids or time.monotonic() >= self._until

    @property
    def agreements(self) -> tuple[Agreement, ...]:
        """The counts so far, most first."""
        return tuple(
            Agreement(label, count, self._known[label])
            for label, count in self._counts.most_common()
        )

    def _count(self) -> None:
        keys = self._ids[-ROWS:]
        del self._ids[-ROWS:]
        found = self._home.store.lists.candidate_features(keys)
        if not found:
            return
        self.compared += len(found)
        names = tuple(found)
        rows = np.stack([np.frombuffer(found[name], np.uint8) for name in names])
        after = self._after.answers(rows)
        new = [at for at, (label, _) in enumerate(after) if label in self._labels]
        before = self._before.answers(rows[new])
        for at, (was, _) in zip(new, before, strict=True):
            label, known = after[at]
            if label is not None and was != label:
                self._counts[label] += 1
                self._known[label] += known
                named = self.ids.setdefault(label, [])
                if known and len(named) < AGREEING_MAX:
                    named.append(names[at])
