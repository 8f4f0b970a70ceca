"""What a receipt itself says of series, evictions, placed domains, files and other devices."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..core import Fact
from .findings import Figure, Finding, counted, not_covered

Receipt = Mapping[str, Any]
"""A receipt as stored, as plain data."""


def receipt_findings(receipt: Receipt) -> Iterator[Finding]:
    """Yield a finding for each part of a receipt that an audit of a home cannot compare with a
    twin."""
    restarted = [one for one in receipt.get("series", ()) if one["outcome"] == "restarted"]
    if restarted:
        lost = sum(one["lost_samples"] for one in restarted)
        yield not_covered(
            "series_restarted",
            "Series that started again",
            f"{counted(len(restarted), 'forecaster')} started again without history, which cost"
            f" {counted(lost, 'other sample')}.",
        )
    evicted = sum(one["facts"] for one in receipt.get("evictions", ()))
    if evicted:
        yield not_covered(
            "evictions",
            "Facts that the forgotten ones had evicted",
            f"Without the forgotten facts, the home would hold {counted(evicted, 'fact')} more.",
            "Learn them again, if they still exist elsewhere.",
        )
    kept = [one for one in receipt.get("placed", ()) if one["outcome"] == "kept"]
    if kept:
        yield not_covered(
            "placed",
            "Domains that the detector chose",
            f"{counted(sum(one['facts'] for one in kept), 'fact')} stay in domains that the"
            " detector chose while the forgotten facts were known.",
            "Correct them with `auricle relabel`, if they belong elsewhere.",
        )
    yield from _devices(receipt)


def _devices(receipt: Receipt) -> Iterator[Finding]:
    devices = receipt.get("devices", ())
    if not devices:
        return
    waiting = sum(not one["sent"] for one in devices)
    yield not_covered(
        "devices",
        "Other devices",
        f"{counted(len(devices), 'device')} held what the forgotten facts shaped and got orders to"
        f" drop it; {waiting} of these orders still wait.",
        "Audit these devices, too." if not waiting else "Connect these devices, then audit them.",
    )


def remaining_finding(
    before: Mapping[str, Fact], after: Mapping[str, Fact], receipt: Receipt
) -> Finding:
    """Compare the facts that should remain with those that do.  A request may place them in other
    domains, and its receipt then says so."""
    lost = before.keys() - after.keys()
    added = after.keys() - before.keys()
    changed = [one for key, one in before.items() if key in after and after[key] != one]
    placed = sum(
        one["facts"] for one in receipt.get("placed", ()) if one["outcome"] == "placed again"
    )
    wrong = len(lost) + len(added) + max(0, len(changed) - placed)
    return Finding(
        key="remaining",
        title="Remaining facts",
        evidence="proven",
        outcome="fails" if wrong else "holds",
        text=f"{counted(wrong, 'fact')} differ from those that should remain."
        if wrong
        else f"All {len(after)} facts that should remain do"
        + (f"; {placed} of them were placed in other domains." if changed else ", unchanged."),
        figures=(
            Figure(name="lost", value=len(lost)),
            Figure(name="added", value=len(added)),
            Figure(name="changed", value=len(changed)),
        ),
    )
