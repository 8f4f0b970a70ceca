"""Checks of the runtime's promises during a simulation; a broken promise stops it."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from ..core import EdgeError, GrowthJob, GrowthResult, Ledger, MemoryLedger, Runtime, limits
from ..core.adaptors import AdaptorRecord
from ..core.knowledge import derive_knowledge
from ..storage import Store

FEATURE_BYTES_MIN: Final = 16
"""Shorter features occur in a file by chance."""

PROBE_BYTES: Final = 64
"""A 64-byte prefix identifies features: chance matches are impossible, and reading stays fast."""


class BrokenPromiseError(EdgeError):
    """A simulated device broke a promise of Auricle: a bug; scenario and seed reproduce it."""


def check_knowledge(runtime: Runtime, ledger: Ledger, card_fingerprint: str) -> None:
    """Check that knowledge equals a fresh derivation from the ledger, bit for bit."""
    fresh = derive_knowledge(ledger, runtime.knowledge.geometry).digest(card_fingerprint)
    kept = runtime.digest()
    _promise(
        fresh == kept,
        f"knowledge {kept[:12]} differs from a derivation of its ledger, {fresh[:12]}",
    )


def check_ledger(store: Store, mirror: MemoryLedger) -> None:
    """Check that the store holds exactly the effects that it confirmed."""
    _promise(
        store.digest() == mirror.digest(),
        "the store lacks facts that it confirmed, or holds others",
    )
    _promise(_versions(store) == _versions(mirror), "the store holds other adaptors than confirmed")
    _promise(
        dict(store.attempts()) == dict(mirror.attempts()), "the store holds other failed attempts"
    )
    _promise(
        set(store.candidates()) == set(mirror.candidates()), "the store holds other candidates"
    )
    found = store.check()
    _promise(not found, f"the store is damaged: {'; '.join(found)}")


def check_acknowledged(acknowledged: Mapping[str, str], store: Ledger) -> None:
    """Check that the ledger holds each acknowledged label, in its latest version."""
    for fact_id, label in acknowledged.items():
        fact = store.get(fact_id)
        _promise(fact is not None, f"the acknowledged label of {fact_id} is lost")
        _promise(
            fact is None or fact.label == label,
            f"the label of {fact_id} differs from the acknowledged one",
        )


def check_forgotten(erased: Mapping[str, bytes], store: Store, kept: Iterable[bytes]) -> None:
    """Check that forgotten ids and their features are neither in the ledger nor in the file's
    bytes.

    kept: features of the remaining facts; features equal to one of them are not searched for.
    """
    files = [store.path, store.path.with_name(store.path.name + "-wal")]
    raw = [path.read_bytes() for path in files if path.exists()]
    probes = {features[:PROBE_BYTES] for features in kept}
    for fact_id, features in erased.items():
        _promise(store.get(fact_id) is None, f"forgotten {fact_id} is in the ledger")
        _promise(store.was_forgotten(fact_id), f"forgotten {fact_id} could be learned again")
        _promise(not _found(fact_id.encode(), raw), f"the id of forgotten {fact_id} is in the file")
        probe = features[:PROBE_BYTES]
        if len(features) >= FEATURE_BYTES_MIN and probe not in probes:
            _promise(not _found(probe, raw), f"features of forgotten {fact_id} are in the file")


def check_bounds(runtime: Runtime, ledger: Ledger) -> None:
    """Check that no concept exceeds its capacity, and that memory holds exactly the ledger's."""
    counts = ledger.concepts()
    capacity = runtime.config.facts_per_concept
    _promise(max(counts.values(), default=0) <= capacity, "a concept exceeds its capacity")
    _promise(
        set(runtime.knowledge.memory.keys) == set(counts),
        "the memory's concepts are not those of the ledger",
    )


def check_adaptors(store: Ledger, erased: AbstractSet[str]) -> None:
    """Check that no adaptor was trained on a forgotten fact, and that their number is bounded."""
    kept = store.adaptors()
    _promise(len(kept) <= limits.ADAPTORS_MAX, "more domains have an adaptor than allowed")
    for domain, versions in kept.items():
        _promise(len(versions) <= limits.VERSIONS_MAX, f"{domain} has too many adaptor versions")
        for record in versions:
            known = erased & set(record.facts)
            _promise(
                not known, f"adaptor {domain} {record.version} was trained on forgotten {known}"
            )


def check_budget(runtime: Runtime, record: AdaptorRecord) -> None:
    """Check that an adaptor just installed stays within its budget, head included."""
    adaptor, budget = runtime.knowledge.adaptor(record.domain), runtime.config.budget
    _promise(adaptor.nbytes <= budget.nbytes, f"adaptor {record.domain} has too many bytes")
    _promise(
        adaptor.operations <= budget.operations,
        f"adaptor {record.domain} takes too many operations",
    )


def check_regrowth(
    grow: Callable[[GrowthJob], GrowthResult], job: GrowthJob, record: AdaptorRecord
) -> None:
    """Check that the same job gives the same adaptor, bit for bit."""
    again = grow(job).record
    _promise(
        again is not None and again.digest == record.digest,
        f"adaptor {record.domain} {record.version} differs when grown again from the same job",
    )


def _versions(ledger: Ledger) -> dict[str, list[str]]:
    return {name: [record.digest for record in kept] for name, kept in ledger.adaptors().items()}


def _found(part: bytes, files: list[bytes]) -> bool:
    return any(part in content for content in files)


def _promise(kept: bool, broken: str) -> None:  # noqa: FBT001
    if not kept:
        raise BrokenPromiseError(
            f"simulating: {broken}", "please report this with the scenario and the seed"
        )
