"""A fleet member: publishes this device's contribution, and adopts those of the others."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from ..config import FleetSettings
from ..core import (
    Contribution,
    EdgeError,
    Rejected,
    counted_twice,
    member_number,
    members_of,
    review_contribution,
    unnamed_side,
)
from ..home import CommandContext, Home
from ..logs import log
from ..mqtt import InboundMessage, TopicAddress, Topics, encode_level
from ..signing import load_key, public_key
from ..storage import FleetPlace
from .background_contribution import BackgroundContribution
from .contribution_message import read_contribution, write_contribution
from .left_fleets import LeftFleets, write_empty
from .orders import OWN_SUMS, FleetChannel, FleetOrders, Retained

DELAY_FACTOR_MAX: Final = 10
"""A contribution is published after this many times `publish_after_s`, even if facts keep changing.
Chosen by hand; effect not measured."""


@dataclass(frozen=True, slots=True)
class ReceivedContribution:
    """Notice that a device's contribution waits to be adopted; the newest of each device counts."""

    device: str
    ticket: int = 0


@dataclass(frozen=True, slots=True)
class _Grounds:
    """What a refused contribution was compared with: once any of it is another, the contribution
    may be accepted.  held: how many devices' contributions.  clashing: devices whose sums hold one
    of its devices.  revisions: of theirs."""

    geometry: str
    columns: tuple[str, ...]
    held: int
    clashing: tuple[str, ...]
    revisions: tuple[int, ...]


