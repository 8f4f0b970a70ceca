"""Controls of Home Assistant: the messages of its buttons and lists, decoded strictly.

They have topics of their own: Home Assistant cannot sign a command.  No control forgets.
"""

from typing import Annotated, ClassVar, Final

import msgspec

from ...core import TEXT_CHARS_MAX
from .states import name_of

CONTROL_BYTES_MAX: Final = 4_096
"""Largest control.  Three names of `TEXT_CHARS_MAX` characters with four bytes each fit."""

_Name = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)]
_State = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_CHARS_MAX + 2)]


class LabelControl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Label the observation that was shown.  label: as Home Assistant shows it (`states`)."""

    kind: ClassVar[str] = "label"
    stream: _Name
    observation_id: _Name
    label: _State

    @property
    def name(self) -> str:
        """The label itself."""
        return name_of(self.label)


class NotNewControl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The observation that was shown is not new.  alarm_id: of the lasting alarm that was shown;
    empty without one."""

    kind: ClassVar[str] = "not-new"
    stream: _Name
    observation_id: _Name
    alarm_id: _Name = ""


class RateControl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Choose a home's false-alarm rate."""

    kind: ClassVar[str] = "false-alarm-rate"
    home: _Name
    percent: Annotated[float, msgspec.Meta(gt=0, lt=50)]


class InvalidControl(msgspec.Struct, frozen=True):
    """A control that cannot be decoded."""

    kind: str
    reason: str


Control = LabelControl | NotNewControl | RateControl

CONTROLS: Final[dict[str, type[Control]]] = {
    one.kind: one for one in (LabelControl, NotNewControl, RateControl)
}
"""The controls by their kind, the last level of their topic."""


def decode_control(kind: str, payload: bytes) -> Control | InvalidControl:
    """Decode a control.  kind: the last level of its topic."""
    wanted = CONTROLS.get(kind)
    if wanted is None:
        return InvalidControl(kind[:TEXT_CHARS_MAX], f"controls are {', '.join(CONTROLS)}")
    if len(payload) > CONTROL_BYTES_MAX:
        return InvalidControl(kind, f"it has {len(payload)} bytes, at most {CONTROL_BYTES_MAX}")
    try:
        return msgspec.json.decode(payload, type=wanted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return InvalidControl(kind, str(error)[:TEXT_CHARS_MAX])
