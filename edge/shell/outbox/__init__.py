"""The outbox: what is told waits here, numbered and durable, until the broker has it."""

from .ageing import PLAUSIBLE_NS
from .entry import Entry, Loss
from .opening import count_waiting, open_outbox
from .outbox import Outbox
from .settings import OutboxSettings

__all__ = [
    "PLAUSIBLE_NS",
    "Entry",
    "Loss",
    "Outbox",
    "OutboxSettings",
    "count_waiting",
    "open_outbox",
]
