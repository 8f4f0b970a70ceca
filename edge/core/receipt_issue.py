"""The last steps of a forget request: the digest of the remaining knowledge, and the receipt."""

from collections.abc import Callable

from msgspec.structs import replace

from .facts import Ledger
from .knowledge import DigestInputs, DigestRefit, Knowledge
from .pending_forgets import PendingForget
from .receipt import Receipt
from .receipts import keyed_digest, placed_domains


class KnownDigest:
    """The last digest of the knowledge, with the facts and the geometry that it follows from.

    Where decisions may not wait for it, it is computed in the background after each change, once
    the thresholds are those of today's facts; a forget request then finds it.
    """

    def __init__(self) -> None:
        self._inputs: DigestInputs | None = None
        self._failed: DigestInputs | None = None
        self._digest = ""

    def knows(self, knowledge: Knowledge, ledger: Ledger) -> bool:
        """Return whether the digest is that of the knowledge.  That with sums of other devices
        never counts as known."""
        return self._inputs == _inputs(knowledge, ledger) and not knowledge.contributing

    def get(self, knowledge: Knowledge, ledger: Ledger, compute: Callable[[], str]) -> str:
        """Return the digest, computed now unless it is known; see `DigestedState` for the cost."""
        if not self.knows(knowledge, ledger):
            self._digest, self._inputs = compute(), _inputs(knowledge, ledger)
        return self._digest

    def awaits(self, knowledge: Knowledge, ledger: Ledger) -> bool:
        """Return whether the digest is still to be computed in the background."""
        if not knowledge.may_wait or self.knows(knowledge, ledger):
            return False
        return self._failed != _inputs(knowledge, ledger)

    def refit(self, knowledge: Knowledge, ledger: Ledger, card: str) -> DigestRefit | None:
        """Return the digest to compute in the background; None if it is known, or there are
        thresholds to compute first.  card: fingerprint of the encoder card."""
        if knowledge.deriving or not self.awaits(knowledge, ledger):
            return None
        return DigestRefit(_inputs(knowledge, ledger), knowledge.digested_state(card))

    def accept(self, refit: DigestRefit, *, solved: bool) -> None:
        """Take in a digest.  One that failed is computed where it is needed, and raises there."""
        if solved:
            self._inputs, self._digest = refit.inputs, refit.made
        else:
            self._failed = refit.inputs


def _inputs(knowledge: Knowledge, ledger: Ledger) -> DigestInputs:
    return knowledge.geometry.fingerprint, dict(ledger.contents())


def complete_receipt(one: PendingForget, ledger: Ledger, digest: str, at_ns: int) -> Receipt:
    """Return the receipt of a request whose derivations are done.  digest: of what remains."""
    key = one.receipt.request_id
    return replace(
        one.receipt,
        digest_after=keyed_digest(key, digest, ledger),
        placed=placed_domains(one.domains, ledger, dict(one.renames)),
        completed_at_ns=max(1, at_ns),
        devices=ledger.device_orders(key, ()),
    )
