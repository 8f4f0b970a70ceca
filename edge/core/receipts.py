"""The receipt of a forget request: what was rebuilt, and which places may still hold traces."""

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final

from .events import ForgetRequest
from .facts import Concept, Ledger, Selector
from .provenance import names_subject
from .receipt import AdaptorOutcome, EvictedConcept, PlacedDomain, Receipt
from .structs import FrozenStruct

NOT_COVERED = (
    "backups, exports and bundles outside the home, made before this request",
    "flash wear-levelling and file system journals below the database",
    "the calibration data of the encoder card's quantiser",
)
EVICTED_BEFORE = "adaptors grown from facts that were evicted since (grow the domain again)"
SKETCHES = (
    "sketches of these facts, kept to refuse near duplicates: whoever has the file can test a guess"
    " at their content"
)
FROZEN_GEOMETRY = (
    "the frozen geometry, fitted to facts that may include these (refitting the geometry covers it)"
)
SUMS = (
    "sums of other devices that are included here, without facts: only these devices can forget"
    " what is in them"
)


FORGOTTEN_NAME: Final = "(a forgotten name)"
"""In place of a domain or a label that names the forgotten subject."""

NO_RENAMES: Final[Mapping[str, str]] = MappingProxyType({})


class Rebuilt(FrozenStruct, frozen=True):
    """What a forget request has changed.

    digest_before, digest_after: of the knowledge.  parts: that were computed again, besides sums,
    thresholds and heads.  frozen: the geometry in use may have been fitted to the facts.  adaptors:
    the versions that end.
    """

    digest_before: str
    digest_after: str
    parts: tuple[str, ...]
    frozen: bool
    adaptors: tuple[AdaptorOutcome, ...] = ()


def write_receipt(
    event: ForgetRequest,
    leaving: Mapping[Concept, int],
    rebuilt: Rebuilt,
    ledger: Ledger,
    renames: Mapping[str, str] = NO_RENAMES,
) -> Receipt:
    """Return the receipt of a request.  leaving: how many facts of each concept are forgotten.
    renames: of domains that name its subject.  It names no subject."""
    subject = event.selector.subject or ""
    touched = {
        f"{renames.get(domain) or _shown(domain, subject)}/{_shown(label, subject)}"
        for domain, label in leaving
    }
    evictions = ledger.evictions()
    grown = (EVICTED_BEFORE,) if evictions and ledger.adaptors() else ()
    frozen = (FROZEN_GEOMETRY,) if rebuilt.frozen else ()
    sketched = (SKETCHES,) if event.duplicates == "near" else ()
    devices = ", ".join(summed_devices(ledger))
    summed = (f"{SUMS}: {devices}; send the request to each of them",) if devices else ()
    return Receipt(
        request_id=event.request_id,
        requested_at_ns=event.requested_at_ns,
        selector=event.selector,
        facts_forgotten=sum(leaving.values()),
        concepts_touched=tuple(sorted(touched)),
        digest_before=keyed_digest(event.request_id, rebuilt.digest_before, ledger),
        digest_after=keyed_digest(event.request_id, rebuilt.digest_after, ledger),
        rebuilt=("sums", "thresholds", "heads", *rebuilt.parts),
        evicted_before=evictions,
        not_covered=NOT_COVERED + frozen + grown + sketched + summed,
        adaptors=rebuilt.adaptors,
        duplicates=event.duplicates,
        accepted_at_ns=event.requested_at_ns,
    )


def summed_devices(ledger: Ledger) -> tuple[str, ...]:
    """Return the devices whose sums are included, sorted."""
    return tuple(sorted(one.device for one in ledger.contributions().values() if one.samples))


def nothing_matches(ledger: Ledger) -> str:
    """Return what to do where nothing matches a forget request."""
    devices = ", ".join(summed_devices(ledger))
    elsewhere = f"; {SUMS}: {devices}; send the request there" if devices else ""
    fields = "id, subject, stream, recording, domain, label, time range"
    return f"name at least one of {fields}, as they are here: see `auricle inspect`{elsewhere}"


def subject_renames(
    selector: Selector, leaving: Mapping[Concept, int], ledger: Ledger
) -> tuple[str, ...]:
    """Return the domains that name the subject of a request and keep other facts."""
    counts, left = ledger.concepts(), Counter[str]()
    for concept in counts:
        left[concept[0]] += counts[concept] - leaving.get(concept, 0)
    touched = sorted({domain for domain, _ in leaving})
    return tuple(
        name for name in touched if left[name] and names_subject(name, selector.subject or "")
    )


def placed_domains(
    domains: Iterable[str],
    ledger: Ledger,
    renames: Mapping[str, str] = NO_RENAMES,
    without: AbstractSet[str] = frozenset(),
) -> tuple[PlacedDomain, ...]:
    """Return those of these domains with facts that the detector has put there, or that got another
    name.  The ledger holds the new names.  without: forgotten facts that it still holds."""
    found = []
    for domain in sorted(domains):
        name = renames.get(domain, "")
        facts = ledger.placed(name or domain, without)
        if facts or name:
            found.append(PlacedDomain(name or domain, facts, "kept", name))
    return tuple(found)


def add_evictions(
    before: Iterable[EvictedConcept], evicted: Mapping[Concept, int], subject: str
) -> tuple[EvictedConcept, ...]:
    """Return the evictions of a receipt with those by more facts.  It names no subject."""
    made = Counter({(one.domain, one.label): one.facts for one in before})
    for (domain, label), count in evicted.items():
        made[_shown(domain, subject), _shown(label, subject)] += count
    return tuple(EvictedConcept(*concept, count) for concept, count in sorted(made.items()))


def _shown(name: str, subject: str) -> str:
    return FORGOTTEN_NAME if names_subject(name, subject) else name


def keyed_digest(request_id: str, digest: str, ledger: Ledger) -> str:
    """Return a digest as a receipt states it; one that is not known yet stays empty."""
    return ledger.key_digest(request_id, digest) if digest else ""
