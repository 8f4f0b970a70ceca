"""This device as a member of a fleet: publishes its own sums, and adopts the others'."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from ..config import FleetSettings
from ..core import Contribution, EdgeError, Rejected, unnamed_side
from ..home import CommandContext, Home
from ..logs import log
from ..mqtt import InboundMessage, TopicAddress, Topics
from ..signing import load_key, public_key
from .background_sums import BackgroundSums
from .contribution_message import read_contribution, write_contribution

RESTLESS: Final = 10
"""Times `publish_after_s` after which sums are published although facts go on changing."""


class ContributionChannel(Protocol):
    """What own sums are published through."""

    @property
    def online(self) -> bool:
        """True where messages can be published."""

    @property
    def counters(self) -> Any:
        """Counts the connections so far as `connected`."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        """Publish; the message id, or None where there is no room."""


@dataclass(frozen=True, slots=True)
class ReceivedContribution:
    """Word that a device's sums wait to be adopted; the newest of each device is kept."""

    device: str
    ticket: int = 0


class FleetMember:
    """A device in a fleet.  folder: of its home.  mouth: the broker.  context: where events go."""

    def __init__(
        self,
        settings: FleetSettings,
        device: str,
        context: CommandContext,
        folder: Path,
        topics: Topics,
        mouth: ContributionChannel,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._device = settings, device
        self._mouth, self._context, self._clock = mouth, context, clock
        self._key = load_key(folder / settings.key) if settings.key else None
        self._keys = {one: public_key(text, one) for one, text in settings.keys.items()}
        self._topic = topics.contribution(settings.name)
        self._waiting: dict[str, bytes] = {}
        self._told = self._seen = self._summed = ("", 0)
        self._changed_s = self._first_s = clock()
        self._message: bytes | None = None
        self._connection = -1
        self._summing: tuple[BackgroundSums, tuple[str, int]] | None = None

    def receive(
        self, arrival: InboundMessage, address: TopicAddress
    ) -> ReceivedContribution | None:
        """Keep sums for their turn; None where they are nobody's that is listened to."""
        device = address.name
        if device == self._device or device not in self._settings.devices:
            return None
        if len(arrival.payload) > self._settings.payload_bytes_max:
            self._refuse(device, f"{len(arrival.payload)} bytes are too many")
            return None
        self._waiting[device] = arrival.payload
        return ReceivedContribution(device, arrival.ticket)

    def adopt(self, gift: ReceivedContribution) -> None:
        """Adopt what waits of a device; where its home cannot now, it is tried again."""
        payload = self._waiting.get(gift.device)
        if payload is None:
            return
        try:
            found = read_contribution(payload, self._keys)
        except EdgeError as error:
            del self._waiting[gift.device]
            self._refuse(gift.device, error.message)
            return
        if found.device != gift.device:
            del self._waiting[gift.device]
            self._refuse(gift.device, f"they say they are those of {found.device}")
            return
        self._context.feed("", found)
        self._warn_unnamed(found)
        del self._waiting[gift.device]

    def tend(self) -> None:
        """Adopt what could not be before, and publish own sums where they have changed and rest."""
        for device in tuple(self._waiting):
            try:
                self.adopt(ReceivedContribution(device))
            except EdgeError as error:
                log.warning("sums_not_adopted", device=device, reason=error.message)
        slot = self._context.homes.get("")
        home = slot.home if slot is not None else None
        if home is not None and self._summing is not None:
            self._sum_up(home, *self._summing)
        if home is not None and self._summing is None and self._due(home):
            self._begin(home)
        self._publish()

    @property
    def summing(self) -> bool:
        """True while own sums are in the making."""
        return self._summing is not None

    def _due(self, home: Home) -> bool:
        now = self._clock()
        found = (
            home.store.written_digest() + home.runtime.knowledge.geometry.fingerprint,
            home.store.receipt_count(),
        )
        if found != self._seen:
            if self._seen == self._summed:
                self._first_s = now
            self._seen, self._changed_s = found, now
        if found == self._summed:
            return False
        # What was forgotten must leave the others at once; so must the first word after a start.
        hurry = found[1] != self._summed[1] or not self._summed[0]
        wait_s = self._settings.publish_after_s
        rested = now - self._changed_s >= wait_s
        return hurry or rested or now - self._first_s >= RESTLESS * wait_s

    def _begin(self, home: Home) -> None:
        """Begin to sum up the file as it is now."""
        geometry = home.runtime.knowledge.geometry
        summing = BackgroundSums(home.store.path, home.model.card, geometry, self._device)
        home.erasing = summing.abandon
        self._summing = summing, self._seen

    def _sum_up(self, home: Home, summing: BackgroundSums, seen: tuple[str, int]) -> None:
        """Take sums that are made, where nothing was forgotten and nothing surveyed meanwhile."""
        if not summing.done:
            return
        self._summing = None
        if summing.trouble:
            log.warning("sums_not_made", reason=summing.trouble)
        here = (home.runtime.knowledge.geometry.fingerprint, home.store.receipt_count())
        if summing.made is None or here != (summing.geometry.fingerprint, seen[1]):
            return
        made, packed = summing.made
        # Other names are other sums, though their content is the same.
        content = "\n".join((made.content, *made.columns))
        revision = home.store.contribution_revision(content, self._context.now_ns())
        self._message = write_contribution(replace(made, revision=revision), self._key, packed)
        self._summed, self._connection = seen, -1

    def _publish(self) -> None:
        """Publish the newest sums, retained; anew on each connection."""
        connection = self._mouth.counters.connected
        if self._message is None or not self._mouth.online or connection == self._connection:
            return
        if self._mouth.publish(self._topic, self._message, retain=True) is not None:
            self._connection = connection

    def _warn_unnamed(self, found: Contribution) -> None:
        """Log where column names could not be compared, because one side has none."""
        slot = self._context.homes.get("")
        if slot is not None and slot.home is not None:
            warning = unnamed_side(slot.home.store.columns(), found.columns)
            if warning:
                log.warning("columns_not_compared", device=found.device, reason=warning)

    def _refuse(self, device: str, why: str) -> None:
        log.warning("sums_refused", device=device, reason=why)
        hint = "see docs/howto/fleet.md"
        self._context.publish(Rejected(device, f"adopting sums of {device}: {why}"[:500], hint))
