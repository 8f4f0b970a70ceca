"""Reports of what a member holds of the others, and orders to drop bundles.

Each member publishes, retained, which contributions and bundles it holds.  So a device knows who
has what its facts have shaped, and the receipt of a forget request names them.  A bundle that a
forgotten fact has shaped is recalled: the device that exported it publishes the order, retained,
and each member that imported the bundle removes it.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import msgspec
from msgspec.structs import replace

from ..config import FleetSettings
from ..core import EdgeError
from ..home import CommandContext, Home
from ..logs import log
from ..mqtt import InboundMessage, TopicAddress
from ..signing import Count, SignedManifest, Text, read_signed, sign_file
from ..storage import EXPORTS_MAX, AboveRow, AppliedAbove, BundleVersion, HeldBundle
from .applied import find_other_of_name, read_report

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

HOLDS_HEAD: Final = b"auricle-holds-1\n"
RECALL_HEAD: Final = b"auricle-recall-1\n"

MESSAGE_BYTES_MAX: Final = 256 << 10
"""Largest report or order that is read: `EXPORTS_MAX` entries with names of 200 characters fit."""

NO_PUBLISHER: Final = "-"
"""Stands for the publisher in reports on a contribution, which has none."""


class FleetChannel(Protocol):
    """The client that publishes to the fleet."""

    @property
    def online(self) -> bool:
        """True while messages can be published."""

    @property
    def counters(self) -> Any:
        """Counters; `connected` counts connections."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        """Publish and return the message id; None if offline or without send quota."""

    def resubscribe(self, filters: Iterable[str]) -> None:
        """Let the broker send the retained messages of these subscriptions again."""


class Holding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something that a member holds of the device `maker`.  counter: of a bundle, or the revision
    of a contribution."""

    maker: Text
    holds: Literal["contribution", "bundle"]
    publisher: Text = NO_PUBLISHER
    counter: Count


class HoldsReport(SignedManifest, frozen=True, kw_only=True):
    """All that a member holds of others."""

    device: Text
    held: tuple[Holding, ...] = ()


