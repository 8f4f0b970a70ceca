"""The basis of adaptation as a part that is fitted beside serving."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from .. import limits
from ..adaptors import Spans, TunedKernels, fit_head
from ..adaptors.adaptor import fit_head_and_kernel
from ..facts import FactBatch, Ledger
from ..knowledge import Changes
from .basis import DIRECTIONS_MAX, Basis, KnownDomain, build_basis

DOMAINS_MAX: Final = 8
"""Known domains that take part, those with the most facts: each costs a head.  Chosen by hand."""


CLASS_FACTS_MIN: Final = 4
"""Facts for each label, on average, from which on they show how far a class spreads.  Chosen by
hand."""


class BasisRefit(msgspec.Struct, eq=False, kw_only=True):
    """The basis of the known `domains`.  spans: of the encoder's taps.  contents: of the facts that
    it is fitted to.  tuned: kernels of earlier fits.  made: the result, None where there is nothing
    to adapt, with fewer than two labels, or too few facts of each."""

    domains: Sequence[str]
    spans: Spans
    contents: object
    tuned: TunedKernels = msgspec.field(default_factory=TunedKernels)
    made: Basis | None = None
    _facts: list[tuple[FactBatch, FactBatch]] = msgspec.field(default_factory=list)

    @property
    def name(self) -> str:
        """See `Refit`."""
        return "basis of adaptation"

    def gather(self, ledger: Ledger, without: AbstractSet[str] = frozenset()) -> None:
        """See `Refit`."""
        for domain in self.domains:
            others = [name for name in self.domains if name != domain]
            own = ledger.sample(limits.HEAD_FACTS_MAX, (domain,), without)
            rest = ledger.sample(limits.SUPPORT_FACTS_MAX, others, without)
            if len(own):
                self._facts.append((own, rest))

    def prepare(self, _changes: Changes, /) -> bool:
        """See `Refit`."""
        return bool(self._facts)

    def solve(self) -> None:
        """See `Refit`.  Cost: that of one head per domain."""
        facts, self._facts = self._facts, []
        labels = {label for own, _ in facts for label in own.labels}
        if len(labels) < 2 or sum(len(own) for own, _ in facts) < CLASS_FACTS_MIN * len(labels):
            return
        narrow = self.spans[-1][1] <= DIRECTIONS_MAX
        known = []
        for own, rest in facts:
            if narrow:
                head, machine = fit_head_and_kernel(own, rest, self.spans, self.tuned)
            else:
                head, machine = fit_head(own, rest, self.spans), None
            known.append(KnownDomain(head, own, machine))
        self.made = build_basis(known)

    def is_current(self, changes: Changes) -> bool:
        """See `Refit`."""
        return not changes.any(lambda _: True)
