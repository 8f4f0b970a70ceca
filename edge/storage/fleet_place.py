"""A fleet that this device publishes its sums to, or did before it left."""

import msgspec


class FleetPlace(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A fleet, and this device's name in it, that it publishes its sums as, or did before it left.
    key: the file that signs them, relative to the home, empty without one; None: not recorded by
    an earlier release.  broker: its address.  keys: public keys of the others, by device.

    For a place that it has left: revision: of the contribution without sums that takes them back.
    aggregates: that held them.  withdrawn_at_ns, withdrawn_by: when which broker took that
    contribution; 0 if none has yet.  dropped: when each aggregate took it in, as reported.
    """

    fleet: str
    device: str
    revision: int = 0
    aggregates: tuple[str, ...] = ()
    key: str | None = None
    broker: str = ""
    withdrawn_at_ns: int = 0
    withdrawn_by: str = ""
    keys: dict[str, str] = {}
    dropped: dict[str, int] = {}

    @property
    def at(self) -> tuple[str, str]:
        """The fleet and the name."""
        return self.fleet, self.device

    @property
    def withdrawn(self) -> bool:
        """Whether the broker that the sums were published to has taken the withdrawal."""
        same = not self.broker or self.withdrawn_by == self.broker
        return bool(self.withdrawn_at_ns) and same

    @property
    def unreported(self) -> frozenset[str]:
        """The aggregates that have not reported that they took the withdrawal in."""
        return frozenset(self.aggregates) - self.dropped.keys()