class Recalled(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bundle to remove.  order_id: of the forget request, as in its receipt."""

    order_id: Text
    publisher: Text
    counter: Count


class RecallOrder(SignedManifest, frozen=True, kw_only=True):
    """All bundles that a device has recalled."""

    device: Text
    bundles: tuple[Recalled, ...] = ()


class Retained:
    """A retained message, published once on each connection and after each change."""

    def __init__(self, channel: FleetChannel, topic: str) -> None:
        self._channel, self._topic = channel, topic
        self._message: bytes | None = None
        self._connection = -1

    def publish(self, message: bytes | None) -> int | None:
        """Publish a message if it has changed or the connection is new, and return its id, else
        None.  message: None for nothing yet."""
        if message != self._message:
            self._message, self._connection = message, -1
        connection = self._channel.counters.connected
        if message is None or not self._channel.online or connection == self._connection:
            return None
        number = self._channel.publish(self._topic, message, retain=True)
        if number is not None:
            self._connection = connection
        return number


OWN_SUMS: Final = "it is a sum that holds this device's own sums: its facts would count twice"
"""Why a member does not use an aggregate."""


class FleetOrders:
    """Reports and orders of one member.  messages: its report and its order.  key: signs its own.
    keys: of the other members, by device; if empty, theirs need no signature."""

    def __init__(
        self,
        settings: FleetSettings,
        device: str,
        context: CommandContext,
        messages: tuple[Retained, Retained],
        *,
        key: "Ed25519PrivateKey | None",
        keys: "Mapping[str, Ed25519PublicKey]",
    ) -> None:
        self._settings, self._device, self._context = settings, device, context
        self._report, self._order = messages
        self._key, self._keys = key, keys
        self._waiting: dict[tuple[str, str], bytes] = {}

    def receive(self, arrival: InboundMessage, address: TopicAddress) -> None:
        """Queue a report or an order of a listed device; the newest of each counts.  It is
        retained, so it comes again after a crash."""
        above = address.purpose == "applied" and address.name == self._device
        if not above and (
            address.name == self._device or address.name not in self._settings.devices
        ):
            return
        if len(arrival.payload) > MESSAGE_BYTES_MAX:
            log.warning("order_refused", device=address.name, reason="it is too large")
            return
        self._waiting[address.purpose, address.name] = arrival.payload

    def maintain(self, home: Home) -> None:
        """Take in what has arrived, carry orders out, and publish this device's own."""
        for (purpose, device), payload in tuple(self._waiting.items()):
            try:
                if purpose == "applied":
                    self._note_above(home, payload)
                elif purpose == "holds":
                    self._note(home, device, payload)
                else:
                    self._obey(home, device, payload)
            except EdgeError as error:
                log.warning("order_refused", device=device, reason=error.message)
            del self._waiting[purpose, device]
        self._report.publish(self._write_report(home))
        self._order.publish(self._write_order(home))

    def _note(self, home: Home, device: str, payload: bytes) -> None:
        report, _ = read_signed(
            HOLDS_HEAD, payload, HoldsReport, lambda one: one.device, self._keys
        )
        _require_same(report.device, device)
        held = [
            HeldBundle(device, one.holds, BundleVersion(one.publisher, one.counter))
            for one in report.held[:EXPORTS_MAX]
            if one.maker == self._device
        ]
        before = [one for one in home.store.publications.holders() if one.device == device]
        if sorted(map(repr, held)) != sorted(map(repr, before)):
            home.store.publications.note_holder(device, held)

    def _note_above(self, home: Home, payload: bytes) -> None:
        """Record which aggregates have taken in which revision of this device."""
        report = read_report(payload, self._device, self._keys)
        rows = tuple(AboveRow(one.aggregate, one.revision, one.at_ns) for one in report.applied)
        publications = home.store.publications
        refused = report.refused or find_other_of_name(report, publications.last().revision)
        if refused:
            log.warning("contribution_not_summed", by=report.device, reason=refused)
        publications.note_above(AppliedAbove(report.device, rows, refused))
        for device in sorted(publications.summed_by() & set(self._settings.devices)):
            held = home.store.contributions().get(device)
            if held is not None and held.samples:
                publications.note_refusal(device, self._context.now_ns(), OWN_SUMS)
                log.warning("contribution_refused", device=device, reason=OWN_SUMS)
                # The aggregate's revision after this one holds this device, and is refused too.
                empty = replace(held.without_sums, revision=held.revision + 1)
                self._context.feed("", empty)

    def _obey(self, home: Home, device: str, payload: bytes) -> None:
        order, _ = read_signed(
            RECALL_HEAD, payload, RecallOrder, lambda one: one.device, self._keys
        )
        _require_same(order.device, device)
        recalled = {(one.publisher, one.counter): one.order_id for one in order.bundles}
        for one in home.store.trials.imported():
            order_id = recalled.get((one.publisher, one.counter))
            if order_id is None or one.device != device:
                continue
            log.warning("bundle_recalled", device=device, bundle=one.name, order=order_id)
            report = home.remove_bundle(one.publisher, one.counter)
            reason = f"{device} has recalled it, order {order_id}"
            self._context.publish(replace(report, reason=reason))

    def _write_report(self, home: Home) -> bytes:
        held = [
            Holding(maker=one.device, holds="contribution", counter=one.revision)
            for one in home.store.contributions().values()
            if one.samples
        ]
        held += [
            Holding(maker=one.device, holds="bundle", publisher=one.publisher, counter=one.counter)
            for one in home.store.trials.imported()
        ]
        report = HoldsReport(device=self._device, held=tuple(held))
        return sign_file(HOLDS_HEAD, report, b"", self._key)

    def _write_order(self, home: Home) -> bytes | None:
        recalled = home.store.publications.recalled()
        if not recalled:
            return None
        bundles = tuple(
            Recalled(order_id=order, publisher=one.publisher, counter=one.counter)
            for order, one in recalled
        )
        order = RecallOrder(device=self._device, bundles=bundles)
        return sign_file(RECALL_HEAD, order, b"", self._key)


def _require_same(named: str, device: str) -> None:
    if named != device:
        raise EdgeError(f"the manifest names the device {named}", "see docs/howto/fleet.md")
