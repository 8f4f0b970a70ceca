"""The promises, checked from outside while a simulation runs; a broken one stops it."""

from collections.abc import Iterable, Mapping
from typing import Final

from ..core import EdgeError, Ledger, MemoryLedger, Runtime, derive
from ..shell.store import Store

FEATURE_BYTES_MIN: Final = 16
"""Features shorter than this may be found in a file by chance."""

PROBE_BYTES: Final = 64


class BrokenPromiseError(EdgeError):
    """A simulated device broke a promise of Auricle: a bug, with the scenario to show it."""


def check_knowledge(runtime: Runtime, ledger: Ledger, card_fingerprint: str) -> None:
    """Knowledge is what deriving the ledger from scratch gives, bit for bit."""
    fresh = derive(ledger, runtime.knowledge.geometry).digest(card_fingerprint)
    kept = runtime.digest()
    _promise(fresh == kept, f"knowledge {kept[:12]} is not what its ledger gives, {fresh[:12]}")


def check_ledger(store: Store, mirror: MemoryLedger) -> None:
    """The store holds the effects that it confirmed, no more and no less."""
    _promise(store.digest() == mirror.digest(), "the store does not hold what it confirmed")
    found = store.check()
    _promise(not found, f"the store is damaged: {'; '.join(found)}")


def check_acknowledged(acknowledged: Mapping[str, str], store: Ledger) -> None:
    """Each acknowledged label is there, as it was acknowledged last."""
    for fact_id, label in acknowledged.items():
        fact = store.get(fact_id)
        _promise(fact is not None, f"the acknowledged label of {fact_id} is lost")
        _promise(fact is None or fact.label == label, f"the label of {fact_id} is another one")


def check_forgotten(erased: Mapping[str, bytes], store: Store, kept: Iterable[bytes]) -> None:
    """Receipted ids and their features are nowhere: not in the ledger, not in the file's bytes.

    kept: features of facts that stay; equal ones cannot be told apart and are not looked for.
    """
    files = [store.path, store.path.with_name(store.path.name + "-wal")]
    raw = [path.read_bytes() for path in files if path.exists()]
    probes = {features[:PROBE_BYTES] for features in kept}
    for fact_id, features in erased.items():
        _promise(store.get(fact_id) is None, f"forgotten {fact_id} is in the ledger")
        _promise(store.buried(fact_id), f"forgotten {fact_id} could be learned again")
        _promise(not _found(fact_id.encode(), raw), f"the id of forgotten {fact_id} is in the file")
        probe = features[:PROBE_BYTES]
        if len(features) >= FEATURE_BYTES_MIN and probe not in probes:
            _promise(not _found(probe, raw), f"features of forgotten {fact_id} are in the file")


def check_bounds(runtime: Runtime, ledger: Ledger) -> None:
    """No concept outgrows its capacity, and memory holds the ledger's concepts and no other."""
    counts = ledger.concepts()
    capacity = runtime.config.facts_per_concept
    _promise(max(counts.values(), default=0) <= capacity, "a concept has outgrown its capacity")
    _promise(
        set(runtime.knowledge.memory.keys) == set(counts),
        "the memory's concepts are not those of the ledger",
    )


def _found(part: bytes, files: list[bytes]) -> bool:
    return any(part in content for content in files)


def _promise(kept: bool, broken: str) -> None:  # noqa: FBT001
    if not kept:
        raise BrokenPromiseError(
            f"simulating: {broken}", "please report this with the scenario and the seed"
        )
