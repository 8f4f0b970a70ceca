"""How the command line shows a fleet: a simulated one, and what an aggregator holds."""

from typing import TYPE_CHECKING, Any

import msgspec

from .common import say, show_table
from .explanation import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...fleet import AggregateView, LeftFleet, MembershipView
    from ...sim.fleet import FleetOutcome


def fleet_as_data(outcome: "FleetOutcome") -> dict[str, Any]:
    """Return a simulated fleet's result as data."""
    found = dict(msgspec.to_builtins(outcome))
    total = sum(outcome.seconds.values())
    return {**found, "digest_equal": outcome.digest_equal, "total_seconds": round(total, 2)}


def show_simulation(one: "FleetOutcome") -> None:
    """Show a simulated fleet: each promise with the number that decides it.  The comparison that
    finds poisoners is an estimate, and no promise: it has no tick."""
    faults = one.faults
    outdated = {"other card": "card", "other geometry": "geometry", "other version": "version"}
    hostile = {
        "impossible": "no facts sum up",
        "greedy": "facts of one concept",
        "impostor": "manifest",
    }
    rows = [
        ("devices with a ledger of their own", f"{one.devices:,}", ""),
        (
            f"contributions, through {one.sites} sites and {one.regions} regions to a root",
            f"{one.messages:,}",
            "",
        ),
        (
            "transmissions: lost and sent again / arrived twice / back after months",
            f"{faults.lost:,} / {faults.doubled:,} / {faults.replayed:,}",
            "",
        ),
        ("arrivals that changed nothing, as they were not newer", f"{faults.unchanged:,}", ""),
    ]
    for kinds, what in ((outdated, "outdated"), (hostile, "hostile")):
        for kind, text in kinds.items():
            count = one.kinds.get(kind, 0)
            refused = one.refusals.get(text, 0)
            done = _tick(refused >= count) if count else ""
            rows.append((f"{what}: {kind}; members / refusals", f"{count} / {refused}", done))
    rows += [
        (
            "hostile: poisoners; found by comparison / members, honest reported as well",
            f"{one.poisoners_found} / {one.poisoners}, {one.reported_wrongly}",
            "",
        ),
        (
            "members in a state that they may not have",
            f"{len(one.wrong)}",
            _tick(not one.wrong),
        ),
        ("members whose sums are in the root", f"{one.contributed:,}", ""),
        ("facts that they published", f"{one.published_facts:,}", ""),
        (
            "bits that differ from one device that holds these facts",
            f"{one.bits_differing:,}",
            _tick(not one.bits_differing),
        ),
        ("digests equal", one.digest[:12] + " " + one.digest_of_one[:12], _tick(one.digest_equal)),
        ("bytes that a device sends", f"{one.bytes_per_device:,.0f}", ""),
        ("seconds of all processors", f"{one.cpu_seconds:.1f}", ""),
    ]
    rows += [(f"seconds: {name}", f"{value:.1f}", "") for name, value in one.seconds.items()]
    show_table(("what", "number", ""), rows)
    for text in one.wrong[:10]:
        say(text)


def show_aggregate(found: "AggregateView", *, every: bool) -> None:
    """Show what an aggregator holds."""
    say(
        f"{found.name}: {found.samples:,} facts of {found.devices:,} devices in {found.concepts}"
        f" concepts, revision {found.revision}"
    )
    show_table(
        ("children", "number"),
        [(state, f"{count:,}") for state, count in found.states.items()],
    )
    if every:
        names = ("child", "state", "revision", "facts", "devices", "since")
        rows = [
            (one.device, one.state, one.revision, one.samples, one.devices, format_time(one.at_ns))
            for one in found.children
        ]
        show_table(names, rows)
    for device, at_ns in found.waiting:
        say(f"waits: {device}, since {format_time(at_ns)}")
    for refusal in found.refusals:
        say(f"refused: {refusal.device}, {format_time(refusal.at_ns)}: {refusal.reason}")
    show_outliers(found)


def show_membership(found: "MembershipView") -> None:
    """Show a member's place in its fleet, and what it has adopted."""
    own = "sums published" if found.published else "no sums published"
    say(f"{found.device} in the fleet {found.fleet}: {own}, revision {found.revision}")
    for above in found.above:
        say(f"summed by {above.aggregate}: revision {above.revision}, {format_time(above.at_ns)}")
    if found.refused:
        say(f"not summed: {found.refused}")
    names = ("adopted", "used", "revision", "facts", "devices", "concepts")
    rows = [
        (one.device, _tick(one.used), one.revision, one.samples, one.devices, one.concepts)
        for one in found.members
    ]
    show_table(names, rows)
    if found.waiting:
        say(f"nothing has come from: {', '.join(found.waiting)}")
    for refusal in found.refusals:
        say(f"refused: {refusal.device}, {format_time(refusal.at_ns)}: {refusal.reason}")


def show_left(left: "Iterable[LeftFleet]") -> None:
    """Show the fleets that a device has left, and whether its sums are withdrawn there."""
    for one in left:
        where = f"left: {one.device} in the fleet {one.fleet}"
        if one.waiting:
            say(f"{where}: its sums are still there, the withdrawal waits: {one.waiting}")
        else:
            when = format_time(one.withdrawn_at_ns)
            say(f"{where}: withdrawn, {one.withdrawn_by or 'the broker'} has it since {when}")
        if one.doubt:
            say(f"  {one.doubt}")
        if one.waiting or one.doubt:
            say(f"  or run `auricle fleet drop {one.device}` at the aggregator")


def show_outliers(found: "AggregateView") -> None:
    """Show the children that the last check found far from the others."""
    if not found.outliers:
        say("no child is far from the others")
    for one in found.outliers:
        say(
            f"far from the others: {one.device} in {one.domain}/{one.label}, {one.spreads:.0f}"
            f" standard deviations, {one.share:.1%} of the facts"
        )


def _tick(earned: object) -> str:
    return "✓" if earned else "✗"
