"""Whether a contribution is adopted, and why not."""

from collections.abc import Mapping

import msgspec

import hdc

from .. import limits
from ..columns import columns_differ, unnamed_side
from .contributions import Contribution, find_invalid_contribution
from .fleet_members import counted_twice


class ContributionReview(msgspec.Struct, frozen=True, eq=False):
    """Whether a contribution is stored, and the answer to its device.

    stored: the contribution to keep, without sums if they cannot be used; None changes nothing.
    rejection: why the sums are not used; empty if they are.  detail: of the acknowledgement.
    hint: how to correct a rejected one.
    """

    stored: Contribution | None
    rejection: str = ""
    hint: str = ""
    detail: str = ""


def review_contribution(
    given: Contribution,
    held: Mapping[str, Contribution],
    geometry: hdc.Geometry,
    card: str,
    columns: tuple[str, ...],
) -> ContributionReview:
    """Decide whether a contribution replaces the one held of its device.

    held: by device.  card, columns: of the own ledger.  A newer revision replaces the one before
    even if it cannot be used itself: the replaced one may hold facts that were forgotten there.  An
    older or equal one changes nothing, however often it arrives.
    """
    before = held.get(given.device)
    if not given.replaces(before, geometry):
        return ContributionReview(None, detail=f"revision {given.revision} is not newer")
    if before is None and len(held) >= limits.CONTRIBUTIONS_MAX:
        many = f"those of {len(held)} devices are held already"
        return ContributionReview(None, many, "take a device out of the fleet, or merge ledgers")
    wrong = _mismatch(given, geometry, card) or columns_differ(columns, given.columns)
    if wrong:
        gone = "; its earlier sums are removed" if before is not None and before.samples else ""
        hint = "give it the card, the geometry and the columns used here"
        return ContributionReview(given.without_sums, wrong + gone, hint)
    invalid = find_invalid_contribution(given, geometry) if given.samples else ""
    if invalid:
        return ContributionReview(None, invalid, "nothing was changed")
    twice = counted_twice(given, held)
    if twice:
        return ContributionReview(given.without_sums, twice, "adopt one of the two")
    unnamed = unnamed_side(columns, given.columns)
    detail = f"revision {given.revision}" + (f"; {unnamed}" if unnamed else "")
    return ContributionReview(given, detail=detail)


def _mismatch(given: Contribution, here: hdc.Geometry, card: str) -> str:
    """Return why sums cannot be added to those held here; empty if they can."""
    if given.card != card:
        return f"they are of the encoder card {given.card[:12]}, the one here is {card[:12]}"
    if given.seed != here.seed:
        return f"they were projected with seed {given.seed}, the one here is {here.seed}"
    if given.geometry == here.fingerprint:
        return ""
    found, expected = given.geometry[:12], here.fingerprint[:12]
    if given.geometry_version != here.version:
        return (
            f"they were made with the geometry {found} of version {given.geometry_version}, the one"
            f" here, {expected}, has version {here.version}"
        )
    return f"they were made with the geometry {found}, the one here is {expected}"
