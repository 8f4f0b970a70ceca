"""How many waiting observations agree with new labels, counted in slices between decisions."""

import time
from collections import Counter
from collections.abc import Collection
from typing import Final

import msgspec
import numpy as np

from ..core import KnowledgeSnapshot
from .home import Home

ROWS: Final = 32
"""Waiting observations compared at a time: about two milliseconds on an x86 core."""


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
    """Compares what decisions say about every label candidate before and after labels were stored.

    before: taken before they were.  labels: that were given.  ids: by label of those that agree and
    count as known, at most `AGREEING_MAX` each.  Nothing else waits for it: call `advance` until it
    is `done`.
    """

    def __init__(self, home: Home, before: KnowledgeSnapshot, labels: Collection[str]) -> None:
        self._home, self._labels = home, frozenset(labels)
        self._before, self._after = before, home.runtime.snapshot()
        self._last = -1
        self._counts: Counter[str] = Counter()
        self._known: Counter[str] = Counter()
        self.ids: dict[str, list[str]] = {}
        self.done = not self._labels

    def advance(self, seconds: float) -> None:
        """Count on for about this long."""
        until = time.monotonic() + seconds
        while not self.done and time.monotonic() < until:
            self._count()

    @property
    def agreements(self) -> tuple[Agreement, ...]:
        """What was counted, most first."""
        return tuple(
            Agreement(label, count, self._known[label])
            for label, count in self._counts.most_common()
        )

    def _count(self) -> None:
        page = self._home.store.candidate_page(self._last, ROWS)
        if not page:
            self.done = True
            return
        self._last = page[-1][0]
        rows = np.stack([np.frombuffer(features, np.uint8) for _, _, features in page])
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
                    named.append(page[at][1])
