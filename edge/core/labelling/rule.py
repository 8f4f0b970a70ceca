"""The interface of labelling rules."""

from typing import Protocol

from .pool import LabellingPool


class LabellingRule(Protocol):
    """A rule that chooses which observations to label next; begun from a seed.

    The same seed and pool give the same choice.
    """

    def choose(self, pool: LabellingPool, count: int) -> tuple[int, ...]:
        """Return the unlabelled rows most worth a label, best first, at most `count`.

        Distinct; fewer only if fewer are unlabelled.  The choice may use the labels and answers in
        the pool, so that it improves when it is asked again after each label.
        """