class FleetMember:
    """A device in a fleet.  here: its place there, with the broker.  folder: of its home.  context:
    handles events.  channel: the client."""

    def __init__(
        self,
        settings: FleetSettings,
        here: FleetPlace,
        context: CommandContext,
        folder: Path,
        topics: Topics,
        channel: FleetChannel,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._device = settings, here.device
        self._channel, self._context, self._clock = channel, context, clock
        self._key = load_key(folder / settings.key) if settings.key else None
        self._keys = {one: public_key(text, one) for one, text in settings.keys.items()}
        self._root = topics.fleet_filter(settings.name, "contribution")
        self._topic = topics.fleet_topic(settings.name, "contribution")
        self._left = LeftFleets(here, context, folder, topics, channel, broker=here.broker)
        retained = (
            Retained(channel, topics.fleet_topic(settings.name, "holds")),
            Retained(channel, topics.fleet_topic(settings.name, "recall")),
        )
        self._orders = FleetOrders(
            settings, here.device, context, retained, key=self._key, keys=self._keys
        )
        self._waiting: dict[str, bytes] = {}
        self._unnoted: dict[str, str] = {}
        self._asked = False
        self._refused: dict[str, _Grounds] = {}
        self._seen = self._derived = ("", 0)
        self._changed_s = self._first_s = clock()
        self._message: bytes | None = None
        self._connection = self._revision = -1
        self._deriving: tuple[BackgroundContribution, tuple[str, int]] | None = None

    def receive(
        self, arrival: InboundMessage, address: TopicAddress
    ) -> ReceivedContribution | None:
        """Queue a contribution, a report or an order; None for all but a contribution that is
        adopted from its device and not too large."""
        if self._left.receive(arrival):
            return None
        if address.purpose != "contribution":
            self._orders.receive(arrival, address)
            return None
        device = address.name
        if device == self._device or device not in self._settings.devices:
            return None
        if len(arrival.payload) > self._settings.payload_bytes_max:
            self._refuse(device, f"{len(arrival.payload)} bytes are too many")
            return None
        self._waiting[device] = arrival.payload
        self._refused.pop(device, None)
        return ReceivedContribution(device, arrival.ticket)

    def adopt(self, received: ReceivedContribution) -> None:
        """Adopt the waiting contribution of a device; it stays queued if the home is not open."""
        payload = self._waiting.get(received.device)
        if payload is None:
            return
        try:
            found = read_contribution(payload, self._keys)
        except EdgeError as error:
            del self._waiting[received.device]
            self._refuse(received.device, error.message)
            return
        if found.device != received.device:
            del self._waiting[received.device]
            self._refuse(received.device, f"the manifest names the device {found.device}")
            return
        if self._is_of_own_sums(found):
            # Without its sums it still replaces an earlier revision.
            self._refuse(received.device, OWN_SUMS)
            found = found.without_sums
            self._context.feed("", found)
        else:
            self._make_room(found)
            clashing = self._note_review(found)
            self._context.feed("", found)
            grounds = None if clashing is None else self._grounds(clashing)
            if grounds is not None:
                self._refused[received.device] = grounds
        self._warn_unnamed(found)
        del self._waiting[received.device]

    def maintain(self) -> None:
        """Adopt contributions that wait for the home, and publish this device's own when due."""
        self._note_refusals()
        self._ask_for_refused()
        self._retry_refused()
        for device in tuple(self._waiting):
            try:
                self.adopt(ReceivedContribution(device))
            except EdgeError as error:
                log.warning("contribution_not_adopted", device=device, reason=error.message)
        slot = self._context.homes.get("")
        home = slot.home if slot is not None else None
        self._left.maintain()
        if home is not None:
            self._withdraw_after_forget(home)
            self._orders.maintain(home)
        if home is not None and self._deriving is not None:
            self._take_result(home, *self._deriving)
        if home is not None and self._deriving is None and self._due(home):
            self._derive(home)
        self._publish()

    @property
    def filters(self) -> list[str]:
        """The topics of fleets that this device has left to subscribe to."""
        return self._left.filters

    @property
    def deriving(self) -> bool:
        """True while the own contribution is being derived."""
        return self._deriving is not None

    def _due(self, home: Home) -> bool:
        now = self._clock()
        found = (
            home.store.written_digest() + home.runtime.knowledge.geometry.fingerprint,
            home.store.publications.forgets(),
        )
        if found != self._seen:
            if self._seen == self._derived:
                self._first_s = now
            self._seen, self._changed_s = found, now
        if found == self._derived or home.runtime.erasing:
            return False
        # After a forget, and after a start, the others must learn of the change at once.
        urgent = found[1] != self._derived[1] or not self._derived[0]
        wait_s = self._settings.publish_after_s
        rested = now - self._changed_s >= wait_s
        return urgent or rested or now - self._first_s >= DELAY_FACTOR_MAX * wait_s

    def _derive(self, home: Home) -> None:
        """Start to derive the contribution from the file as it is now."""
        geometry = home.runtime.knowledge.geometry
        deriving = BackgroundContribution(home.store.path, home.model.card, geometry, self._device)
        home.erasing = deriving.cancel
        self._deriving = deriving, self._seen

    def _take_result(
        self, home: Home, deriving: BackgroundContribution, seen: tuple[str, int]
    ) -> None:
        """Use a finished contribution, unless a forget or a new geometry has made it stale."""
        if not deriving.done:
            return
        self._deriving = None
        if deriving.problem:
            log.warning("contribution_not_derived", reason=deriving.problem)
        here = (home.runtime.knowledge.geometry.fingerprint, home.store.publications.forgets())
        if deriving.result is None or here != (deriving.geometry.fingerprint, seen[1]):
            return
        publication, before, packed = deriving.result
        publications = home.store.publications
        if not publications.record(publication.plan, before):
            return
        made = publication.contribution
        # Column names are part of a contribution, but not of its content digest.
        content = "\n".join((made.content, *made.columns)) if made.samples else ""
        revision = publications.revision(content, self._context.now_ns(), seen[1])
        publications.note_withdrawal(revision)
        self._derived = seen
        if revision != self._revision:
            self._message = write_contribution(replace(made, revision=revision), self._key, packed)
            self._revision, self._connection = revision, -1

    def _withdraw_after_forget(self, home: Home) -> None:
        """Publish an empty contribution if facts were forgotten since the last one: what remains
        takes time to sum, and what was published must not be used any longer."""
        forgets, last = home.store.publications.forgets(), home.store.publications.last()
        if forgets == last.forgets or not last.revision:
            return
        self._derived = ("", 0)
        if not last.content:
            return
        revision = home.store.publications.revision("", self._context.now_ns(), forgets)
        home.store.publications.note_withdrawal(revision)
        self._message = write_empty(home, self._device, revision, self._key)
        self._revision, self._connection = revision, -1
        self._publish()

    def _publish(self) -> None:
        """Publish the newest contribution, retained, once on each connection."""
        connection = self._channel.counters.connected
        if self._message is None or not self._channel.online or connection == self._connection:
            return
        if self._channel.publish(self._topic, self._message, retain=True) is not None:
            self._connection = connection

    def _note_refusals(self) -> None:
        """Record refusals for people to see, once the home is open."""
        slot = self._context.homes.get("")
        home = slot.home if slot is not None else None
        while home is not None and self._unnoted:
            device, reason = next(iter(self._unnoted.items()))
            home.store.publications.note_refusal(device, self._context.now_ns(), reason)
            del self._unnoted[device]

    def _warn_unnamed(self, found: Contribution) -> None:
        """Log that column names could not be compared, because one side has none."""
        slot = self._context.homes.get("")
        if slot is not None and slot.home is not None:
            warning = unnamed_side(slot.home.store.columns(), found.columns)
            if warning:
                log.warning("columns_not_compared", device=found.device, reason=warning)

    def _is_of_own_sums(self, found: Contribution) -> bool:
        slot = self._context.homes.get("")
        home = slot.home if slot is not None else None
        if home is None or not found.samples:
            return False
        own = member_number(self._device, found.geometry)
        return found.device in home.store.publications.summed_by() or own in members_of(found)

    def _ask_for_refused(self) -> None:
        """Once after a start, let the broker send what was refused before it again: the session
        that the broker has kept brings no retained message twice."""
        slot = self._context.homes.get("")
        home = slot.home if slot is not None else None
        if home is None or self._asked:
            return
        self._asked = True
        refused = [one.device for one in home.store.publications.refusals()]
        self._ask_for(one for one in refused if one in self._settings.devices)

    def _ask_for(self, devices: Iterable[str]) -> None:
        self._channel.resubscribe([self._root + encode_level(one) for one in devices])

    def _retry_refused(self) -> None:
        """Let the broker send contributions that were refused again, once the grounds are others.
        They are not kept here: 64 of them could take all memory."""
        due = [
            device
            for device, then in self._refused.items()
            if (now := self._grounds(then.clashing)) is not None and now != then
        ]
        for device in due:
            del self._refused[device]
        if due:
            self._ask_for(due)

    def _grounds(self, clashing: tuple[str, ...]) -> "_Grounds | None":
        """Return what a refused contribution was compared with, as it is now; None while the home
        is not open."""
        slot = self._context.homes.get("")
        home = slot.home if slot is not None else None
        if home is None:
            return None
        held = home.store.contributions()
        return _Grounds(
            home.runtime.knowledge.geometry.fingerprint,
            home.store.columns(),
            len(held),
            clashing,
            tuple(held[one].revision if one in held else 0 for one in clashing),
        )

    def _make_room(self, found: Contribution) -> None:
        """Take out the sums of devices that are not listed where these, if they can be used, hold
        the same devices: the fleet updates its sums, a bundle's never change."""
        slot = self._context.homes.get("")
        home = slot.home if slot is not None else None
        if home is None or not found.samples:
            return
        held = home.store.contributions()
        fleet = {name: one for name, one in held.items() if name in self._settings.devices}
        others = [one for name, one in held.items() if name not in fleet and one.samples]
        twice = [one for one in others if counted_twice(found, {one.device: one})]
        if not twice:
            return
        place = home.runtime.knowledge.geometry, home.model.card.fingerprint, home.store.columns()
        review = review_contribution(found, fleet, *place)
        for one in twice if review.stored is not None and not review.rejection else ():
            log.info("bundle_sums_replaced", device=one.device, by=found.device)
            self._context.feed("", replace(one.without_sums, revision=one.revision + 1))

    def _note_review(self, found: Contribution) -> tuple[str, ...] | None:
        """Record whether a contribution is about to be refused, for people to see.  Return the
        devices whose sums hold some of its devices if it is, since it may be used later; else
        None."""
        slot = self._context.homes.get("")
        home = slot.home if slot is not None else None
        if home is None:
            return None
        store, geometry = home.store, home.runtime.knowledge.geometry
        place = geometry, home.model.card.fingerprint, store.columns()
        review = review_contribution(found, store.contributions(), *place)
        if review.stored is not None or review.rejection:
            store.publications.note_refusal(found.device, self._context.now_ns(), review.rejection)
        if review.rejection:
            log.warning("contribution_refused", device=found.device, reason=review.rejection)
        held = store.contributions()
        before = held.get(found.device)
        # It was refused at this revision, and comes again under the same grounds.
        same = before is not None and before.revision == found.revision and not before.samples
        refused = review.rejection or (review.stored is None and same)
        if not refused or not found.samples:
            return None
        return tuple(one for one in held if counted_twice(found, {one: held[one]}))

    def _refuse(self, device: str, reason: str) -> None:
        self._unnoted[device] = reason[:500]
        self._note_refusals()
        log.warning("contribution_refused", device=device, reason=reason)
        hint = "see docs/howto/fleet.md"
        self._context.publish(Rejected(device, f"adopting sums of {device}: {reason}"[:500], hint))
