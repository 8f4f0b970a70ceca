"""The commands and their fields: one strict struct each, told apart by `verb`."""

from typing import Annotated, Any, Final

import msgspec

from ..core import ForgetRequest, GrowRequest, Label, Relabel, Rollback, Selector
from ..core import limits as core_limits

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=core_limits.TEXT_CHARS_MAX)]
NameOrEmpty = Annotated[str, msgspec.Meta(max_length=core_limits.TEXT_CHARS_MAX)]
Instant = Annotated[int, msgspec.Meta(ge=0, le=core_limits.COUNT_MAX)]
IDS_MAX: Final = 1_000


class Request(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="verb", kw_only=True
):
    """What every command has.  id: its own for ever.  expires_at_ns: it is refused later; 0: does
    not expire.  device: whom it is for, empty: whoever gets it.  home: of the daemon's homes."""

    id: Name
    expires_at_ns: Instant = 0
    device: NameOrEmpty = ""
    home: NameOrEmpty = ""

    @property
    def verb(self) -> str:
        """The name of the command."""
        return str(self.__struct_config__.tag)


class Select(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Facts that match every field given, as a Selector."""

    ids: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=IDS_MAX)] | None = None
    subject: Name | None = None
    stream: Name | None = None
    domain: Name | None = None
    label: Name | None = None
    from_ns: Instant | None = None
    until_ns: Instant | None = None

    @property
    def selector(self) -> Selector:
        """The core's selector."""
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name != "ids"}
        return Selector(ids=None if self.ids is None else frozenset(self.ids), **given)


class LabelCommand(Request, frozen=True, tag="label"):
    """Say what an observation was."""

    observation_id: Name
    label: Name
    domain: NameOrEmpty = ""

    def event(self, _at_ns: int) -> Label:
        """What the core is told."""
        return Label(self.observation_id, self.label, self.domain)


class RelabelCommand(Request, frozen=True, tag="relabel"):
    """Give the facts selected another label, another domain, or both."""

    select: Select
    label: NameOrEmpty = ""
    domain: NameOrEmpty = ""

    def event(self, _at_ns: int) -> Relabel:
        """What the core is told."""
        return Relabel(self.select.selector, self.label, self.domain)


class ForgetCommand(Request, frozen=True, tag="forget"):
    """Forget the facts selected.  resurvey: derive the geometry again, too; null: unless it is
    shared with a fleet."""

    select: Select
    resurvey: bool | None = None

    def event(self, at_ns: int) -> ForgetRequest:
        """What the core is told; the command's id names the receipt."""
        return ForgetRequest(self.id, self.select.selector, at_ns, self.resurvey is not False)


class GrowCommand(Request, frozen=True, tag="grow"):
    """Search and train an adaptor for a domain now."""

    domain: Name

    def event(self, _at_ns: int) -> GrowRequest:
        """What the core is told."""
        return GrowRequest(self.domain, self.id)


class RollbackCommand(Request, frozen=True, tag="rollback"):
    """Let the adaptor before the newest of a domain serve again."""

    domain: Name

    def event(self, _at_ns: int) -> Rollback:
        """What the core is told."""
        return Rollback(self.domain, self.id)


class AdaptorsCommand(Request, frozen=True, tag="adaptors"):
    """List the adaptors."""


class CandidatesCommand(Request, frozen=True, tag="candidates"):
    """List the observations that are worth a label."""


class StatusCommand(Request, frozen=True, tag="status"):
    """Say how the whole daemon is."""


class HealthCommand(Request, frozen=True, tag="health"):
    """Say in short whether it serves."""


class RebirthCommand(Request, frozen=True, tag="rebirth"):
    """Announce the device again."""


class ReloadCommand(Request, frozen=True, tag="reload"):
    """Read the settings again."""


class PauseCommand(Request, frozen=True, tag="pause"):
    """Stop deciding on observations."""


class ResumeCommand(Request, frozen=True, tag="resume"):
    """Decide on observations again."""


class BundleImportCommand(Request, frozen=True, tag="bundle-import"):
    """Take a bundle on trial.  name: of a file in the home's folder `bundles`."""

    name: Name


class BundleConfirmCommand(Request, frozen=True, tag="bundle-confirm"):
    """Keep the bundle on trial."""


class BundleRevertCommand(Request, frozen=True, tag="bundle-revert"):
    """Go back to what was before the bundle on trial."""


class ExplainCommand(Request, frozen=True, tag="explain"):
    """Explain an observation that waits for a label."""

    observation_id: Name


class RawCommand(Request, frozen=True, tag="raw"):
    """Return the raw input of an observation that waits for a label."""

    observation_id: Name


COMMANDS: Final[dict[str, type[Request]]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        LabelCommand,
        RelabelCommand,
        ForgetCommand,
        GrowCommand,
        RollbackCommand,
        AdaptorsCommand,
        CandidatesCommand,
        StatusCommand,
        HealthCommand,
        RebirthCommand,
        ReloadCommand,
        PauseCommand,
        ResumeCommand,
        BundleImportCommand,
        BundleConfirmCommand,
        BundleRevertCommand,
    )
}


LOCAL_COMMANDS: Final[dict[str, type[Request]]] = COMMANDS | {
    str(kind.__struct_config__.tag): kind for kind in (ExplainCommand, RawCommand)
}
"""Commands that the socket in the home's folder takes.  Those that return measurements stay on the
machine: no broker carries them, whatever [commands] enables."""


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signed command.  payload: the command's JSON as text, exactly as it was signed; key: the
    signer's name in [commands.keys]; signature: base64 of 64 bytes."""

    payload: str
    key: Name
    signature: Annotated[str, msgspec.Meta(max_length=100)]


def fields_of(kind: type[Any]) -> list[str]:
    """Name the fields that JSON of a struct may have, those of its selector too."""
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    if "select" in names:
        names += [field.encode_name for field in msgspec.structs.fields(Select)]
    return ["verb", *names]
