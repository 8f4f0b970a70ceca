"""The receipt of a forget request: what was rebuilt, and which places may still hold traces."""

from collections.abc import Mapping
from dataclasses import dataclass

from .events import ForgetRequest
from .facts import Concept, Ledger
from .receipt import Receipt

NOT_COVERED = (
    "backups, exports and bundles outside the home, made before this request",
    "flash wear-levelling and file system journals below the database",
    "the calibration data of the encoder card's quantiser",
)
EVICTED_BEFORE = "adaptors grown from facts that were evicted since (grow the domain again)"
FROZEN_GEOMETRY = (
    "the frozen geometry, fitted to facts that may include these (refitting the geometry covers it)"
)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a forget request has changed.

    digest_before, digest_after: of the knowledge.  parts: that were computed again, besides sums,
    thresholds and heads.  frozen: the geometry in use may have been fitted to the facts.
    """

    digest_before: str
    digest_after: str
    parts: tuple[str, ...]
    frozen: bool


def write_receipt(
    event: ForgetRequest, leaving: Mapping[Concept, int], rebuilt: Rebuilt, ledger: Ledger
) -> Receipt:
    """Return the receipt of a request.  leaving: how many facts of each concept are forgotten."""
    touched = sorted({f"{domain}/{label}" for domain, label in leaving})
    evictions = ledger.evictions()
    grown = (EVICTED_BEFORE,) if evictions and ledger.adaptors() else ()
    frozen = (FROZEN_GEOMETRY,) if rebuilt.frozen else ()
    return Receipt(
        request_id=event.request_id,
        requested_at_ns=event.requested_at_ns,
        selector=event.selector,
        facts_forgotten=sum(leaving.values()),
        concepts_touched=tuple(touched),
        digest_before=keyed_digest(event.request_id, rebuilt.digest_before, ledger),
        digest_after=keyed_digest(event.request_id, rebuilt.digest_after, ledger),
        rebuilt=("sums", "thresholds", "heads", *rebuilt.parts),
        evicted_before=evictions,
        not_covered=NOT_COVERED + frozen + grown,
        accepted_at_ns=event.requested_at_ns,
    )


def keyed_digest(request_id: str, digest: str, ledger: Ledger) -> str:
    """Return a digest as a receipt states it; one that is not known yet stays empty."""
    return ledger.key_digest(request_id, digest) if digest else ""
