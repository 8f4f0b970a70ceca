"""Taking in what another device contributes: when it counts, and when it is refused."""

from collections.abc import Iterator

from .. import limits
from ..columns import columns_differ, unnamed_side
from ..events import Acknowledgement, Effect, Publish, Rejected, StoreContribution
from ..facts import Ledger
from .contributions import Contribution, ContributionSums, read_contribution
from .knowledge import Knowledge


def check_contribution(
    event: Contribution, known: Knowledge, ledger: Ledger, card: str
) -> Iterator[Effect]:
    """Adopt another device's sums in place of those it gave before.

    A newer revision ends the one before even where it cannot be used itself: what it replaced may
    hold what was forgotten there.  An older or equal one changes nothing, however often it comes.
    """
    kept = ledger.contributions()
    held = kept.get(event.device)
    if not event.replaces(held, known.geometry):
        yield Publish(Acknowledgement(event.device, 0, f"revision {event.revision} is not newer"))
        return
    if held is None and len(kept) >= limits.CONTRIBUTIONS_MAX:
        many = f"those of {len(kept)} devices are held already"
        yield _refuse(event, many, "take a device out of the fleet, or merge ledgers")
        return
    columns = ledger.columns()
    wrong = _misfit(event, known, card) or columns_differ(columns, event.columns)
    if not wrong and event.samples:
        sums = read_contribution(event, known.geometry)
        if not isinstance(sums, ContributionSums):
            yield _refuse(event, sums, "nothing was changed")
            return
    taken = event.bare if wrong else event
    known.adopt({**kept, event.device: taken}, card)
    yield StoreContribution(taken)
    if wrong:
        gone = "; what it gave before is out" if held is not None and held.samples else ""
        hint = "give it the card, the geometry and the columns used here"
        yield _refuse(event, wrong + gone, hint)
    else:
        unnamed = unnamed_side(columns, event.columns)
        detail = f"revision {event.revision}" + (f"; {unnamed}" if unnamed else "")
        yield Publish(Acknowledgement(event.device, event.samples, detail))


def conflicting_contribution(known: Knowledge, ledger: Ledger) -> str:
    """Say which devices' sums do not fit the geometry in use, if any."""
    names = {one.device for one in ledger.contributions().values() if one.samples}
    out = ", ".join(sorted(names - set(known.adopted)))
    return f"of another geometry, and set aside: {out}" if out else ""


def _misfit(event: Contribution, known: Knowledge, card: str) -> str:
    """Say why sums cannot be added to those held here, or nothing."""
    here = known.geometry
    if event.card != card:
        return f"they are of the encoder card {event.card[:12]}, the one here is {card[:12]}"
    if event.seed != here.seed:
        return f"they were projected with seed {event.seed}, the one here is {here.seed}"
    if event.geometry != here.fingerprint:
        found, expected = event.geometry[:12], here.fingerprint[:12]
        return f"they were made with the geometry {found}, the one here is {expected}"
    return ""


def _refuse(event: Contribution, reason: str, hint: str) -> Publish:
    return Publish(Rejected(event.device, f"adopting sums of {event.device}: {reason}", hint))
