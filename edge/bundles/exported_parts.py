"""Which parts of a bundle may leave the device: geometry and adaptors follow from facts, and two of
them differ by what was learned or forgotten in between.

The rule is that of contributions (`core.knowledge.cohorts`): what differs from everything of its
kind that left before needs enough facts that had no part in any of that.
"""

from collections.abc import Iterable, Sequence

from ..core import EdgeError, GeometryFitter, digest_content, limits, may_be_exported
from ..core.adaptors import AdaptorRecord
from ..home import Home
from ..storage import ExportedPart, Store

Members = tuple[bytes, ...]


def geometry_part(home: Home, key: bytes) -> ExportedPart | None:
    """Return the geometry in use as a part to record; None if it does not follow from facts of this
    device.  Raises EdgeError if it may not leave the device."""
    packed = home.store.geometry()
    if packed is None or not GeometryFitter.was_fitted(packed):
        return None
    name = digest_content(home.runtime.knowledge.geometry.fingerprint.encode(), key)
    earlier = home.store.publications.earlier_parts("geometry")
    if name in earlier:
        return ExportedPart("geometry", name, earlier[name])
    rows = home.store.sample(limits.GEOMETRY_FACTS_MAX)
    members = tuple(sorted(digest_content(row.tobytes(), key) for row in rows.features))
    if not may_be_exported(members, earlier.values()):
        raise EdgeError(
            "exporting a bundle: its geometry would differ from one that was exported before, or"
            f" from none, by fewer than {limits.COHORT_FRESH_MIN} new facts, and so give single"
            " facts away",
            f"learn {limits.COHORT_FRESH_MIN} more different facts, run `auricle fit-geometry`, and"
            " export again",
        )
    return ExportedPart("geometry", name, members)


def choose_adaptors(
    store: Store, serving: Sequence[AdaptorRecord], key: bytes
) -> list[tuple[AdaptorRecord, ExportedPart]]:
    """Return the adaptors that may leave the device.  Those that came in a bundle may not: who
    holds them could not be found again."""
    earlier = dict(store.publications.earlier_parts("adaptor"))
    chosen = []
    for record in serving:
        name = digest_content(record.digest.encode(), key)
        members = earlier.get(name) or _members(store, record.facts, key)
        if name in earlier or may_be_exported(members, earlier.values()):
            earlier[name] = members
            chosen.append((record, ExportedPart("adaptor", name, members)))
    return chosen


def _members(store: Store, ids: Iterable[str], key: bytes) -> Members:
    found = (store.get(one) for one in ids)
    return tuple(sorted(digest_content(one.features, key) for one in found if one is not None))
