"""The answer to a command."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a command.  repeated: it was carried out before, this is what was answered
    then.  body: what it asked for, or what it changed."""

    verb: str
    id: str
    done: bool
    reason: str = ""
    hint: str = ""
    repeated: bool = False
    body: dict[str, Any] = field(default_factory=dict)
