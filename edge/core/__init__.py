"""The pure core: events in, effects out.  Everything the shell and the simulator stand on."""

from .admission import admit
from .config import Config
from .errors import (
    ConfigError,
    EdgeError,
    ModelMismatchError,
    StateCorruptError,
    StateError,
    StateVersionError,
)
from .events import (
    Ack,
    Decision,
    DriftAlarm,
    Effect,
    Enrol,
    Erase,
    Event,
    ForgetRequest,
    Freeze,
    Label,
    Message,
    Observation,
    Publish,
    Receipt,
    Rejected,
    Relabel,
    Remember,
    Survey,
)
from .facts import Batch, Fact, Ledger, Selector, digest_facts, gather
from .knowledge import Knowledge, derive
from .ledger import MemoryLedger
from .runtime import Model, Runtime

__all__ = [
    "Ack",
    "Batch",
    "Config",
    "ConfigError",
    "Decision",
    "DriftAlarm",
    "EdgeError",
    "Effect",
    "Enrol",
    "Erase",
    "Event",
    "Fact",
    "ForgetRequest",
    "Freeze",
    "Knowledge",
    "Label",
    "Ledger",
    "MemoryLedger",
    "Message",
    "Model",
    "ModelMismatchError",
    "Observation",
    "Publish",
    "Receipt",
    "Rejected",
    "Relabel",
    "Remember",
    "Runtime",
    "Selector",
    "StateCorruptError",
    "StateError",
    "StateVersionError",
    "Survey",
    "admit",
    "derive",
    "digest_facts",
    "gather",
]
