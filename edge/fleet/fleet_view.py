"""What a device knows of its fleet: who contributed what and when, and never whose facts."""

from pathlib import Path
from typing import Final

import msgspec

from ..config import read_settings
from ..home import Home
from ..storage import ChildPage, FleetRefusal
from .aggregate_home import AggregateView, describe_aggregate

CHILDREN_SHOWN: Final = 100
"""Children of an aggregator in one view.  Chosen by hand."""


class MemberRow(msgspec.Struct, frozen=True, kw_only=True):
    """Another member.  revision: of the contribution that is held of it, 0 for none.  used: whether
    its sums count here."""

    device: str
    revision: int = 0
    samples: int = 0
    devices: int = 0
    concepts: int = 0
    geometry_version: int = 0
    used: bool = False


class AggregateAbove(msgspec.Struct, frozen=True, kw_only=True):
    """An aggregate that holds this device's sums.  at_ns: when it took the revision in."""

    aggregate: str
    revision: int
    at_ns: int


class MembershipView(msgspec.Struct, frozen=True, kw_only=True):
    """A device's place in its fleet.  revision: of its own last contribution, published: whether
    that holds sums.  refused: why the aggregator does not sum it.  waiting: listed devices that
    have not contributed."""

    fleet: str
    device: str
    revision: int
    published: bool
    above: tuple[AggregateAbove, ...]
    refused: str
    members: tuple[MemberRow, ...]
    waiting: tuple[str, ...]
    refusals: tuple[FleetRefusal, ...]


class FleetView(msgspec.Struct, frozen=True, kw_only=True):
    """Both roles of a home: a member of a fleet, and an aggregator of one."""

    member: MembershipView | None
    aggregate: AggregateView | None


def describe_fleet(home: Home, state: str = "", find: str = "", offset: int = 0) -> FleetView:
    """Return what a home knows of its fleet.  state, find: of the aggregator's children that are
    listed, and a part of their names; empty for all.  offset: so many of them before.  Cost: reads
    no sums, but the names of adopted contributions."""
    page = ChildPage(state=state, find=find, offset=offset, limit=CHILDREN_SHOWN)
    aggregate = describe_aggregate(home.folder, page)
    return FleetView(member=_membership(home), aggregate=aggregate)


def describe_roles(folder: Path) -> FleetView:
    """Return what a home knows of its fleet, with all children of its aggregator, also while a
    daemon has it open.  Raises ConfigError for its settings, StateError for its file."""
    member = None
    if read_settings(folder).fleet is not None:
        with Home(folder, writable=False) as home:
            member = _membership(home)
    return FleetView(member=member, aggregate=describe_aggregate(folder))


def _membership(home: Home) -> MembershipView | None:
    settings = home.settings.fleet
    if settings is None:
        return None
    publications, held = home.store.publications, home.store.contributions()
    used = set(home.runtime.knowledge.contributing)
    last, above = publications.last(), publications.above()
    rows = tuple(
        MemberRow(
            device=one.device,
            revision=one.revision,
            samples=one.samples,
            devices=one.devices if one.samples else 0,
            concepts=len(one.arrays["counts"]) if one.samples else 0,
            geometry_version=one.geometry_version,
            used=one.device in used,
        )
        for one in held.values()
    )
    return MembershipView(
        fleet=settings.name,
        device=home.settings.device.known_as,
        revision=last.revision,
        published=bool(last.content),
        above=tuple(
            AggregateAbove(aggregate=one.aggregate, revision=one.revision, at_ns=one.at_ns)
            for one in above.rows
        ),
        refused=above.refused,
        members=rows,
        waiting=tuple(sorted(set(settings.devices) - set(held))),
        refusals=publications.refusals(),
    )
