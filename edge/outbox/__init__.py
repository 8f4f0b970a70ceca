"""Store and forward: numbered, durable messages until the broker has confirmed them."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .boot_clock import PLAUSIBLE_NS
    from .entry import OutboxEntry, OutboxLoss
    from .opening import count_waiting, open_outbox
    from .outbox import Outbox
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "boot_clock": ("PLAUSIBLE_NS",),
            "entry": ("OutboxEntry", "OutboxLoss"),
            "opening": ("count_waiting", "open_outbox"),
            "outbox": ("Outbox",),
        },
    )

__all__ = ["PLAUSIBLE_NS", "Outbox", "OutboxEntry", "OutboxLoss", "count_waiting", "open_outbox"]
