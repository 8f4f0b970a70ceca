"""What a device knows of its fleet: who contributed what and when, and never whose facts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from ..config import Settings, read_settings
from ..core import EdgeError
from ..home import Home
from ..signing import load_key
from ..storage import ChildPage, FleetPlace, FleetRefusal, Store
from .aggregate_home import AggregateView, describe_aggregate
from .left_fleets import NO_BROKER

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


class LeftFleet(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet that this device has left, or was in under another name.  revision: of the
    withdrawal, 0 if it is not made yet.  aggregates: that held its sums.
    withdrawn_at_ns, withdrawn_by: when which broker took the withdrawal.  waiting: why none has
    yet, empty if one has.  doubt: why it may not have got there all the same."""

    fleet: str
    device: str
    revision: int
    aggregates: tuple[str, ...]
    withdrawn_at_ns: int
    withdrawn_by: str
    waiting: str
    doubt: str


class FleetView(msgspec.Struct, frozen=True, kw_only=True):
    """Both roles of a home: a member of a fleet, and an aggregator of one; and the fleets that it
    has left."""

    member: MembershipView | None
    aggregate: AggregateView | None
    left: tuple[LeftFleet, ...] = ()


def describe_fleet(home: Home, state: str = "", find: str = "", offset: int = 0) -> FleetView:
    """Return what a home knows of its fleet.  state, find: of the aggregator's children that are
    listed, and a part of their names; empty for all.  offset: so many of them before.  Cost: reads
    no sums, but the names of adopted contributions."""
    page = ChildPage(state=state, find=find, offset=offset, limit=CHILDREN_SHOWN)
    aggregate = describe_aggregate(home.folder, page)
    left = _left(home.store, home.settings, home.folder)
    return FleetView(member=_membership(home), aggregate=aggregate, left=tuple(left))


def describe_roles(folder: Path) -> FleetView:
    """Return what a home knows of its fleet, with all children of its aggregator, also while a
    daemon has it open.  Raises ConfigError for its settings, StateError for its file."""
    settings, member, left = read_settings(folder), None, tuple[LeftFleet, ...]()
    path = folder / settings.knowledge.file
    if settings.fleet is not None:
        with Home(folder, writable=False) as home:
            member, left = _membership(home), tuple(_left(home.store, settings, folder))
    elif path.is_file():
        # The encoder is not needed.
        with Store.open(path, writable=False) as store:
            left = tuple(_left(store, settings, folder))
    return FleetView(member=member, aggregate=describe_aggregate(folder), left=left)


def _left(store: Store, settings: Settings, folder: Path) -> Iterator[LeftFleet]:
    """Yield the fleets that a device has left, and last the one that it leaves with the next start
    of its daemon."""
    publications, mqtt = store.publications, settings.mqtt
    places, joined = publications.left(), publications.joined()
    if settings.fleet is None and joined is not None and publications.last().revision:
        yield _left_fleet(joined, "the daemon has not been started, or reloaded, without [fleet]")
    reason = NO_BROKER if mqtt is None else "{}:{} has not taken it yet".format(*mqtt.address)
    for one in places:
        why = (settings.fleet is None and _key_problem(one, folder)) or reason
        yield _left_fleet(one, "" if one.withdrawn_at_ns else why)


def _key_problem(place: FleetPlace, folder: Path) -> str:
    """Return why the key that signed the sums in a fleet cannot sign their withdrawal."""
    if place.withdrawn_at_ns or not place.key:
        return ""
    try:
        load_key(folder / place.key)
    except EdgeError as error:
        return error.message
    return ""


def _left_fleet(place: FleetPlace, waiting: str) -> LeftFleet:
    doubt = ""
    if place.withdrawn_by and place.broker and place.withdrawn_by != place.broker:
        doubt = f"the sums were published to {place.broker}: is that the same broker?"
    elif place.key is None and place.withdrawn_by:
        doubt = "no key was recorded by the earlier release: it is unsigned if [fleet] is removed"
    return LeftFleet(
        fleet=place.fleet,
        device=place.device,
        revision=place.revision,
        aggregates=place.aggregates,
        withdrawn_at_ns=place.withdrawn_at_ns,
        withdrawn_by=place.withdrawn_by,
        waiting=waiting,
        doubt=doubt,
    )


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
