"""The geometry, fitted again in the background after a forget request, with all that depends on it:
sums and thresholds.  Adaptors and router read features, not codes, so they stay."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import msgspec

from ..facts import Concept, Ledger, SampleScope
from .geometry_fit import NOTHING, GeometryFitter, Packed
from .knowledge import Knowledge
from .refits import Changes


class GeometryRefit(msgspec.Struct, eq=False, kw_only=True):
    """Knowledge under a geometry that is fitted to the facts of a ledger.  card: as in
    `derive_knowledge`.

    base: an earlier result, to be brought up to date with the facts learned since; its geometry
    stays.  made: the knowledge; None where the geometry in use is that of the facts.  packed: the
    arrays of the geometry.  sample: the ids that it was fitted to.  scope: which facts change it;
    None where it need not be today's sample.  contents: of the ledger that was read.
    """

    fitter: GeometryFitter
    card: str
    base: "GeometryRefit | None" = None
    made: Knowledge | None = None
    packed: Packed = msgspec.field(default_factory=dict)
    sample: AbstractSet[str] = NOTHING
    scope: SampleScope | None = None
    contents: Mapping[Concept, str] = msgspec.field(default_factory=dict)

    @property
    def name(self) -> str:
        """See `Refit`."""
        return "geometry"

    def gather(self, ledger: Ledger, without: AbstractSet[str] = NOTHING) -> None:
        """See `Refit`.  Cost: one projection for each fact of a concept that `base` does not hold,
        and what thresholds take."""
        base, self.base = self.base, None
        self.contents = dict(ledger.contents())
        if base is None or base.made is None:
            rows = self.fitter.sample(ledger, without)
            self.scope = self.fitter.scope(rows)
            if self.fitter.fits(ledger.geometry(), rows):
                return
            geometry, self.packed = self.fitter.fit_sample(rows)
            self.sample = frozenset(rows.ids)
            made = Knowledge(ledger, geometry)
        else:
            self.packed, self.sample = base.packed, base.sample
            made = Knowledge(ledger, base.made.geometry)
            made.reuse(base.made, base.contents)
        missing = self.contents.keys() - made.own.counts.keys()
        for concept, features in ledger.concept_features(missing, without):
            made.own.add(*concept, made.geometry.project(features))
        made.set_contributions(ledger.contributions(), self.card)
        made.calibration()
        self.made = made

    def prepare(self, _changes: Changes, /) -> bool:
        """See `Refit`."""
        return True

    def solve(self) -> None:
        """See `Refit`: `gather` has done it all, from one state of the ledger."""

    def is_current(self, _changes: Changes) -> bool:
        """See `Refit`; the runtime compares `contents`."""
        return True
