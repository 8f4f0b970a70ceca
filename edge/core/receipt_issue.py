"""The last steps of a forget request: the digest of the remaining knowledge, and the receipt."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from .facts import Concept, Ledger
from .knowledge import Knowledge
from .pending_forgets import PendingForget
from .receipt import Receipt
from .receipts import keyed_digest, placed_domains


class KnownDigest:
    """The last digest of the knowledge, with the facts and the geometry that it follows from."""

    def __init__(self) -> None:
        self._inputs: tuple[str, Mapping[Concept, str]] | None = None
        self._digest = ""

    def knows(self, knowledge: Knowledge, ledger: Ledger) -> bool:
        """Return whether the digest is that of the knowledge.  That with sums of other devices
        never counts as known."""
        return self._inputs == _inputs(knowledge, ledger) and not knowledge.contributing

    def get(self, knowledge: Knowledge, ledger: Ledger, compute: Callable[[], str]) -> str:
        """Return the digest, computed now unless it is known.  Cost: two passes over all sums and
        thresholds, 15 ms for 210 concepts of 8,192 bits."""
        if not self.knows(knowledge, ledger):
            self._digest, self._inputs = compute(), _inputs(knowledge, ledger)
        return self._digest


def _inputs(knowledge: Knowledge, ledger: Ledger) -> tuple[str, Mapping[Concept, str]]:
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
