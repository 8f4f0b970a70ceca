"""A geometry that is fitted beside serving, with all that depends on it, before `FitGeometry` lets
it serve."""

from collections.abc import Mapping

from .facts import Concept, Ledger
from .knowledge import GeometryFitter, GeometryRefit


class PreparedRefit(GeometryRefit):
    """A fit for `PreparedGeometry`; those of forget requests serve without an event."""


class PreparedGeometry:
    """Makes fits of a ledger's geometry until one holds exactly its facts.

    fitter, card: as in `GeometryRefit`.  Once a fit has failed, the next one waits for other facts.
    """

    def __init__(self, ledger: Ledger, fitter: GeometryFitter, card: str) -> None:
        self._ledger, self._fitter, self._card = ledger, fitter, card
        self._asked = False
        self._fitting: PreparedRefit | None = None
        self._made: PreparedRefit | None = None
        self._failed: Mapping[Concept, str] | None = None

    def ask(self) -> None:
        """Begin, unless it has begun."""
        self._asked = True

    def drop(self) -> None:
        """Drop what was made: it may hold facts that are forgotten now."""
        self._asked = False
        self._fitting = self._made = None

    @property
    def ready(self) -> bool:
        """Whether `take` returns a result now."""
        return self._made is not None and self._made.contents == self._ledger.contents()

    def next_refit(self) -> PreparedRefit | None:
        """Return the fit to make in the background, None if there is none; pass it to `accept`.
        Facts that were learned during one are added by the next, under the same geometry."""
        if not self._asked or self.ready or self._failed == self._ledger.contents():
            return None
        base, self._made = self._made, None
        self._fitting = PreparedRefit(fitter=self._fitter, card=self._card, base=base)
        return self._fitting

    def accept(self, refit: PreparedRefit, *, solved: bool) -> None:
        """Take in a fit that was made in the background; one made before `drop` is ignored."""
        if refit is not self._fitting:
            return
        self._fitting = None
        if solved and refit.made is not None:
            self._made = refit
        else:
            self._failed = dict(self._ledger.contents())

    def take(self) -> PreparedRefit | None:
        """Return the result if it holds exactly the facts of the ledger, and end."""
        found = self._made if self.ready else None
        self.drop()
        return found
